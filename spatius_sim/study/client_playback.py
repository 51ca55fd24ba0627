"""When a client plays what, from the times at which audio and motion arrive. It says what our decoder does
with the same arrivals, without any bytes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND

_EPSILON = 1e-9
"""Seconds by which two times may differ that stand for the same instant."""


@dataclass(slots=True)
class Playback:
    """How one turn was played. Times are in seconds since the turn began.

    `offsets` counts keyframe instants by how many keyframes the audio was ahead of the face, from the first
    motion on. `late`: keyframes that were never shown, because their moment had passed."""

    first_audio: float
    first_motion: float = math.inf
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """Begin and length of each stall."""
    keyframes: int = 0
    late: int = 0
    offsets: Counter[int] = field(default_factory=Counter)
    end: float = math.inf

    def seconds_played_at(self, moment: float) -> float:
        """Return how many seconds of speech the client has played at this moment of the turn (in seconds),
        without its stalls. Return 0 before the playback starts."""
        if moment <= self.first_audio:
            return 0.0
        stalled_seconds = 0.0
        for stall_begin, stall_length in self.stalls:
            if moment <= stall_begin:
                break
            stalled_seconds += min(stall_length, moment - stall_begin)
        return moment - self.first_audio - stalled_seconds


def play_turn(
    audio: Sequence[tuple[float, float]],
    motion: Sequence[tuple[float, int]],
    keyframe_total: int,
    *,
    start_buffer: float,
    strict: bool,
) -> Playback:
    """Return how a client plays a simulated turn with `keyframe_total` keyframes. For each message of audio,
    `audio` holds when it arrived, and how many seconds of speech had arrived by then. `motion` holds the same
    for motion, counted in keyframes.

    The client starts when `start_buffer` seconds of audio, or all audio, have arrived; if that never happens,
    it plays nothing. If `strict`, audio waits for its motion (the mode strictSync)."""
    total_seconds = audio[-1][1]
    seconds_to_start = min(start_buffer, total_seconds)
    starts_at = next((at for at, end in audio if end >= seconds_to_start - _EPSILON), math.inf)
    playback = Playback(starts_at, keyframes=keyframe_total)
    if starts_at == math.inf:
        playback.late = keyframe_total
        return playback
    needed_arrivals = _find_needed_arrivals(audio, motion, keyframe_total if strict else 0)
    _note_stalls(playback, needed_arrivals, total_seconds)
    _note_shown_motion(playback, motion)
    return playback


def _find_needed_arrivals(
    audio: Sequence[tuple[float, float]], motion: Sequence[tuple[float, int]], keyframe_total: int
) -> list[tuple[float, float]]:
    """Return for which messages a client must wait so that it can play on, as pairs sorted by position: the
    position in the speech at which it needs the message, and the time at which the message arrives (both in
    seconds). It needs every message of audio, and the motion of the first `keyframe_total` keyframes. If some
    of that motion never comes, the time is infinity.

    `audio` holds a pair for each message: when it arrived, and how many seconds of speech had arrived by
    then, with this message. `motion` holds the same for motion, counted in keyframes. So a message is needed
    at the position up to which the messages before it reach."""
    needed_arrivals = [
        (0.0 if number == 0 else audio[number - 1][1], at) for number, (at, _) in enumerate(audio)
    ]
    if keyframe_total:
        covered_keyframes = 0
        for at, end_keyframe in motion:
            if end_keyframe > covered_keyframes:
                needed_arrivals.append((covered_keyframes / KEYFRAMES_PER_SECOND, at))
                covered_keyframes = end_keyframe
        if covered_keyframes < keyframe_total:
            needed_arrivals.append((covered_keyframes / KEYFRAMES_PER_SECOND, math.inf))
        needed_arrivals.sort()
    return needed_arrivals


def _note_stalls(
    playback: Playback, needed_arrivals: list[tuple[float, float]], total_seconds: float
) -> None:
    """Play the speech of a simulated turn, and note in `playback` when the client had to wait, and for how
    long (a stall). Note the end, too; if some part of the speech never arrives, there is no end.

    `needed_arrivals` holds positions in the speech, each with the time at which what is needed there arrives,
    in seconds. `total_seconds` is the length of the speech."""
    start_at = playback.first_audio
    for position, arrived in needed_arrivals:
        due = start_at + position
        stall_seconds = arrived - due
        if arrived > due + _EPSILON:
            playback.stalls.append((due, stall_seconds))
            start_at += stall_seconds
            if arrived == math.inf:
                return
    playback.end = start_at + total_seconds


def _note_shown_motion(playback: Playback, motion: Sequence[tuple[float, int]]) -> None:
    """Note in the client's playback when the face first moves, how many keyframes are late, and how far the
    face is behind the audio. A keyframe is late, and never shown, if its motion has not arrived before the
    next is due.

    For each message of motion, `motion` holds when it arrived, and how many keyframes had arrived by then."""
    keyframes_done = 0
    last_shown = -1
    keyframe_count = playback.keyframes
    for at, end_keyframe in motion:
        end_keyframe = min(end_keyframe, keyframe_count)
        if end_keyframe <= keyframes_done:
            continue
        position = playback.seconds_played_at(at) if at < math.inf else math.inf
        due_keyframe = keyframe_count
        if position < math.inf:
            due_keyframe = math.floor(position * KEYFRAMES_PER_SECOND + _EPSILON)
        late_count = min(max(due_keyframe - keyframes_done, 0), end_keyframe - keyframes_done)
        if last_shown >= 0:
            playback.offsets.update(
                range(keyframes_done - last_shown, keyframes_done - last_shown + late_count)
            )
        playback.late += late_count
        if late_count < end_keyframe - keyframes_done:
            if last_shown < 0:
                playback.first_motion = max(at, playback.first_audio)
            playback.offsets[0] += end_keyframe - keyframes_done - late_count
            last_shown = end_keyframe - 1
        keyframes_done = end_keyframe
    missing = keyframe_count - keyframes_done
    playback.late += missing
    if last_shown >= 0:
        playback.offsets.update(range(keyframes_done - last_shown, keyframes_done - last_shown + missing))


def find_needed_start_delay(
    audio: Sequence[tuple[float, float]], motion: Sequence[tuple[float, int]], *, with_motion: bool
) -> float:
    """Return how many seconds a client must wait after its first audio, so that its playback then never
    stalls. If `with_motion`, no keyframe may be late either. Return infinity if no delay is long enough.

    `audio` and `motion` hold when each message arrived, and how many seconds or keyframes had arrived by
    then, with this message."""
    first_arrival = audio[0][0]
    needed = max(at - (audio[number - 1][1] if number else 0.0) for number, (at, _) in enumerate(audio))
    if with_motion:
        keyframes_before = 0
        for at, end_keyframe in motion:
            needed = max(needed, at - keyframes_before / KEYFRAMES_PER_SECOND)
            keyframes_before = end_keyframe
    return max(0.0, needed - first_arrival)
