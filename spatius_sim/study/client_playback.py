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

    def position(self, at: float) -> float:
        """Return how many seconds of speech the client has played at the time `at`, stalls subtracted; 0
        before the playback starts."""
        if at <= self.first_audio:
            return 0.0
        stalled_seconds = 0.0
        for begin, length in self.stalls:
            if at <= begin:
                break
            stalled_seconds += min(length, at - begin)
        return at - self.first_audio - stalled_seconds


def play_turn(
    audio: Sequence[tuple[float, float]],
    motion: Sequence[tuple[float, int]],
    keyframes: int,
    *,
    start_buffer: float,
    strict: bool,
) -> Playback:
    """Return how a client plays a simulated turn.

    `audio` has, for each message of audio, when it arrived and how many seconds of speech had arrived by
    then; `motion` has the same for motion, counted in keyframes. The client starts when `start_buffer`
    seconds of audio have arrived, or all audio. If `strict`, audio waits for its motion (strictSync)."""
    total = audio[-1][1]
    wanted = min(start_buffer, total)
    start = next((at for at, end in audio if end >= wanted - _EPSILON), math.inf)
    playback = Playback(start, keyframes=keyframes)
    if start == math.inf:
        playback.late = keyframes
        return playback
    _find_stalls(playback, _find_needs(audio, motion, keyframes if strict else 0), total)
    _show_motion(playback, motion)
    return playback


def _find_needs(
    audio: Sequence[tuple[float, float]], motion: Sequence[tuple[float, int]], keyframes: int
) -> list[tuple[float, float]]:
    """Return the positions in the speech (seconds), in order, at which the client of a simulated turn may
    have to wait, each with the time from which the client can play on. It waits for audio that comes late,
    and for the motion of the first `keyframes` keyframes."""
    needs = [(0.0 if number == 0 else audio[number - 1][1], at) for number, (at, _) in enumerate(audio)]
    if keyframes:
        shown = 0
        for at, end in motion:
            if end > shown:
                needs.append((shown / KEYFRAMES_PER_SECOND, at))
                shown = end
        if shown < keyframes:
            needs.append((shown / KEYFRAMES_PER_SECOND, math.inf))
        needs.sort()
    return needs


def _find_stalls(playback: Playback, needs: list[tuple[float, float]], total: float) -> None:
    """Play the speech of a simulated turn on the client, and note in `playback` when the client had to wait,
    and for how long (a stall). `needs` says which moment of the speech can be played when, both in seconds;
    `total` is the length of the speech. If a part of the speech never arrives, the playback has no end."""
    clock = playback.first_audio
    for position, arrived in needs:
        due = clock + position
        if arrived > due + _EPSILON:
            playback.stalls.append((due, arrived - due))
            clock += arrived - due
            if arrived == math.inf:
                return
    playback.end = clock + total


def _show_motion(playback: Playback, motion: Sequence[tuple[float, int]]) -> None:
    """Note in the client's playback when the face first moves, which keyframes are late, and how far the face
    is behind the audio.

    A keyframe is shown if its motion has arrived before the next keyframe is due.
    """
    keyframes_done = 0
    last_shown = -1
    keyframe_count = playback.keyframes
    for at, end in motion:
        end = min(end, keyframe_count)
        if end <= keyframes_done:
            continue
        head = playback.position(at) if at < math.inf else math.inf
        due = keyframe_count if head == math.inf else math.floor(head * KEYFRAMES_PER_SECOND + _EPSILON)
        late = min(max(due - keyframes_done, 0), end - keyframes_done)
        if last_shown >= 0:
            playback.offsets.update(range(keyframes_done - last_shown, keyframes_done - last_shown + late))
        playback.late += late
        if late < end - keyframes_done:
            if last_shown < 0:
                playback.first_motion = max(at, playback.first_audio)
            playback.offsets[0] += end - keyframes_done - late
            last_shown = end - 1
        keyframes_done = end
    missing = keyframe_count - keyframes_done
    playback.late += missing
    if last_shown >= 0:
        playback.offsets.update(range(keyframes_done - last_shown, keyframes_done - last_shown + missing))


def start_delay_needed(
    audio: Sequence[tuple[float, float]], motion: Sequence[tuple[float, int]], *, with_motion: bool
) -> float:
    """Return how long a client must wait after its first audio, in seconds, before a playback that never
    stalls. With `with_motion`, no keyframe may be late either. Infinity if no delay is long enough."""
    first = audio[0][0]
    needed = max(at - (audio[number - 1][1] if number else 0.0) for number, (at, _) in enumerate(audio))
    if with_motion:
        done = 0
        for at, end in motion:
            needed = max(needed, at - done / KEYFRAMES_PER_SECOND)
            done = end
    return max(0.0, needed - first)
