"""The client decoder: does with a relay's audio and motion what AvatarKit does (protocol.md section 3).

The caller moves the decoder's clock. For each payload that the decoder discards, it records the reason.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from spatius_sim.model.client.conversation_states import (
    MOTION_TABLE,
    STARTS_CONVERSATION,
    AudioState,
    MotionAction,
    MotionInput,
    MotionTarget,
)
from spatius_sim.model.client.playback_states import PLAYBACK_TABLE, PlaybackEvent
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import (
    AudioOnlyEntered,
    ConversationStarted,
    DecoderEvent,
    DiscardReason,
    MotionDiscarded,
    MotionTaken,
    PlaybackState,
    StallChanged,
    StarvationMode,
    StateChanged,
    StateReason,
)

_SECOND_NS = 1_000_000_000
_INTERRUPTED_IDS_KEPT = 64


@dataclass(slots=True)
class DecodedConversation:
    """One conversation at the client. `played` is the number of played samples times 10^9: so no sample rate
    needs rounding, because time is in nanoseconds. `next_keyframe` is the first keyframe not yet rendered."""

    conversation_id: str
    audio_bytes: int = 0
    ended: bool = False
    audio_only: bool = False
    motion: list[Keyframes] = field(default_factory=list)
    keyframes: int = 0
    played: int = 0
    next_keyframe: int = 0
    stalled: bool = False
    abnormal: bool = False
    """Whether undecodable motion came; from then on the audio does not wait for motion."""

    @property
    def samples(self) -> int:
        """How many whole samples of audio have arrived."""
        return self.audio_bytes // BYTES_PER_SAMPLE

    def keyframe(self, index: int) -> Keyframes | None:
        """Return keyframe number `index` (0, 1, ...) of the motion that the decoder got for this
        conversation, shape (120,); None if the keyframe has not come."""
        for segment in self.motion:
            if index < len(segment):
                row: Keyframes = segment[index]
                return row
            index -= len(segment)
        return None


class ClientDecoder:
    """Behaves as AvatarKit in Backend Mode, without a face.

    `sample_rate` is in Hz. `new_id` returns a new conversation id at each call. `now_ns` is the time at the
    beginning, any number; only `advance` changes the time. `render` is called with each keyframe, shape
    (120,), when the avatar shows it."""

    def __init__(
        self,
        sample_rate: int,
        new_id: Callable[[], str],
        now_ns: int = 0,
        mode: StarvationMode = StarvationMode.AUDIO_INDEPENDENT,
        render: Callable[[Keyframes], None] | None = None,
    ) -> None:
        """Begin a client decoder that is idle and has no conversation. `sample_rate` is in Hz. `new_id`
        returns an id for each new conversation. The clock begins at `now_ns`; `mode` says what late motion
        does to the audio; `render` is called with the keyframes that are shown."""
        self._sample_rate = sample_rate
        self._new_id = new_id
        self._now_ns = now_ns
        self._mode = mode
        self._render = render
        self._conversation: DecodedConversation | None = None
        self._latest_id = ""
        self._interrupted: deque[str] = deque(maxlen=_INTERRUPTED_IDS_KEPT)
        self._samples_played = 0
        self._events: list[DecoderEvent] = []
        self.state = PlaybackState.IDLE
        self.discards: Counter[DiscardReason] = Counter()
        """How many payloads were discarded, by reason. AvatarKit itself does not report this."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        """Take a chunk of audio (mono s16le), and return the id of the conversation to which the chunk
        belongs.

        A conversation ends with the chunk that has `end`. The next audio starts a new conversation with a new
        id, and stops what is still playing (docs:web-sdk). An empty chunk after the end of a conversation
        starts nothing (ASSUMED). Web, iOS, Android, Flutter: `yieldAudioData`."""
        if STARTS_CONVERSATION[self._audio_state, bool(audio)]:
            self._start_conversation()
        conversation = self._conversation
        if conversation is None:
            return self._latest_id
        conversation.audio_bytes += len(audio)
        conversation.ended = conversation.ended or end
        return conversation.conversation_id

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        """Give the decoder encoded motion payloads for the conversation with this id.

        Payloads for any other than the current conversation are discarded without an error. None, or an empty
        list, makes the conversation audio-only until its end (seed:002). Only the argument decides: the
        req_id in a payload is never compared. Motion is accepted until the audio has been played. Web, iOS,
        Android: `yieldFramesData`; Flutter: `yieldAnimations`.
        """
        motion_input = MotionInput.PAYLOADS if frames else MotionInput.NOTHING
        action = MOTION_TABLE[self._find_motion_target(conversation_id), motion_input]
        if isinstance(action, DiscardReason):
            self._discard(frames or (), conversation_id, action)
            return
        conversation = self._conversation
        assert conversation is not None
        if action is MotionAction.SWITCH:
            self._switch_to_audio_only(conversation)
        else:
            for payload in frames or ():
                self._accept_payload(conversation, payload)
            self._show(conversation)

    def get_current_conversation_id(self) -> str | None:
        """Return the id of the conversation that is open or playing; None if there is none (seed:004). Web,
        iOS, Android: `getCurrentConversationId`."""
        return self._conversation.conversation_id if self._conversation else None

    def interrupt(self) -> None:
        """Stop, clear pending audio and motion, reset the conversation (docs:audio-io). All platforms:
        `interrupt`."""
        self._clear()
        self._change(PlaybackEvent.INTERRUPT, StateReason.USER_ACTION)

    def pause(self) -> None:
        """Pause the playback, and keep all audio and motion (docs:audio-io). All platforms: `pause`."""
        self._change(PlaybackEvent.PAUSE, StateReason.USER_ACTION)

    def resume(self) -> None:
        """Continue the playback where `pause` stopped it (docs:audio-io). All platforms: `resume`."""
        self._change(PlaybackEvent.RESUME, StateReason.USER_ACTION)

    def advance(self, to_ns: int) -> None:
        """Move the client decoder's clock to `to_ns`, and play the audio and motion that are due until then.
        Raises ValueError if `to_ns` lies in the past."""
        if to_ns < self._now_ns:
            raise ValueError(f"the clock is at {self._now_ns} ns and cannot go back to {to_ns} ns")
        passed_ns, self._now_ns = to_ns - self._now_ns, to_ns
        conversation = self._conversation
        if conversation is not None and self.state is PlaybackState.PLAYING:
            self._play(conversation, passed_ns)

    def take_events(self) -> list[DecoderEvent]:
        """Return the events since the last call, in order, and forget them."""
        events, self._events = self._events, []
        return events

    @property
    def audio_only(self) -> bool:
        """Whether the current conversation is audio-only."""
        return self._conversation is not None and self._conversation.audio_only

    @property
    def stalled(self) -> bool:
        """Whether the audio waits because motion is missing (in strictSync only)."""
        return self._conversation is not None and self._conversation.stalled

    @property
    def played_seconds(self) -> float:
        """How many seconds of the current conversation's audio the client decoder has played."""
        return self._conversation.played / _SECOND_NS / self._sample_rate if self._conversation else 0.0

    @property
    def samples_played(self) -> int:
        """How many samples of the current conversation the client decoder has played; if no conversation is
        current, of the last conversation."""
        conversation = self._conversation
        return conversation.played // _SECOND_NS if conversation else self._samples_played

    @property
    def keyframe_row(self) -> Keyframes | None:
        """The keyframe that the avatar shows now, shape (120,): keyframe k is due k/25 s after the start
        (recording). None if the motion for this moment has not come, or if the conversation is audio-only or
        there is none."""
        conversation = self._conversation
        if conversation is None or conversation.audio_only:
            return None
        return conversation.keyframe(self._keyframe_due(conversation))

    @property
    def _audio_state(self) -> AudioState:
        """Return how far the audio of the decoder's current conversation has come: OPEN until its end mark,
        then COMPLETE. Without a current conversation: NONE before the first one, PLAYED_OR_INTERRUPTED after
        it."""
        if self._conversation is None:
            return AudioState.PLAYED_OR_INTERRUPTED if self._latest_id else AudioState.NONE
        return AudioState.COMPLETE if self._conversation.ended else AudioState.OPEN

    def _start_conversation(self) -> DecodedConversation:
        """Start a new conversation of the client decoder in place of the current one, add the event
        ConversationStarted, and return the new conversation."""
        conversation = self._conversation = DecodedConversation(self._new_id())
        self._latest_id = conversation.conversation_id
        self._events.append(ConversationStarted(conversation.conversation_id))
        self._change(PlaybackEvent.AUDIO, StateReason.USER_ACTION)
        return conversation

    def _find_motion_target(self, conversation_id: str) -> MotionTarget:
        """Find out for which conversation the client decoder gets motion with this id: the current one
        (perhaps audio-only), an interrupted one, or another one (FOREIGN). Return NOTHING_CURRENT if no
        conversation is current, and none with this id was interrupted."""
        conversation = self._conversation
        if conversation is not None and conversation.conversation_id == conversation_id:
            return MotionTarget.AUDIO_ONLY if conversation.audio_only else MotionTarget.CURRENT
        if conversation_id in self._interrupted:
            return MotionTarget.INTERRUPTED
        return MotionTarget.NOTHING_CURRENT if conversation is None else MotionTarget.FOREIGN

    def _clear(self) -> None:
        """End the current conversation of the client decoder as interrupted."""
        if self._conversation is not None:
            self._interrupted.append(self._conversation.conversation_id)
            self._leave(self._conversation)

    def _leave(self, conversation: DecodedConversation) -> None:
        """End this conversation of the client decoder, so that none is current, and keep the number of its
        played samples."""
        self._samples_played = conversation.played // _SECOND_NS
        self._conversation = None

    def _switch_to_audio_only(self, conversation: DecodedConversation) -> None:
        """Make the conversation audio-only and end its stall; add an event for this."""
        conversation.audio_only = True
        self._stall(conversation, stalled=False)
        self._events.append(AudioOnlyEntered(conversation.conversation_id))

    def _keyframe_due(self, conversation: DecodedConversation) -> int:
        """Return the number of the keyframe that the client decoder must show now, after the samples that it
        has played."""
        return conversation.played * KEYFRAMES_PER_SECOND // (_SECOND_NS * self._sample_rate)

    def _play(self, conversation: DecodedConversation, passed_ns: int) -> None:
        """Let the decoder play a conversation for `passed_ns` nanoseconds: render the keyframes that become
        due, stall if motion is missing, and end the conversation if all its audio has been played."""
        end = conversation.samples * _SECOND_NS
        playable_end = min(end, self._end_of_playable_audio(conversation))
        target = conversation.played + passed_ns * self._sample_rate
        first_keyframe = max(conversation.next_keyframe, self._keyframe_due(conversation))
        conversation.played = max(conversation.played, min(playable_end, target))
        self._stall(conversation, playable_end < end and target >= playable_end)
        self._show(conversation, first_keyframe)
        if conversation.ended and conversation.played == end:
            self._leave(conversation)
            self._change(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)

    def _end_of_playable_audio(self, conversation: DecodedConversation) -> int:
        """Return up to which position the decoder may play the conversation's audio now: to its end or, in
        the mode strictSync, to the first missing keyframe. Samples at the end that fill no keyframe need no
        motion. The unit is a sample / 10^9, so that integers stay exact."""
        end = conversation.samples * _SECOND_NS
        needed = keyframe_count(conversation.samples, self._sample_rate)
        if self._mode is StarvationMode.AUDIO_INDEPENDENT or conversation.audio_only:
            return end
        if conversation.abnormal:
            return end  # "abnormal motion: audio plays normally" (docs:faq).
        if conversation.keyframes >= needed:
            return end
        return conversation.keyframes * self._sample_rate * _SECOND_NS // KEYFRAMES_PER_SECOND

    def _stall(self, conversation: DecodedConversation, stalled: bool) -> None:
        """Set whether the conversation's audio waits for motion; add an event if this changes."""
        if conversation.stalled is not stalled:
            conversation.stalled = stalled
            self._events.append(StallChanged(conversation.conversation_id, stalled))

    def _show(self, conversation: DecodedConversation, first: int | None = None) -> None:
        """Let the decoder render each keyframe of the conversation once, from number `first` (None: from the
        one that is due now) to the one that is due now. Nothing is rendered if the playback is paused or
        idle, or if the conversation is audio-only."""
        if self._render is None or conversation.audio_only or self.state is not PlaybackState.PLAYING:
            return
        due = self._keyframe_due(conversation)
        if conversation.ended:
            # A keyframe that is due at the end of the audio, or later, is never shown.
            due = min(due, (conversation.samples * KEYFRAMES_PER_SECOND - 1) // self._sample_rate)
        for index in range(max(conversation.next_keyframe, due if first is None else first), due + 1):
            row = conversation.keyframe(index)
            if row is not None:
                conversation.next_keyframe = index + 1
                self._render(row)

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        """Decode one motion payload, keep its keyframes for the conversation, and add a MotionTaken event. If
        the payload is not motion, discard it; then the conversation's audio plays on without waiting for
        motion."""
        try:
            message = decode(payload)
        except RemoteProtocolError:
            message = None
        if isinstance(message, MotionResponse):
            conversation.motion.append(message.keyframes)
            conversation.keyframes += len(message.keyframes)
            self._events.append(MotionTaken(conversation.conversation_id, len(message.keyframes)))
        else:
            conversation.abnormal = True
            self._discard([payload], conversation.conversation_id, DiscardReason.UNDECODABLE)

    def _discard(self, frames: Sequence[bytes], conversation_id: str, reason: DiscardReason) -> None:
        """Count these payloads as discarded, and add an event for each."""
        self.discards[reason] += len(frames)
        self._events.extend(MotionDiscarded(conversation_id, reason) for _ in frames)

    def _change(self, event: PlaybackEvent, reason: StateReason) -> None:
        """Change the state of the decoder's playback as PLAYBACK_TABLE says for this event. If this is a new
        state, add StateChanged, with this reason, to the events of the decoder."""
        state = PLAYBACK_TABLE[self.state, event]
        if state is not self.state:
            self.state = state
            self._events.append(StateChanged(state, reason))
