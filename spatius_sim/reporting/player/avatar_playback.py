"""Plays what a client was sent, and says what its face shows at each moment, and why it shows nothing."""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

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
_ROUNDING_ERROR = 1e-6
_USUAL_RATE = 16000
LONGEST_PLAYBACK_SECONDS = 600
"""How long a client plays on after the last event of a run. What comes later is not drawn."""

IDLE, MOVING, STARVED, AUDIO_ONLY, PAUSED, STALLED = range(6)
"""What a face does. STARVED: the audio plays, and there is no motion for this moment. STALLED: the audio has
stopped, and waits for motion."""


@dataclass(slots=True)
class HeldConversation:
    """What a client holds of one conversation: its audio at `sample_rate` Hz, when it began, and its
    payloads. `cause` says why motion may be missing; "" if nothing is known."""

    start_ms: int
    sample_rate: int
    pcm: bytearray = field(default_factory=bytearray)
    first_keyframes: list[int] = field(default_factory=list)
    payload_numbers: list[int] = field(default_factory=list)
    keyframe_count: int = 0
    cause: str = ""


class ClientTrack:
    """What one client shows. `at_ms`, `keyframe`, `status`, `cause_index`, `buffered_ms` and `heard_window`
    are columns: from `at_ms` (milliseconds) on the face shows this keyframe (-1: none), with this status, for
    this cause (an index in `causes`), with so many milliseconds of motion in the buffer, and this window of
    40 ms is heard."""

    def __init__(self, payloads: Payloads) -> None:
        """Begin to play one client's avatar; the face is idle. `payloads` are all payloads of motion on the
        page. The columns (`at_ms` and so on) get one entry for each change of what the client shows."""
        self._payloads = payloads
        self.at_ms: list[int] = []
        self.keyframe: list[int] = []
        self.status: list[int] = []
        self.cause_index: list[int] = []
        self.buffered_ms: list[int] = []
        self.heard_window: list[int] = []
        self.causes: list[str] = [""]
        self.conversations: list[HeldConversation] = []
        self.discards: Counter[str] = Counter()
        self._conversation_by_id: dict[str, HeldConversation] = {}
        self._now_ns = 0
        self._conversation_count = 0
        self._sample_rate = _USUAL_RATE
        self.passed_on_payload_count = 0
        """How many payloads the relay has passed on since this conversation began."""
        self.sent_payload_count = 0
        """How many payloads Motion Server has sent since this conversation began."""
        self.reset(_USUAL_RATE)

    def reset(self, sample_rate: int, mode: str = "") -> None:
        """Play the avatar from now on with a new decoder, for audio at `sample_rate` Hz, and add a row to the
        columns if the face changes by that. `mode` says what the decoder does when motion is missing. If the
        rate or the mode is not a known one, take the usual one."""
        is_known_mode = mode in set(StarvationMode)
        self._sample_rate = sample_rate if 0 < sample_rate <= HIGHEST_RATE else _USUAL_RATE
        self._decoder = ClientDecoder(
            self._sample_rate,
            self._make_conversation_id,
            self._now_ns,
            StarvationMode(mode) if is_known_mode else StarvationMode.AUDIO_INDEPENDENT,
        )
        self._write_row_if_changed()

    def _make_conversation_id(self) -> str:
        """Return a new id of a conversation."""
        self._conversation_count += 1
        return f"conversation-{self._conversation_count}"

    def advance(self, to_ns: int) -> None:
        """Play the avatar until the time `to_ns` (nanoseconds): frame by frame as long as it has audio to
        play, and in one step from there."""
        while self._now_ns + _FRAME_NS < to_ns and self._is_playing():
            self._advance_decoder(self._now_ns + _FRAME_NS)
        self._advance_decoder(max(to_ns, self._now_ns))

    def play_to_end(self) -> int:
        """Play the avatar of this client on the page until its audio ends, but at most for
        LONGEST_PLAYBACK_SECONDS. Return the time in nanoseconds until which it was played; if there is no
        audio, this is the present time."""
        latest_ns = self._now_ns + LONGEST_PLAYBACK_SECONDS * 1_000_000_000
        held_audio_ns = self._held_audio_ns()
        end_ns = min(latest_ns, self._now_ns + held_audio_ns + _FRAME_NS)
        if held_audio_ns:
            self.advance(end_ns)
        return self._now_ns

    def feed_audio(self, pcm: bytes, end: bool) -> str:
        """Give audio to the decoder that plays this client's avatar, and return the id of the conversation to
        which the audio belongs. `end`: whether this is the last audio of the conversation."""
        conversation_id = self._decoder.yield_audio_data(pcm, end)
        self._take_events()
        conversation = self._conversation_by_id.get(conversation_id)
        if conversation is not None:
            conversation.pcm += pcm
        self._write_row_if_changed()
        return conversation_id

    def feed_motion(self, frames: tuple[bytes, ...] | None, conversation_id: str) -> list[str]:
        """Give payloads of motion to the decoder that plays this client's avatar. Return in words what the
        decoder did with them, one text for each event. `frames` without payloads means that no motion will
        come (audio-only)."""
        self.passed_on_payload_count += len(frames or ())
        self._decoder.yield_frames_data(frames, conversation_id)
        words = self._take_events(frames or ())
        self._write_row_if_changed()
        return words

    def current_conversation_id(self) -> str:
        """Return the id of the conversation that is played; "" if no conversation is played."""
        return self._decoder.get_current_conversation_id() or ""

    def enter_audio_only(self, why: str) -> list[str]:
        """Play on without motion, as a client does after its relay said that motion failed; `why` is the
        reason. Return in words what the decoder did. If no conversation is played, do nothing."""
        current_conversation = self._conversation_by_id.get(self.current_conversation_id())
        if current_conversation is None:
            return []
        current_conversation.cause = why
        # No payloads tell the decoder that no motion will come.
        return self.feed_motion((), self.current_conversation_id())

    def control_playback(self, command: str) -> None:
        """Change the playback of the avatar as its client did: `command` is "interrupt", "pause" or
        "resume"."""
        action_by_command = {
            "interrupt": self._decoder.interrupt,
            "pause": self._decoder.pause,
            "resume": self._decoder.resume,
        }
        action_by_command[command]()
        self._take_events()
        self._write_row_if_changed()

    def note_cause(self, cause: str) -> None:
        """Note why motion of the avatar may be missing from now on in the conversation that is played."""
        current_conversation = self._conversation_by_id.get(self.current_conversation_id())
        if current_conversation is not None:
            current_conversation.cause = cause

    def _is_playing(self) -> bool:
        """Return whether the decoder has audio to play, and plays it."""
        playing = self._decoder.state is PlaybackState.PLAYING
        return playing and not self._decoder.stalled and self._held_audio_ns() > 0

    def _held_audio_ns(self) -> int:
        """Return how many nanoseconds of audio the client holds and has not played yet; 0 if no conversation
        is played."""
        current_conversation = self._conversation_by_id.get(self.current_conversation_id())
        if current_conversation is None:
            return 0
        held_seconds = (
            len(current_conversation.pcm) / BYTES_PER_SAMPLE / self._sample_rate
            - self._decoder.played_seconds
        )
        return int(max(0.0, held_seconds) * 1e9)

    def _advance_decoder(self, to_ns: int) -> None:
        """Move the decoder's clock to the time `to_ns` (nanoseconds), and add a row to the columns if the
        avatar's face then shows something else."""
        self._now_ns = to_ns
        self._decoder.advance(to_ns)
        self._take_events()
        self._write_row_if_changed()

    def _take_events(self, frames: tuple[bytes, ...] = ()) -> list[str]:
        """Take the events of the avatar's decoder since the last call, and note them for the player page.
        `frames` are the motion payloads that the decoder got since then. Return in words what it did with
        each, and whether it plays audio without motion from now on."""
        words: list[str] = []
        frame_index = 0
        for event in self._decoder.take_events():
            match event:
                case ConversationStarted(conversation_id):
                    self._begin_conversation(conversation_id)
                case MotionTaken(conversation_id, keyframes):
                    self._keep_payload(
                        self._conversation_by_id[conversation_id], frames[frame_index], keyframes
                    )
                    words.append(f"taken: {keyframes} keyframes")
                    frame_index += 1
                case MotionDiscarded(reason=reason):
                    self.discards[str(reason)] += 1
                    self.note_cause(f"the client discarded motion: {reason}")
                    words.append(f"discarded: {reason}")
                    frame_index += 1
                case AudioOnlyEntered():
                    words.append("audio-only from here on")
        return words

    def _begin_conversation(self, conversation_id: str) -> None:
        """Add the new conversation (one turn of speech with its motion) that the avatar's decoder has begun
        to what the client holds, still without audio and payloads. The counts of the payloads that Motion
        Server has sent, and that the relay has passed on, begin again at 0."""
        conversation = HeldConversation(self._now_ns // _MS_NS, self._sample_rate)
        self._conversation_by_id[conversation_id] = conversation
        self.conversations.append(conversation)
        self.passed_on_payload_count = self.sent_payload_count = 0

    def _keep_payload(self, conversation: HeldConversation, raw_payload: bytes, keyframe_count: int) -> None:
        """Add a payload of motion with `keyframe_count` keyframes to what the client holds of its
        conversation. Why the conversation had no motion before (`cause`) is no longer true: forget it."""
        conversation.first_keyframes.append(conversation.keyframe_count)
        conversation.payload_numbers.append(self._payloads.number_of(raw_payload))
        conversation.keyframe_count += keyframe_count
        conversation.cause = ""

    def _write_row_if_changed(self) -> None:
        """Add a row to this client's columns: what the avatar's face shows now. If nothing differs from the
        last row, add none."""
        conversation = self._conversation_by_id.get(self.current_conversation_id())
        status, keyframe, buffered_ms, heard_window = IDLE, -1, 0, -1
        if conversation is not None:
            due_keyframe = int(self._decoder.played_seconds * KEYFRAMES_PER_SECOND + _ROUNDING_ERROR)
            keyframe = self._find_shown_keyframe(conversation, due_keyframe)
            buffered_ms = max(0, (conversation.keyframe_count - due_keyframe) * 1000 // KEYFRAMES_PER_SECOND)
            status, heard_window = self._find_status(keyframe), due_keyframe
        cause_index = self._find_cause_index(conversation, status)
        row = (keyframe, status, cause_index, buffered_ms, heard_window)
        now_ms = self._now_ns // _MS_NS
        if self.at_ms and row == (
            self.keyframe[-1],
            self.status[-1],
            self.cause_index[-1],
            self.buffered_ms[-1],
            self.heard_window[-1],
        ):
            return
        columns = (
            self.at_ms,
            self.keyframe,
            self.status,
            self.cause_index,
            self.buffered_ms,
            self.heard_window,
        )
        for column, value in zip(columns, (now_ms, *row), strict=True):
            column.append(value)

    def _find_status(self, keyframe: int) -> int:
        """Return what the avatar's face does now, while a conversation is played: PAUSED, AUDIO_ONLY (no
        motion will come), STALLED (the audio waits for motion), STARVED (the audio plays on without motion)
        or MOVING. `keyframe` is the keyframe that the face shows; -1 if there is none."""
        if self._decoder.state is PlaybackState.PAUSED:
            return PAUSED
        if self._decoder.audio_only:
            return AUDIO_ONLY
        if self._decoder.stalled:
            return STALLED
        return STARVED if keyframe < 0 else MOVING

    def _find_shown_keyframe(self, conversation: HeldConversation, due_keyframe: int) -> int:
        """Return the number of the keyframe that the avatar shows when `due_keyframe` is due. `due_keyframe`
        is its number in this conversation; the result is its number among all keyframes of the player page.
        Return -1 if the keyframe has not come, or if the client plays audio alone."""
        payload_index = bisect_right(conversation.first_keyframes, due_keyframe) - 1
        if self._decoder.audio_only or payload_index < 0 or due_keyframe >= conversation.keyframe_count:
            return -1
        payload_start = self._payloads.starts[conversation.payload_numbers[payload_index]]
        return payload_start + due_keyframe - conversation.first_keyframes[payload_index]

    def _find_cause_index(self, conversation: HeldConversation | None, status: int) -> int:
        """Return why the avatar's face stands still, as an index into `causes`; 0 if the face moves, or if
        nothing is played. A cause that is new is added to `causes`."""
        if conversation is None or status in (IDLE, MOVING):
            return 0
        missing_count = self.sent_payload_count - self.passed_on_payload_count
        if status == PAUSED:
            cause = "the playback is paused"
        elif conversation.cause:
            cause = conversation.cause
        elif status == AUDIO_ONLY:
            cause = "the client was given empty motion: audio-only"
        elif missing_count > 0:
            payload_words = "a payload" if missing_count == 1 else f"{missing_count} payloads"
            cause = f"Motion Server has sent {payload_words} that the relay has not passed on"
        else:
            cause = "Motion Server has sent no motion for this moment yet"
        if cause not in self.causes:
            self.causes.append(cause)
        return self.causes.index(cause)
