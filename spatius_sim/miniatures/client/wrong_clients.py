"""Clients wrong in exactly one named way, and honest ones that differ in what the rules leave open."""

from collections.abc import Sequence

from spatius_sim.miniatures.client.wrong_after_pauses import PAUSE_MINIATURES
from spatius_sim.miniatures.client.wrong_at_edges import EDGE_MINIATURES
from spatius_sim.miniatures.client.wrong_between_conversations import BETWEEN_MINIATURES
from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.model.client.playback_states import PlaybackEvent
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode, StateReason

SECOND_NS = 1_000_000_000


class NamesEveryChunk(ClientDecoder):
    """Returns another id for each later chunk of a conversation."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        before = self._conversation
        returned = super().yield_audio_data(audio, end)
        later = before is not None and before is self._conversation
        return f"{returned}-{before.samples}" if later and before else returned


class ReusesIds(ClientDecoder):
    """Has one id for all rounds."""

    def _start_conversation(self) -> DecodedConversation:
        new_id, known = self._new_id, self._latest_conversation_id
        self._new_id = (lambda: known) if known else new_id
        return super()._start_conversation()


class KeepsIdOverInterrupt(ClientDecoder):
    """Still gives the id that was interrupted."""

    def get_current_conversation_id(self) -> str | None:
        return super().get_current_conversation_id() or self._latest_conversation_id or None


class ComparesReqId(ClientDecoder):
    """Takes a payload only where its own req_id is the conversation's id."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if conversation.conversation_id.encode() in payload:
            super()._accept_payload(conversation, payload)


class ComparesIdPrefixes(ClientDecoder):
    """Takes motion whose id is the beginning of the current one."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self.get_current_conversation_id() or ""
        near = bool(frames) and current.startswith(conversation_id)
        super().yield_frames_data(frames, current if near else conversation_id)


class TakesFirstPayloadAlone(ClientDecoder):
    """Takes the first payload of a list, and forgets the others."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        super().yield_frames_data(frames and list(frames)[:1], conversation_id)


class SwitchesOnInterruptedEmpty(ClientDecoder):
    """Goes audio-only if an empty list comes with the id of an interrupted conversation."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        late = not frames and conversation_id in self._interrupted
        super().yield_frames_data(
            frames, (self.get_current_conversation_id() or "") if late else conversation_id
        )


class KeepsEarlyMotion(ClientDecoder):
    """Gives the motion that came before any audio to the first conversation."""

    _early: tuple[bytes, ...] = ()

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        if not self._latest_conversation_id:
            self._early += tuple(frames or ())
        super().yield_frames_data(frames, conversation_id)

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        for payload in self._early:
            self._accept_payload(conversation, payload)
        self._early = ()
        return conversation


class KeepsMotionOverInterrupt(ClientDecoder):
    """Interrupt clears the audio alone: the next conversation begins with the old motion."""

    _kept: tuple[Keyframes, ...] = ()

    def interrupt(self) -> None:
        if self._conversation is not None:
            self._kept = tuple(self._conversation.motion)
        super().interrupt()

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        conversation.motion.extend(self._kept)
        conversation.keyframes = sum(map(len, self._kept))
        self._kept = ()
        return conversation


class DropsMotionInPause(ClientDecoder):
    """Forgets the motion that it has when it is paused."""

    def pause(self) -> None:
        super().pause()
        if self.state is PlaybackState.PAUSED and self._conversation is not None:
            self._conversation.motion = [rows * 0 for rows in self._conversation.motion]


class RunsOnInPause(ClientDecoder):
    """Its audio goes on while it is paused."""

    def advance(self, to_ns: int) -> None:
        passed_ns = to_ns - self._now_ns
        super().advance(to_ns)
        conversation = self._conversation
        if conversation is not None and self.state is PlaybackState.PAUSED:
            end = conversation.samples * SECOND_NS
            conversation.played_nanosamples = min(
                end, conversation.played_nanosamples + passed_ns * self._sample_rate
            )


class StopsOnEmpty(ClientDecoder):
    """An empty list ends the audio, too."""

    def _switch_to_audio_only(self, conversation: DecodedConversation) -> None:
        super()._switch_to_audio_only(conversation)
        self._end_conversation(conversation)
        self._change_state(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)


class ForgetsAudioOnly(ClientDecoder):
    """New motion takes it out of audio-only."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        if current is not None and frames and current.conversation_id == conversation_id:
            current.audio_only = False
        super().yield_frames_data(frames, conversation_id)


class AudioOnlyForEver(ClientDecoder):
    """An empty list makes all later sessions audio-only."""

    _for_ever = False

    def _switch_to_audio_only(self, conversation: DecodedConversation) -> None:
        super()._switch_to_audio_only(conversation)
        self._for_ever = True

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        conversation.audio_only = self._for_ever
        return conversation


class SwitchesOnForeignEmpty(ClientDecoder):
    """Takes an empty list with a foreign id as a switch."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self.get_current_conversation_id()
        super().yield_frames_data(frames, conversation_id if frames or current is None else current)


class StopsOnUndecodable(ClientDecoder):
    """Bytes that it cannot decode end the audio."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        try:
            decode(payload)
            super()._accept_payload(conversation, payload)
        except RemoteProtocolError:
            self._end_conversation(conversation)
            self._change_state(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)


class GoesIdleWithoutEnd(ClientDecoder):
    """Reports idle as soon as its audio runs out."""

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        super()._play_audio(conversation, passed_ns)
        if conversation.samples * SECOND_NS == conversation.played_nanosamples:
            self._change_state(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        returned = super().yield_audio_data(audio, end)
        if self._conversation is not None:
            self._change_state(PlaybackEvent.AUDIO, StateReason.USER_ACTION)
        return returned


class StallsAlways(ClientDecoder):
    """Waits for motion whatever its mode."""

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        mode, self._mode = self._mode, StarvationMode.STRICT_SYNC
        end = super()._find_playable_end(conversation)
        self._mode = mode
        return end


class NeverStalls(ClientDecoder):
    """Goes on without motion whatever its mode."""

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        return conversation.samples * SECOND_NS


class StallsInSilence(ClientDecoder):
    """Stalls in strictSync, and does not say so."""

    @property
    def stalled(self) -> bool:
        return False


class StaysPlaying(ClientDecoder):
    """Never reports that playback is over."""

    def _change_state(self, event: PlaybackEvent, reason: StateReason) -> None:
        if event is not PlaybackEvent.PLAYBACK_END:
            super()._change_state(event, reason)


class EndsEarly(ClientDecoder):
    """Takes a conversation for over when half of its audio was played."""

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        end, half = super()._find_playable_end(conversation), conversation.samples * SECOND_NS // 2
        return min(end, half) if conversation.ended else end

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        super()._play_audio(conversation, passed_ns)
        if (
            self._conversation
            and conversation.played_nanosamples >= self._find_playable_end(conversation)
            and conversation.ended
        ):
            self._end_conversation(conversation)
            self._change_state(PlaybackEvent.PLAYBACK_END, StateReason.PLAYBACK_END)


class RefusesUnknownFields(ClientDecoder):
    """Drops a payload that has a field it does not know."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        try:
            message = decode(payload)
        except RemoteProtocolError:
            message = None
        if message is None or encode(message) == payload:
            super()._accept_payload(conversation, payload)


class PutsNewMotionFirst(ClientDecoder):
    """Plays a later payload before the earlier ones."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        super()._accept_payload(conversation, payload)
        conversation.motion.insert(0, conversation.motion.pop())


class LagsBehind(ClientDecoder):
    """Shows every keyframe five too late."""

    def _keyframe_due(self, conversation: DecodedConversation) -> int:
        return max(0, super()._keyframe_due(conversation) - 5)


class ThrowsWhileIdle(ClientDecoder):
    """Time that passes while nothing plays is an error."""

    def advance(self, to_ns: int) -> None:
        super().advance(to_ns)
        if self._conversation is None:
            raise ValueError("there is no conversation to play")


class ThrowsAtInterrupt(ClientDecoder):
    """An interrupt does what it must, and raises an error that tells it."""

    def interrupt(self) -> None:
        cut_off = self._conversation
        super().interrupt()
        if cut_off is not None:
            raise InterruptedError(f"{cut_off.conversation_id} was interrupted")


class ThrowsAtResume(ClientDecoder):
    """Goes on after a pause, and raises an error that tells for how long it had paused."""

    def resume(self) -> None:
        paused = self.state is PlaybackState.PAUSED
        super().resume()
        if paused:
            raise TimeoutError("the pause took too long")


_PLAINLY_WRONG: dict[str, tuple[type[ClientDecoder], ...]] = {
    "C-ID": (NamesEveryChunk,),
    "C-ID-NEW": (ReusesIds,),
    "C-ID-CURRENT": (KeepsIdOverInterrupt,),
    "C-MISMATCH": (ComparesIdPrefixes,),
    "C-EARLY": (KeepsEarlyMotion,),
    "C-INTERRUPT": (KeepsMotionOverInterrupt, ThrowsAtInterrupt),
    "C-PAUSE": (DropsMotionInPause, RunsOnInPause, ThrowsAtResume),
    "C-EMPTY": (StopsOnEmpty,),
    "C-EMPTY-STICKY": (ForgetsAudioOnly,),
    "C-EMPTY-SCOPE": (AudioOnlyForEver,),
    "C-EMPTY-MISMATCH": (SwitchesOnForeignEmpty, SwitchesOnInterruptedEmpty),
    "C-ABNORMAL": (StopsOnUndecodable,),
    "C-NOEND": (GoesIdleWithoutEnd,),
    "C-STARVE": (StallsAlways, NeverStalls, StallsInSilence),
    "C-STATES": (StaysPlaying, EndsEarly, ThrowsWhileIdle),
    "C-UNKNOWN": (RefusesUnknownFields,),
    "C-MATCH": (ComparesReqId, PutsNewMotionFirst, TakesFirstPayloadAlone),
    "C-SYNC": (LagsBehind,),
}

CLIENT_MINIATURES: dict[str, tuple[type[ClientDecoder], ...]] = {
    rule_id: (
        *brains,
        *EDGE_MINIATURES.get(rule_id, ()),
        *PAUSE_MINIATURES.get(rule_id, ()),
        *BETWEEN_MINIATURES.get(rule_id, ()),
    )
    for rule_id, brains in _PLAINLY_WRONG.items()
}
"""Wrong clients by the rule that must name them."""
