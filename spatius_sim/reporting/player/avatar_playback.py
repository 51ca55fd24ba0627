"""Plays what a client was sent, and says what its face shows at each moment, and why it shows nothing."""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.reporting.player.curves import Payloads
from spatius_sim.trace.decoder_events import (
    AudioOnlyEntered,
    ConversationStarted,
    MotionDiscarded,
    MotionTaken,
    PlaybackState,
    StarvationMode,
)
from spatius_sim.wires.testee_messages import HIGHEST_RATE

_MS_NS = 1_000_000
_FRAME_NS = 1_000_000_000 // KEYFRAMES_PER_SECOND
_ROUNDING = 1e-6
_LOUDEST = 32768
_FULL = 255
_USUAL_RATE = 16000
LONGEST_PLAYBACK_SECONDS = 600
"""How long a client plays on after the last event of a run. What comes later is not drawn."""

IDLE, MOVING, STARVED, AUDIO_ONLY, PAUSED, STALLED = range(6)


def levels_of(pcm: bytes, sample_rate: int) -> bytes:
    """Return the loudness of a turn's audio (mono s16le) for the avatar's playback: one byte for each 40 ms.
    The byte is 255 times the square root of the peak (1 is full scale), so that quiet speech can be seen,
    too."""
    samples = np.frombuffer(pcm, "<i2", len(pcm) // BYTES_PER_SAMPLE).astype(np.float32)
    window = max(1, sample_rate // KEYFRAMES_PER_SECOND)
    if not len(samples):
        return b""
    starts = np.arange(0, len(samples), window)
    peaks = np.maximum.reduceat(np.abs(samples), starts) / _LOUDEST
    levels: NDArray[np.uint8] = np.minimum(_FULL, np.sqrt(peaks) * _FULL).astype(np.uint8)
    return levels.tobytes()


@dataclass(slots=True)
class HeldConversation:
    """What a client holds of one conversation: its audio at `rate` Hz, when it began, and its payloads."""

    start_ms: int
    rate: int
    pcm: bytearray = field(default_factory=bytearray)
    first_keyframes: list[int] = field(default_factory=list)
    payloads: list[int] = field(default_factory=list)
    keyframes: int = 0
    cause: str = ""


class ClientTrack:
    """What one client shows. `at`, `keyframe`, `status`, `cause`, `buffered` and `heard` are columns: from
    `at` (milliseconds) on the face shows this keyframe (-1: none), with this status, for this cause (an index
    in `causes`), with so many milliseconds of motion in the buffer, and this window of 40 ms is heard."""

    def __init__(self, payloads: Payloads) -> None:
        """Begin the playback of one client's avatar, idle; `payloads` are all payloads of the page."""
        self._payloads = payloads
        self.at: list[int] = []
        self.keyframe: list[int] = []
        self.status: list[int] = []
        self.cause: list[int] = []
        self.buffered: list[int] = []
        self.heard: list[int] = []
        self.causes: list[str] = [""]
        self.conversations: list[HeldConversation] = []
        self.discards: Counter[str] = Counter()
        self._by_id: dict[str, HeldConversation] = {}
        self._now_ns = 0
        self._made = 0
        self._rate = _USUAL_RATE
        self.passed_on = 0
        """How many payloads the relay has passed on in this conversation."""
        self.sent = 0
        """How many payloads Motion Server has sent in this conversation."""
        self.reset(_USUAL_RATE)

    def reset(self, rate: int, mode: str = "") -> None:
        """Begin the playback of the avatar again with a new decoder, for audio at `rate` Hz. If the rate or
        the mode is not known, the usual one is taken."""
        known = mode in set(StarvationMode)
        self._rate = rate if 0 < rate <= HIGHEST_RATE else _USUAL_RATE
        self._decoder = ClientDecoder(
            self._rate,
            self._make_id,
            self._now_ns,
            StarvationMode(mode) if known else StarvationMode.AUDIO_INDEPENDENT,
        )
        self._write_row()

    def _make_id(self) -> str:
        """Return a new id of a conversation."""
        self._made += 1
        return f"conversation-{self._made}"

    def advance(self, to_ns: int) -> None:
        """Play the avatar on the player page until `to_ns` nanoseconds, frame by frame as long as it plays.
        If it plays nothing, go there in one step, however far that is."""
        while self._now_ns + _FRAME_NS < to_ns and self._plays():
            self._advance_decoder(self._now_ns + _FRAME_NS)
        self._advance_decoder(max(to_ns, self._now_ns))

    def play_out(self) -> int:
        """Let the avatar of this client play the audio that it still holds, at most LONGEST_PLAYBACK_SECONDS
        of it. Return the time in nanoseconds at which the playback is then; the present time if the client
        holds no audio."""
        last_ns = self._now_ns + LONGEST_PLAYBACK_SECONDS * 1_000_000_000
        held = self._held_audio()
        end_ns = min(last_ns, self._now_ns + held + _FRAME_NS)
        if held:
            self.advance(end_ns)
        return self._now_ns

    def feed_audio(self, pcm: bytes, end: bool) -> str:
        """Give audio to the decoder that plays this client's avatar on the player page, and return the id of
        the conversation to which the audio belongs."""
        conversation_id = self._decoder.yield_audio_data(pcm, end)
        self._take_events()
        conversation = self._by_id.get(conversation_id)
        if conversation is not None:
            conversation.pcm += pcm
        self._write_row()
        return conversation_id

    def feed_motion(self, frames: tuple[bytes, ...] | None, conversation_id: str) -> list[str]:
        """Give payloads of motion to the decoder that plays the avatar of this client, and return for each
        payload, in words, what the decoder did with it."""
        self.passed_on += len(frames or ())
        self._decoder.yield_frames_data(frames, conversation_id)
        words = self._take_events(frames or ())
        self._write_row()
        return words

    def current_id(self) -> str:
        """Return the id of the conversation that is played; "" if no conversation is played."""
        return self._decoder.get_current_conversation_id() or ""

    def enter_audio_only(self, why: str) -> list[str]:
        """Play the avatar on without motion, as a client does after its relay said that motion failed;
        return in words what the decoder did. If no conversation is played, do nothing."""
        current = self._by_id.get(self.current_id())
        if current is None:
            return []
        current.cause = why
        return self.feed_motion((), self.current_id())

    def control(self, do: str) -> None:
        """Change the playback of the avatar as its client did: `do` is "interrupt", "pause" or "resume"."""
        {"interrupt": self._decoder.interrupt, "pause": self._decoder.pause, "resume": self._decoder.resume}[
            do
        ]()
        self._take_events()
        self._write_row()

    def blame(self, cause: str) -> None:
        """Note why motion of the avatar may be missing from now on in this conversation."""
        current = self._by_id.get(self.current_id())
        if current is not None:
            current.cause = cause

    def _plays(self) -> bool:
        """Return whether the decoder has audio to play, and plays it."""
        playing = self._decoder.state is PlaybackState.PLAYING
        return playing and not self._decoder.stalled and self._held_audio() > 0

    def _held_audio(self) -> int:
        """Return how many nanoseconds of audio wait in the avatar's playback: the client holds them and has
        not played them yet. 0 without a current conversation."""
        current = self._by_id.get(self.current_id())
        if current is None:
            return 0
        seconds = len(current.pcm) / BYTES_PER_SAMPLE / self._rate - self._decoder.played_seconds
        return int(max(0.0, seconds) * 1e9)

    def _advance_decoder(self, to_ns: int) -> None:
        """Move the decoder's clock to `to_ns`, and write what the face of the avatar shows then."""
        self._now_ns = to_ns
        self._decoder.advance(to_ns)
        self._take_events()
        self._write_row()

    def _take_events(self, frames: tuple[bytes, ...] = ()) -> list[str]:
        """Take the events of the avatar's decoder since the last call, and note them for the player page.
        Return in words what the decoder did with the motion payloads `frames`, which it was given since
        then."""
        words: list[str] = []
        frame_number = 0
        for event in self._decoder.take_events():
            match event:
                case ConversationStarted(conversation_id):
                    self._begin_conversation(conversation_id)
                case MotionTaken(conversation_id, keyframes):
                    self._keep_payload(self._by_id[conversation_id], frames[frame_number], keyframes)
                    words.append(f"taken: {keyframes} keyframes")
                    frame_number += 1
                case MotionDiscarded(reason=reason):
                    self.discards[str(reason)] += 1
                    self.blame(f"the client discarded motion: {reason}")
                    words.append(f"discarded: {reason}")
                    frame_number += 1
                case AudioOnlyEntered():
                    words.append("audio-only from here on")
        return words

    def _begin_conversation(self, conversation_id: str) -> None:
        """Begin a new conversation in the avatar's playback, without audio and payloads."""
        conversation = HeldConversation(self._now_ns // _MS_NS, self._rate)
        self._by_id[conversation_id] = conversation
        self.conversations.append(conversation)
        self.passed_on = self.sent = 0

    def _keep_payload(self, conversation: HeldConversation, raw: bytes, keyframes: int) -> None:
        """Add a payload of motion, which the decoder took, to the conversation that the avatar plays. Forget
        why the conversation had no motion before."""
        conversation.first_keyframes.append(conversation.keyframes)
        conversation.payloads.append(self._payloads.number_of(raw))
        conversation.keyframes += keyframes
        conversation.cause = ""

    def _write_row(self) -> None:
        """Keep what the avatar's face shows now, as a new row of this client's columns, if anything differs
        from the last row."""
        conversation = self._by_id.get(self.current_id())
        status, keyframe, buffered, heard = IDLE, -1, 0, -1
        if conversation is not None:
            due = int(self._decoder.played_seconds * KEYFRAMES_PER_SECOND + _ROUNDING)
            keyframe = self._find_keyframe(conversation, due)
            buffered = max(0, (conversation.keyframes - due) * 1000 // KEYFRAMES_PER_SECOND)
            status, heard = self._find_status(keyframe), due
        cause = self._find_cause(conversation, status)
        row = (keyframe, status, cause, buffered, heard)
        now = self._now_ns // _MS_NS
        if self.at and row == (
            self.keyframe[-1],
            self.status[-1],
            self.cause[-1],
            self.buffered[-1],
            self.heard[-1],
        ):
            return
        columns = (self.at, self.keyframe, self.status, self.cause, self.buffered, self.heard)
        for column, value in zip(columns, (now, *row), strict=True):
            column.append(value)

    def _find_status(self, keyframe: int) -> int:
        """Return what the avatar's face does at this moment, as a status of the track: PAUSED, AUDIO_ONLY,
        STALLED, STARVED or MOVING. `keyframe` is the number of the keyframe that is due, -1 if its motion has
        not come."""
        if self._decoder.state is PlaybackState.PAUSED:
            return PAUSED
        if self._decoder.audio_only:
            return AUDIO_ONLY
        if self._decoder.stalled:
            return STALLED
        return STARVED if keyframe < 0 else MOVING

    def _find_keyframe(self, conversation: HeldConversation, due: int) -> int:
        """Return the keyframe that the avatar shows when keyframe number `due` of this conversation is due.
        The result counts over all payloads on the player's page; -1 if the keyframe has not come, or if the
        client plays audio alone."""
        place = bisect_right(conversation.first_keyframes, due) - 1
        if self._decoder.audio_only or place < 0 or due >= conversation.keyframes:
            return -1
        return self._payloads.starts[conversation.payloads[place]] + due - conversation.first_keyframes[place]

    def _find_cause(self, conversation: HeldConversation | None, status: int) -> int:
        """Return why the avatar's face is still, as an index into `causes`; 0 if the face moves, or if
        nothing is played. A new cause is added to `causes`."""
        if conversation is None or status in (IDLE, MOVING):
            return 0
        missing = self.sent - self.passed_on
        if status == PAUSED:
            cause = "the playback is paused"
        elif conversation.cause:
            cause = conversation.cause
        elif status == AUDIO_ONLY:
            cause = "the client was given empty motion: audio-only"
        elif missing > 0:
            payloads = "a payload" if missing == 1 else f"{missing} payloads"
            cause = f"Motion Server has sent {payloads} that the relay has not passed on"
        else:
            cause = "Motion Server has sent no motion for this moment yet"
        if cause not in self.causes:
            self.causes.append(cause)
        return self.causes.index(cause)
