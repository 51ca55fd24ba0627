"""The client decoder: what AvatarKit does with what a relay delivers (protocol.md section 3).

It plays on the clock that it is given, and it leaves a reason for everything that it discards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from spatius_sim.model.decoder_events import (
    AudioOnlyEntered,
    ConversationStarted,
    DecoderEvent,
    DiscardReason,
    MotionDiscarded,
    MotionTaken,
    PlaybackState,
    StateChanged,
    StateReason,
)
from spatius_sim.model.playback_table import PLAYBACK_TABLE, PlaybackEvent
from spatius_sim.model.trace import read_upstream
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, duration_ns
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import MotionResponse

_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class _Conversation:
    conversation_id: str
    audio_bytes: int = 0
    ended: bool = False
    audio_only: bool = False
    motion: list[Keyframes] = field(default_factory=list)
    played_ns: int = 0


class ClientDecoder:
    """AvatarKit's Backend Mode half.

    `sample_rate` in Hz; `new_id` gives the conversation ids, each of them once. `now_ns` may start
    anywhere and only moves on through `advance`.
    """

    def __init__(self, sample_rate: int, new_id: Callable[[], str], now_ns: int = 0) -> None:
        self._sample_rate = sample_rate
        self._new_id = new_id
        self._now_ns = now_ns
        self._conversation: _Conversation | None = None
        self._latest_id = ""
        self._events: list[DecoderEvent] = []
        self.state = PlaybackState.IDLE

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        """Take a chunk of a round's audio (mono s16le) and return the conversationId that it belongs to.

        The chunks up to and including the one with `end` are one round; the next audio starts a new round
        with a new id and cuts off what is still playing (docs:web-sdk). An empty chunk after the end of a
        round starts nothing (ASSUMED). Web, iOS, Android, Flutter: `yieldAudioData`.
        """
        conversation = self._conversation
        if conversation is None and not audio and self._latest_id:
            return self._latest_id
        if conversation is None or (conversation.ended and audio):
            conversation = self._conversation = _Conversation(self._new_id())
            self._latest_id = conversation.conversation_id
            self._events.append(ConversationStarted(conversation.conversation_id))
            self._change(PlaybackEvent.AUDIO, StateReason.USER_ACTION)
        conversation.audio_bytes += len(audio)
        conversation.ended = conversation.ended or end
        return conversation.conversation_id

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        """Take encoded motion payloads for a conversation.

        With another id than the current one they are discarded in silence; no list, or an empty one, makes
        the conversation audio-only for the rest of it (seed:002). The argument decides: the payload's own
        req_id is never compared. Web, iOS, Android: `yieldFramesData`; Flutter: `yieldAnimations`.
        """
        conversation = self._conversation
        if conversation is None or conversation.conversation_id != conversation_id:
            missing = conversation is None
            reason = DiscardReason.NO_CONVERSATION if missing else DiscardReason.MISMATCHED_ID
            self._discard(frames or (), conversation_id, reason)
        elif conversation.audio_only:
            self._discard(frames or (), conversation_id, DiscardReason.AUDIO_ONLY)
        elif not frames:
            conversation.audio_only = True
            self._events.append(AudioOnlyEntered(conversation_id))
        else:
            for payload in frames:
                self._take(conversation, payload)

    def get_current_conversation_id(self) -> str | None:
        """The id of the round that is open or playing, None where there is none (seed:004)."""
        return self._conversation.conversation_id if self._conversation else None

    def interrupt(self) -> None:
        """Stop, clear pending audio and motion, reset the conversation (docs:audio-io)."""
        self._conversation = None
        self._change(PlaybackEvent.INTERRUPT, StateReason.USER_ACTION)

    def pause(self) -> None:
        """Hold playback; state and buffers are kept (docs:audio-io)."""
        self._change(PlaybackEvent.PAUSE, StateReason.USER_ACTION)

    def resume(self) -> None:
        """Go on where `pause` held (docs:audio-io)."""
        self._change(PlaybackEvent.RESUME, StateReason.USER_ACTION)

    def advance(self, to_ns: int) -> None:
        """Move the clock on to `to_ns`; raises ValueError for a time that lies behind."""
        if to_ns < self._now_ns:
            raise ValueError(f"the clock is at {self._now_ns} ns and cannot go back to {to_ns} ns")
        passed_ns, self._now_ns = to_ns - self._now_ns, to_ns
        conversation = self._conversation
        if conversation is None or self.state is not PlaybackState.PLAYING:
            return
        have_ns = duration_ns(conversation.audio_bytes // BYTES_PER_SAMPLE, self._sample_rate)
        conversation.played_ns = min(have_ns, conversation.played_ns + passed_ns)
        if conversation.ended and conversation.played_ns == have_ns:
            self._conversation = None
            self._change(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)

    def take_events(self) -> list[DecoderEvent]:
        """What has happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    @property
    def audio_only(self) -> bool:
        """Whether the current conversation is audio-only."""
        return self._conversation is not None and self._conversation.audio_only

    @property
    def played_seconds(self) -> float:
        """How much of the current conversation's audio has been played."""
        return self._conversation.played_ns / _SECOND_NS if self._conversation else 0.0

    @property
    def keyframe_row(self) -> Keyframes | None:
        """The keyframe that is on the face, shape (120,): number k from k/25 s on (recording). None while
        there is no motion for the moment."""
        conversation = self._conversation
        if conversation is None or conversation.audio_only:
            return None
        index = conversation.played_ns * KEYFRAMES_PER_SECOND // _SECOND_NS
        for segment in conversation.motion:
            if index < len(segment):
                row: Keyframes = segment[index]
                return row
            index -= len(segment)
        return None

    def _take(self, conversation: _Conversation, payload: bytes) -> None:
        message = read_upstream(payload)
        if isinstance(message, MotionResponse):
            conversation.motion.append(message.keyframes)
            self._events.append(MotionTaken(conversation.conversation_id, len(message.keyframes)))
        else:
            self._discard([payload], conversation.conversation_id, DiscardReason.UNDECODABLE)

    def _discard(self, frames: Sequence[bytes], conversation_id: str, reason: DiscardReason) -> None:
        self._events.extend(MotionDiscarded(conversation_id, reason) for _ in frames)

    def _change(self, event: PlaybackEvent, reason: StateReason) -> None:
        state = PLAYBACK_TABLE[self.state, event]
        if state is not self.state:
            self.state = state
            self._events.append(StateChanged(state, reason))
