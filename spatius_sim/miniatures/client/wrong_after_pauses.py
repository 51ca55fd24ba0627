"""Clients that are wrong in exactly one way, in what comes during a pause, after a pause, an interrupt, or an
end."""

from collections.abc import Sequence

from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode

_SECOND_NS = 1_000_000_000
_START_NS = 100_000_000


def _response_in(payload: bytes) -> MotionResponse | None:
    """Return the motion in a payload; None if there is none."""
    try:
        message = decode(payload)
    except RemoteProtocolError:
        return None
    return message if isinstance(message, MotionResponse) else None


class ForgetsStrictSync(ClientDecoder):
    """An interrupt ends strictSync for good."""

    def interrupt(self) -> None:
        super().interrupt()
        self._mode = StarvationMode.AUDIO_INDEPENDENT


class ResumeEndsStall(ClientDecoder):
    """If it is paused while its audio waits for motion, it plays a second without motion when it is
    resumed."""

    _plays_until = 0

    def resume(self) -> None:
        current = self._conversation
        if current is not None and current.stalled and self.state is PlaybackState.PAUSED:
            self._plays_until = current.played_nanosamples + _SECOND_NS * self._sample_rate
        super().resume()

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        end = super()._find_playable_end(conversation)
        return max(end, min(conversation.samples * _SECOND_NS, self._plays_until))

    def _start_conversation(self) -> DecodedConversation:
        self._plays_until = 0
        return super()._start_conversation()


class LosesPayloadAfterPause(ClientDecoder):
    """Loses the first payload that comes after a pause."""

    _loses = False

    def resume(self) -> None:
        self._loses = self.state is PlaybackState.PAUSED
        super().resume()

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if not self._loses:
            super()._accept_payload(conversation, payload)
        self._loses = False


class LosesAudioInPause(ClientDecoder):
    """Loses the audio that comes in a pause."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        return super().yield_audio_data(b"" if self.state is PlaybackState.PAUSED else audio, end)


class LosesEndMarkInPause(ClientDecoder):
    """Loses the end mark that comes in a pause."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        return super().yield_audio_data(audio, end and self.state is not PlaybackState.PAUSED)


class ReplaysAtEmptyEnd(ClientDecoder):
    """Plays all audio of a conversation once more if the end mark comes in an empty chunk, after the audio
    has been played."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        current = self._conversation
        if (
            current is not None
            and end
            and not audio
            and current.played_nanosamples == current.samples * _SECOND_NS
        ):
            current.played_nanosamples = 0
        return super().yield_audio_data(audio, end)


class ReplaysAfterTheEnd(ClientDecoder):
    """Plays the last conversation once more if another end mark comes after its end."""

    _samples = 0

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        if self._conversation is None and self._latest_conversation_id and end and not audio:
            self._start_conversation().audio_bytes = 2 * self._samples
        returned = super().yield_audio_data(audio, end)
        self._samples = self._conversation.samples if self._conversation is not None else 0
        return returned


class StopsAfterLastPayload(ClientDecoder):
    """Takes no motion after a payload that is marked as the last of its request, though a turn may have two
    requests."""

    _over = ""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if self._over == conversation.conversation_id:
            return
        super()._accept_payload(conversation, payload)
        response = _response_in(payload)
        if response is not None and response.end:
            self._over = conversation.conversation_id


class KeepsToOneConnection(ClientDecoder):
    """Takes the motion of one connection to Motion Server alone, the first that it saw."""

    _connection = ""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        response = _response_in(payload)
        if response is not None:
            self._connection = self._connection or response.connection_id
        if response is None or response.connection_id == self._connection:
            super()._accept_payload(conversation, payload)


class KeepsMotionForNext(ClientDecoder):
    """Keeps motion that comes for a conversation which was played to its end, and shows it in the next."""

    _kept: tuple[bytes, ...] = ()

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        was_played = (
            conversation_id == self._latest_conversation_id and conversation_id not in self._interrupted
        )
        if self._conversation is None and was_played:
            self._kept += tuple(frames or ())
        super().yield_frames_data(frames, conversation_id)

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        for payload in self._kept:
            self._accept_payload(conversation, payload)
        self._kept = ()
        return conversation


class FaceForgetsFirstPause(ClientDecoder):
    """Its face counts only the latest pause of a conversation: from the second pause on, the face runs ahead
    of the voice by the earlier pauses."""

    _ahead_ns = 0
    _pauses_ns = 0
    _paused_at_ns = 0

    def pause(self) -> None:
        if self.state is PlaybackState.PLAYING:
            self._paused_at_ns = self._now_ns
        super().pause()

    def resume(self) -> None:
        if self.state is PlaybackState.PAUSED:
            self._ahead_ns = self._pauses_ns
            self._pauses_ns += self._now_ns - self._paused_at_ns
        super().resume()

    def _start_conversation(self) -> DecodedConversation:
        self._ahead_ns = self._pauses_ns = 0
        return super()._start_conversation()

    def _keyframe_due(self, conversation: DecodedConversation) -> int:
        position = conversation.played_nanosamples + self._ahead_ns * self._sample_rate
        return position * KEYFRAMES_PER_SECOND // (_SECOND_NS * self._sample_rate)


class TakesAnyMotionInPause(ClientDecoder):
    """Takes motion that comes in a pause when it is resumed, whatever its id."""

    _parked: tuple[bytes, ...] = ()

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        if self.state is PlaybackState.PAUSED and frames and not self.audio_only:
            self._parked += tuple(frames)
        else:
            super().yield_frames_data(frames, conversation_id)

    def resume(self) -> None:
        super().resume()
        current = self._conversation
        if current is not None:
            for payload in self._parked:
                self._accept_payload(current, payload)
        self._parked = ()

    def interrupt(self) -> None:
        super().interrupt()
        self._parked = ()


class IgnoresEmptyWhileMotionIsLeft(ClientDecoder):
    """Does not go audio-only while it still has motion to show."""

    def _switch_to_audio_only(self, conversation: DecodedConversation) -> None:
        if conversation.find_keyframe(self._keyframe_due(conversation) + 1) is None:
            super()._switch_to_audio_only(conversation)


class StartsThoughInterrupted(ClientDecoder):
    """The playback starts after 100 ms. An interrupt before that clears everything, but not this timer."""

    _starts_at_ns: int | None = None

    def _start_conversation(self) -> DecodedConversation:
        self._starts_at_ns = self._now_ns + _START_NS
        return super()._start_conversation()

    def advance(self, to_ns: int) -> None:
        fires = self._starts_at_ns is not None and to_ns >= self._starts_at_ns
        if fires:
            self._starts_at_ns = None
        was_interrupted = fires and self._conversation is None
        super().advance(to_ns)
        if was_interrupted:
            self.state = PlaybackState.PLAYING


class TakesAnyEmptyInPause(ClientDecoder):
    """Goes audio-only if an empty list comes in a pause, whatever its id."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        taken = current is not None and not frames and self.state is PlaybackState.PAUSED
        super().yield_frames_data(frames, current.conversation_id if current and taken else conversation_id)


PAUSE_MINIATURES: dict[str, tuple[type[ClientDecoder], ...]] = {
    "C-STARVE": (ForgetsStrictSync, ResumeEndsStall),
    "C-PAUSE": (LosesPayloadAfterPause, LosesAudioInPause, FaceForgetsFirstPause),
    "C-STATES": (LosesEndMarkInPause, ReplaysAtEmptyEnd, ReplaysAfterTheEnd, StartsThoughInterrupted),
    "C-MATCH": (StopsAfterLastPayload, KeepsToOneConnection),
    "C-MISMATCH": (KeepsMotionForNext, TakesAnyMotionInPause),
    "C-EMPTY-MISMATCH": (TakesAnyEmptyInPause,),
    "C-EMPTY-STICKY": (IgnoresEmptyWhileMotionIsLeft,),
}
"""Wrong clients by the rule that must name them."""
