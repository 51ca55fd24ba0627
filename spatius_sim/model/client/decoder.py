"""The client decoder: does with a relay's audio and motion what AvatarKit does (protocol.md section 3).

The caller moves the decoder's clock. For each payload that the decoder discards, it records the reason. A tag
in brackets, such as (seed:002) or (recording), names a source; rules/rule_sources.py explains the tags.
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
    """One conversation at the client. `played_nanosamples` is the number of played samples times 10^9: so no
    sample rate needs rounding, because time is in nanoseconds. `next_keyframe` is the first keyframe not yet
    rendered."""

    conversation_id: str
    audio_bytes: int = 0
    ended: bool = False
    audio_only: bool = False
    motion: list[Keyframes] = field(default_factory=list)
    keyframes: int = 0
    played_nanosamples: int = 0
    next_keyframe: int = 0
    stalled: bool = False
    abnormal: bool = False
    """Whether undecodable motion came; from then on the audio does not wait for motion."""

    @property
    def samples(self) -> int:
        """How many whole samples of audio have arrived."""
        return self.audio_bytes // BYTES_PER_SAMPLE

    def find_keyframe(self, index: int) -> Keyframes | None:
        """Return keyframe number `index` (0, 1, ...) of this decoded conversation, shape (120,); None if the
        client decoder has not got this keyframe. The keyframes lie in segments, one for each motion
        payload."""
        for segment in self.motion:
            if index < len(segment):
                keyframe: Keyframes = segment[index]
                return keyframe
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
        """Begin a decoder that is idle and has no conversation. `sample_rate` is in Hz. `new_id()` returns
        the id of each new conversation, and `now_ns` is the first time on the clock. `mode` says whether
        audio waits for late motion. `render` is called with each keyframe that is shown."""
        self._sample_rate = sample_rate
        self._new_id = new_id
        self._now_ns = now_ns
        self._mode = mode
        self._render = render
        self._conversation: DecodedConversation | None = None
        self._latest_conversation_id = ""
        self._interrupted: deque[str] = deque(maxlen=_INTERRUPTED_IDS_KEPT)
        self._samples_of_last_conversation = 0
        self._events: list[DecoderEvent] = []
        self.state = PlaybackState.IDLE
        self.discards: Counter[DiscardReason] = Counter()
        """How many payloads were discarded, by reason. AvatarKit itself does not report this."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        """Take a chunk of audio (mono s16le), and return the id of the conversation to which the chunk
        belongs. If no conversation is current, return the id of the last one.

        `end` marks the last chunk of a conversation. The next audio starts a new conversation with a new id,
        and stops what is still playing (as the Web SDK's page says, docs:web-sdk). ASSUMED, because no
        document says it: an empty chunk after an end starts nothing. The SDKs for Web, iOS, Android and
        Flutter name this method `yieldAudioData`."""
        if STARTS_CONVERSATION[self._audio_state, bool(audio)]:
            self._start_conversation()
        conversation = self._conversation
        if conversation is None:
            return self._latest_conversation_id
        conversation.audio_bytes += len(audio)
        conversation.ended = conversation.ended or end
        return conversation.conversation_id

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        """Take encoded motion payloads (`frames`) for the conversation with this id, and show the keyframe
        that is due.

        None or an empty list makes the conversation audio-only until its end (a document says so, seed:002).
        Payloads for any other than the current conversation, or for one that is audio-only, are discarded
        without an error. Only `conversation_id` decides: the req_id in a payload is not compared. Motion is
        accepted until the audio has been played. The SDKs name this method: `yieldFramesData` for Web, iOS
        and Android, `yieldAnimations` for Flutter."""
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
            self._render_due_keyframes(conversation)

    def get_current_conversation_id(self) -> str | None:
        """Return the id of the conversation that is open or playing; None if there is none (seed:004). Web,
        iOS, Android: `getCurrentConversationId`."""
        return self._conversation.conversation_id if self._conversation else None

    def interrupt(self) -> None:
        """Stop, clear pending audio and motion, reset the conversation (docs:audio-io). All platforms:
        `interrupt`."""
        self._interrupt_conversation()
        self._change_state(PlaybackEvent.INTERRUPT, StateReason.USER_ACTION)

    def pause(self) -> None:
        """Pause the playback, and keep all audio and motion (docs:audio-io). All platforms: `pause`."""
        self._change_state(PlaybackEvent.PAUSE, StateReason.USER_ACTION)

    def resume(self) -> None:
        """Continue the playback where `pause` stopped it (docs:audio-io). All platforms: `resume`."""
        self._change_state(PlaybackEvent.RESUME, StateReason.USER_ACTION)

    def advance(self, to_ns: int) -> None:
        """Move the decoder's clock to `to_ns` (nanoseconds). If the playback is on, play the audio and motion
        that are due until then. Raises ValueError if `to_ns` lies in the past."""
        if to_ns < self._now_ns:
            raise ValueError(f"the clock is at {self._now_ns} ns and cannot go back to {to_ns} ns")
        passed_ns, self._now_ns = to_ns - self._now_ns, to_ns
        conversation = self._conversation
        if conversation is not None and self.state is PlaybackState.PLAYING:
            self._play_audio(conversation, passed_ns)

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
        """How many seconds of the current conversation's audio the decoder has played; 0.0 if no conversation
        is current."""
        if self._conversation is None:
            return 0.0
        return self._conversation.played_nanosamples / _SECOND_NS / self._sample_rate

    @property
    def samples_played(self) -> int:
        """The number of samples that the decoder has played of the current conversation. If no conversation
        is current: of the last one. (Nanosamples are samples times 10^9.)"""
        if self._conversation is None:
            return self._samples_of_last_conversation
        return self._conversation.played_nanosamples // _SECOND_NS

    @property
    def current_keyframe(self) -> Keyframes | None:
        """The keyframe that the avatar shows now, shape (120,). Keyframe k is due k/25 s after the start, as
        a published recording of Motion Server shows. None if this keyframe has not arrived, if the
        conversation is audio-only, or if there is no conversation."""
        conversation = self._conversation
        if conversation is None or conversation.audio_only:
            return None
        return conversation.find_keyframe(self._keyframe_due(conversation))

    @property
    def _audio_state(self) -> AudioState:
        """How far the audio of the current conversation has come: OPEN until its end mark has arrived, then
        COMPLETE. Without a current conversation: NONE before the first one, later PLAYED_OR_INTERRUPTED."""
        if self._conversation is None:
            return AudioState.PLAYED_OR_INTERRUPTED if self._latest_conversation_id else AudioState.NONE
        return AudioState.COMPLETE if self._conversation.ended else AudioState.OPEN

    def _start_conversation(self) -> DecodedConversation:
        """Start a new conversation, which replaces the current one, and return it. Record the event
        ConversationStarted, and let the playback begin."""
        conversation = self._conversation = DecodedConversation(self._new_id())
        self._latest_conversation_id = conversation.conversation_id
        self._events.append(ConversationStarted(conversation.conversation_id))
        self._change_state(PlaybackEvent.AUDIO, StateReason.USER_ACTION)
        return conversation

    def _find_motion_target(self, conversation_id: str) -> MotionTarget:
        """Return for which conversation motion with this id comes. CURRENT or AUDIO_ONLY: the current one,
        with motion or without. INTERRUPTED: one that was interrupted. FOREIGN: any other, while a
        conversation is current. NOTHING_CURRENT: any other, while none is."""
        conversation = self._conversation
        if conversation is not None and conversation.conversation_id == conversation_id:
            return MotionTarget.AUDIO_ONLY if conversation.audio_only else MotionTarget.CURRENT
        if conversation_id in self._interrupted:
            return MotionTarget.INTERRUPTED
        return MotionTarget.NOTHING_CURRENT if conversation is None else MotionTarget.FOREIGN

    def _interrupt_conversation(self) -> None:
        """End the current conversation, if there is one, and remember its id as interrupted."""
        if self._conversation is not None:
            self._interrupted.append(self._conversation.conversation_id)
            self._end_conversation(self._conversation)

    def _end_conversation(self, conversation: DecodedConversation) -> None:
        """End this conversation, so that none is current, and keep the number of its played samples."""
        self._samples_of_last_conversation = conversation.played_nanosamples // _SECOND_NS
        self._conversation = None

    def _switch_to_audio_only(self, conversation: DecodedConversation) -> None:
        """Make the conversation audio-only and end its stall; add an event for this."""
        conversation.audio_only = True
        self._set_stalled(conversation, stalled=False)
        self._events.append(AudioOnlyEntered(conversation.conversation_id))

    def _keyframe_due(self, conversation: DecodedConversation) -> int:
        """Return the number of the keyframe that is due now, after the samples that were played."""
        return conversation.played_nanosamples * KEYFRAMES_PER_SECOND // (_SECOND_NS * self._sample_rate)

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        """Play the audio of a conversation for `passed_ns` nanoseconds, and render the keyframes that become
        due. Note whether the audio must wait for motion. End the conversation if all its audio has been
        played. Positions in the audio are in nanosamples (samples times 10^9), so that nothing is rounded."""
        end = conversation.samples * _SECOND_NS
        playable_end = min(end, self._find_playable_end(conversation))
        target = conversation.played_nanosamples + passed_ns * self._sample_rate
        first_keyframe = max(conversation.next_keyframe, self._keyframe_due(conversation))
        conversation.played_nanosamples = max(conversation.played_nanosamples, min(playable_end, target))
        self._set_stalled(conversation, playable_end < end and target >= playable_end)
        self._render_due_keyframes(conversation, first_keyframe)
        if conversation.ended and conversation.played_nanosamples == end:
            self._end_conversation(conversation)
            self._change_state(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        """Return up to which position the audio may be played now, in nanosamples (samples times 10^9). This
        is the end of the audio that has arrived. If the audio waits for motion (mode strictSync), it is the
        first missing keyframe; a rest of audio that is shorter than a keyframe needs no motion."""
        end = conversation.samples * _SECOND_NS
        needed_keyframes = keyframe_count(conversation.samples, self._sample_rate)
        if self._mode is StarvationMode.AUDIO_INDEPENDENT or conversation.audio_only:
            return end
        if conversation.abnormal:
            return end  # "abnormal motion: audio plays normally" (docs:faq).
        if conversation.keyframes >= needed_keyframes:
            return end
        return conversation.keyframes * self._sample_rate * _SECOND_NS // KEYFRAMES_PER_SECOND

    def _set_stalled(self, conversation: DecodedConversation, stalled: bool) -> None:
        """Set whether the conversation's audio waits for motion. If this changes, record an event."""
        if conversation.stalled is not stalled:
            conversation.stalled = stalled
            self._events.append(StallChanged(conversation.conversation_id, stalled))

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        """Render the keyframes of a conversation from number `first` to the one that is due now, each only
        once. If `first` is None, render only the one that is due now. Render nothing if the playback is
        paused or idle, or if the conversation is audio-only."""
        if self._render is None or conversation.audio_only or self.state is not PlaybackState.PLAYING:
            return
        due = self._keyframe_due(conversation)
        if conversation.ended:
            # If the end of the audio is known, no keyframe is shown that is due there, or later.
            due = min(due, (conversation.samples * KEYFRAMES_PER_SECOND - 1) // self._sample_rate)
        for index in range(max(conversation.next_keyframe, due if first is None else first), due + 1):
            keyframe = conversation.find_keyframe(index)
            if keyframe is not None:
                conversation.next_keyframe = index + 1
                self._render(keyframe)

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        """Decode a motion payload, add its keyframes to the conversation, and record the event MotionTaken.
        If the payload is not motion, discard it; from then on the conversation's audio no longer waits for
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

    def _change_state(self, event: PlaybackEvent, reason: StateReason) -> None:
        """Change the state of the playback as PLAYBACK_TABLE says for this playback event. If the state is a
        new one, record StateChanged with this `reason`."""
        new_state = PLAYBACK_TABLE[self.state, event]
        if new_state is not self.state:
            self.state = new_state
            self._events.append(StateChanged(new_state, reason))
