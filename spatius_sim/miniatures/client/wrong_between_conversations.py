"""Clients that are wrong in exactly one way: it shows where one conversation ends and the next one begins."""

from collections.abc import Sequence

from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode


class KeepsLateEmptyForNext(ClientDecoder):
    """An empty list for a conversation that has been played to its end makes the next one audio-only."""

    _is_next_without_motion = False

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        if self._conversation is None and not frames and conversation_id == self._latest_conversation_id:
            self._is_next_without_motion = conversation_id not in self._interrupted
        super().yield_frames_data(frames, conversation_id)

    def interrupt(self) -> None:
        self._is_next_without_motion = False
        super().interrupt()

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        conversation.audio_only, self._is_next_without_motion = self._is_next_without_motion, False
        return conversation


def _ends_motion(payload: bytes) -> bool:
    """Return whether these bytes are the last motion of a request."""
    try:
        message = decode(payload)
    except RemoteProtocolError:
        return False
    return isinstance(message, MotionResponse) and message.end


class TakesMotionForCompleteForEver(ClientDecoder):
    """After the last motion of a request the audio waits no more, in no later conversation either."""

    _is_complete = False

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        super()._accept_payload(conversation, payload)
        self._is_complete = self._is_complete or _ends_motion(payload)

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        end = super()._find_playable_end(conversation)
        return conversation.samples * 1_000_000_000 if self._is_complete else end


class KeepsMotionOfAPausedConversation(ClientDecoder):
    """A conversation that begins while another one is paused inherits the motion of that one."""

    def _start_conversation(self) -> DecodedConversation:
        before = self._conversation if self.state is PlaybackState.PAUSED else None
        conversation = super()._start_conversation()
        if before is not None and not before.audio_only:
            conversation.motion = [segment for segment in before.motion if len(segment)]
            conversation.keyframes = before.keyframes
        return conversation


class MissesAnEndInAPause(ClientDecoder):
    """An end mark that comes in a pause, after all audio was played, is not noticed: it plays for ever."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        current = self._conversation
        is_missed = (
            self.state is PlaybackState.PAUSED
            and current is not None
            and not audio
            and self.samples_played == current.samples
        )
        return super().yield_audio_data(audio, end and not is_missed)


class TellsAStallThatWasInterrupted(ClientDecoder):
    """After an interrupt in a stall, it still reports this stall, until the next conversation begins."""

    _was_interrupted_in_stall = False

    @property
    def stalled(self) -> bool:
        return super().stalled or (self._conversation is None and self._was_interrupted_in_stall)

    def interrupt(self) -> None:
        self._was_interrupted_in_stall = super().stalled
        super().interrupt()


class StaysIndependentAfterEmpty(ClientDecoder):
    """An empty list ends strictSync for all later conversations, too."""

    def _switch_to_audio_only(self, conversation: DecodedConversation) -> None:
        super()._switch_to_audio_only(conversation)
        self._mode = StarvationMode.AUDIO_INDEPENDENT


class IgnoresInterruptInAGap(ClientDecoder):
    """An interrupt does nothing while the next audio of an open conversation is awaited."""

    def interrupt(self) -> None:
        current = self._conversation
        if current is None or current.ended or not 0 < self.samples_played == current.samples:
            super().interrupt()


class KeepsAStallForNext(ClientDecoder):
    """If a conversation is cut off while its audio waits, the next one waits for that keyframe."""

    _awaited_keyframes = 0

    def _set_stalled(self, conversation: DecodedConversation, stalled: bool) -> None:
        super()._set_stalled(conversation, stalled)
        if stalled:
            self._awaited_keyframes = max(self._awaited_keyframes, conversation.keyframes + 1)

    def _end_conversation(self, conversation: DecodedConversation) -> None:
        super()._end_conversation(conversation)
        self._awaited_keyframes = 0

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        end = super()._find_playable_end(conversation)
        needs_motion = not (conversation.audio_only or conversation.abnormal)
        is_waiting = needs_motion and conversation.keyframes < self._awaited_keyframes
        return min(end, conversation.played_nanosamples) if is_waiting else end


class KeepsAudioOnlyMotionForNext(ClientDecoder):
    """Motion that comes in audio-only is put aside, and shown at the beginning of the next conversation."""

    _kept: tuple[bytes, ...] = ()

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        if self.audio_only and conversation_id == self.get_current_conversation_id():
            self._kept += tuple(frames or ())
        super().yield_frames_data(frames, conversation_id)

    def interrupt(self) -> None:
        self._kept = ()
        super().interrupt()

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        for payload in self._kept:
            self._accept_payload(conversation, payload)
        self._kept = ()
        return conversation


class LosesLastAudioInPause(ClientDecoder):
    """The audio of a last chunk that comes in a pause is lost; its end mark is taken."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        current = self._conversation
        is_lost = self.state is PlaybackState.PAUSED and end and current is not None and not current.ended
        return super().yield_audio_data(b"" if is_lost else audio, end)


BETWEEN_MINIATURES: dict[str, tuple[type[ClientDecoder], ...]] = {
    "C-EMPTY-MISMATCH": (KeepsLateEmptyForNext,),
    "C-EMPTY-STICKY": (KeepsAudioOnlyMotionForNext,),
    "C-STARVE": (
        TakesMotionForCompleteForEver,
        TellsAStallThatWasInterrupted,
        StaysIndependentAfterEmpty,
        KeepsAStallForNext,
    ),
    "C-ID-NEW": (IgnoresInterruptInAGap,),
    "C-PAUSE": (LosesLastAudioInPause,),
    "C-MATCH": (KeepsMotionOfAPausedConversation,),
    "C-STATES": (MissesAnEndInAPause,),
}
"""Wrong clients by the rule that must name them."""
