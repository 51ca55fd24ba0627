"""Clients that are wrong in exactly one way, which shows only at an edge: after an event, at a rate, at a
border."""

from collections.abc import Sequence

from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import PlaybackState

_SECOND_NS = 1_000_000_000
_GAP_NS = 2 * _SECOND_NS
_LARGEST_CHUNK = 1_048_576
_MAX_KEYFRAMES = 100
_MOST_SHOWN = 1000


def _is_undecodable(payload: bytes) -> bool:
    """Return whether these bytes are no motion."""
    try:
        return not isinstance(decode(payload), MotionResponse)
    except RemoteProtocolError:
        return True


class NamesAnewAfterPause(ClientDecoder):
    """Returns another id for the chunks that come after a pause."""

    _paused = ""

    def resume(self) -> None:
        super().resume()
        self._paused = self.get_current_conversation_id() or ""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        returned = super().yield_audio_data(audio, end)
        return f"{returned}-resumed" if returned == self._paused else returned


class BeginsAnewAfterGap(ClientDecoder):
    """Two seconds without a chunk: the next chunk begins another conversation."""

    _chunk_ns = 0

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        current = self._conversation
        if current is not None and not current.ended and self._now_ns - self._chunk_ns > _GAP_NS:
            self._start_conversation()
        self._chunk_ns = self._now_ns
        return super().yield_audio_data(audio, end)


class StripsIds(ClientDecoder):
    """Compares ids without the blanks around them."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self.get_current_conversation_id()
        same = current is not None and frames and current.strip() == conversation_id.strip()
        super().yield_frames_data(frames, current if current and same else conversation_id)


class ComparesLettersOfIds(ClientDecoder):
    """Compares the letters and digits of ids alone, in any case."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self.get_current_conversation_id()
        same = current is not None and frames and _letters(current) == _letters(conversation_id)
        super().yield_frames_data(frames, current if current and same else conversation_id)


def _letters(conversation_id: str) -> str:
    """Return the letters and digits of an id, in lower case."""
    return "".join(filter(str.isalnum, conversation_id.lower()))


class ForgetsMotionOnForeignJunk(ClientDecoder):
    """Undecodable motion with another id clears the motion of the current conversation."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        foreign = current is not None and current.conversation_id != conversation_id
        if current is not None and foreign and any(map(_is_undecodable, frames or ())):
            current.motion.clear()
            current.keyframes = 0
        super().yield_frames_data(frames, conversation_id)


class TakesNoMotionAfterForeignJunk(ClientDecoder):
    """Undecodable motion with another id: the current conversation shows what it has, and takes no more."""

    _deaf_id = ""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        foreign = current is not None and current.conversation_id != conversation_id
        if current is not None and foreign and any(map(_is_undecodable, frames or ())):
            self._deaf_id = current.conversation_id
        super().yield_frames_data(frames, conversation_id)

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if conversation.conversation_id != self._deaf_id:
            super()._accept_payload(conversation, payload)


class DropsMotionInAGap(ClientDecoder):
    """Drops motion that comes while all audio is played and the conversation goes on."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if conversation.ended or self.samples_played < conversation.samples:
            super()._accept_payload(conversation, payload)


class EndMarkEndsAudioOnly(ClientDecoder):
    """The end mark takes it out of audio-only."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        returned = super().yield_audio_data(audio, end)
        if end and self._conversation is not None:
            self._conversation.audio_only = False
        return returned


class PauseEndsAudioOnly(ClientDecoder):
    """A pause takes it out of audio-only."""

    def pause(self) -> None:
        super().pause()
        if self._conversation is not None:
            self._conversation.audio_only = False


class SecondEmptyEndsAudioOnly(ClientDecoder):
    """A second empty list takes it out of audio-only."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        if current is not None and current.audio_only and not frames:
            current.audio_only = False
        else:
            super().yield_frames_data(frames, conversation_id)


class ForeignMotionEndsAudioOnly(ClientDecoder):
    """Motion with another id takes it out of audio-only."""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        if current is not None and frames and current.conversation_id != conversation_id:
            current.audio_only = False
        super().yield_frames_data(frames, conversation_id)


class AudioOnlyOutlivesInterrupt(ClientDecoder):
    """If audio-only is interrupted, the next conversation is audio-only, too."""

    _interrupted_in_audio_only = False

    def interrupt(self) -> None:
        self._interrupted_in_audio_only = self.audio_only
        super().interrupt()

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        conversation.audio_only, self._interrupted_in_audio_only = self._interrupted_in_audio_only, False
        return conversation


class KeepsEmptyForNext(ClientDecoder):
    """An empty list while nothing is current makes the next conversation audio-only."""

    _empty_came = False

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        self._empty_came = self._empty_came or (self._conversation is None and not frames)
        super().yield_frames_data(frames, conversation_id)

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        conversation.audio_only, self._empty_came = self._empty_came, False
        return conversation


class WaitsInAudioOnly(ClientDecoder):
    """In strictSync its audio waits for motion even in audio-only."""

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        audio_only, conversation.audio_only = conversation.audio_only, False
        end = super()._find_playable_end(conversation)
        conversation.audio_only = audio_only
        return end


class DropsAudioAfterJunk(ClientDecoder):
    """Drops the audio that comes after undecodable motion."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        current = self._conversation
        harmed = current is not None and current.abnormal and not current.ended
        return super().yield_audio_data(b"" if harmed else audio, end)


class TakesNoMotionAfterJunk(ClientDecoder):
    """Undecodable motion ends all motion, also that of later conversations."""

    _junk_came = False

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        self._junk_came = self._junk_came or _is_undecodable(payload)
        super()._accept_payload(conversation, b"\xff" if self._junk_came else payload)


class PlaysOldAudioAfterInterrupt(ClientDecoder):
    """Plays the rest of the interrupted audio after the next audio."""

    _rest = 0

    def interrupt(self) -> None:
        current = self._conversation
        self._rest = (
            2 * (current.samples - current.played_nanosamples // _SECOND_NS) if current is not None else 0
        )
        super().interrupt()

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        conversation.audio_bytes, self._rest = self._rest, 0
        return conversation


class InterruptOfNothingCostsMotion(ClientDecoder):
    """An interrupt while nothing is current makes it drop the next motion."""

    _drops = False

    def interrupt(self) -> None:
        self._drops = self._conversation is None
        super().interrupt()

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if not self._drops:
            super()._accept_payload(conversation, payload)
        self._drops = False


class PausesAfterInterrupt(ClientDecoder):
    """If a pause is interrupted, the next audio begins paused."""

    _begins_paused = False

    def interrupt(self) -> None:
        self._begins_paused = self.state is PlaybackState.PAUSED
        super().interrupt()

    def _start_conversation(self) -> DecodedConversation:
        conversation = super()._start_conversation()
        if self._begins_paused:
            self._begins_paused = False
            self.pause()
        return conversation


class QueuesNextConversation(ClientDecoder):
    """New audio does not cut off what still plays: it is played afterwards."""

    def _start_conversation(self) -> DecodedConversation:
        cut_off = self._conversation
        conversation = super()._start_conversation()
        if cut_off is not None:
            conversation.audio_bytes = 2 * (cut_off.samples - cut_off.played_nanosamples // _SECOND_NS)
        return conversation


class PlaysFast(ClientDecoder):
    """Plays three percent too fast."""

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        super()._play_audio(conversation, passed_ns * 103 // 100)


class PlaysSlowly(ClientDecoder):
    """Plays three percent too slowly."""

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        super()._play_audio(conversation, passed_ns * 97 // 100)


class SkipsAfterGap(ClientDecoder):
    """When the audio ran dry, it skips as much of the next audio as it has waited."""

    _waited = 0

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        end = conversation.samples * _SECOND_NS
        if conversation.samples and not conversation.ended and conversation.played_nanosamples == end:
            self._waited += passed_ns
        elif self._waited:
            super()._play_audio(conversation, self._waited)
            self._waited = 0
        super()._play_audio(conversation, passed_ns)


class CutsHugeAudio(ClientDecoder):
    """Takes the first MiB of a chunk alone."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        return super().yield_audio_data(audio[:_LARGEST_CHUNK], end)


class PlaysSomeRatesFast(ClientDecoder):
    """Plays 22,050 and 44,100 Hz as if they were 24,000 and 48,000 Hz."""

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        is_odd = self._sample_rate in (22050, 44100)
        super()._play_audio(conversation, passed_ns * 160 // 147 if is_odd else passed_ns)


class RepeatsAfterPause(ClientDecoder):
    """Goes 100 ms back when it is resumed."""

    def resume(self) -> None:
        current = self._conversation
        if current is not None and self.state is PlaybackState.PAUSED:
            current.played_nanosamples = max(
                0, current.played_nanosamples - self._sample_rate * _SECOND_NS // 10
            )
        super().resume()


class ResumeSkips(ClientDecoder):
    """Leaves out 100 ms of its audio when it is resumed."""

    def resume(self) -> None:
        current = self._conversation
        if current is not None and self.state is PlaybackState.PAUSED:
            skipped = current.played_nanosamples + self._sample_rate * _SECOND_NS // 10
            current.played_nanosamples = min(current.samples * _SECOND_NS, skipped)
        super().resume()


class DropsMotionThatComesInPause(ClientDecoder):
    """Takes no motion while it is paused."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if self.state is not PlaybackState.PAUSED:
            super()._accept_payload(conversation, payload)


class GoesOnWithoutLastKeyframe(ClientDecoder):
    """In strictSync it does not wait for the last keyframe."""

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        needed = keyframe_count(conversation.samples, self._sample_rate)
        if conversation.ended and conversation.keyframes == needed - 1:
            return conversation.samples * _SECOND_NS
        return super()._find_playable_end(conversation)


class StallsOnce(ClientDecoder):
    """In strictSync its audio waits for motion once in a conversation, and then no more."""

    _stalled_for = ""

    def _set_stalled(self, conversation: DecodedConversation, stalled: bool) -> None:
        self._stalled_for = conversation.conversation_id if stalled else self._stalled_for
        super()._set_stalled(conversation, stalled)

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        if self._stalled_for == conversation.conversation_id and not conversation.stalled:
            return conversation.samples * _SECOND_NS
        return super()._find_playable_end(conversation)


class ShowsLateMotionFromItsBeginning(ClientDecoder):
    """Shows late motion from its first keyframe on, instead of at its place."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        late = self._keyframe_due(conversation) - conversation.keyframes
        if late > 0 and not _is_undecodable(payload):
            still = conversation.find_keyframe(conversation.keyframes - 1)
            conversation.motion.extend([still.reshape(1, -1)] * late if still is not None else [])
            conversation.keyframes = sum(map(len, conversation.motion))
        super()._accept_payload(conversation, payload)


class ForgetsLateMotion(ClientDecoder):
    """Drops a payload whose time is over, so that the next one moves to its place."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        message = None if _is_undecodable(payload) else decode(payload)
        count = len(message.keyframes) if isinstance(message, MotionResponse) else 0
        if not count or self._keyframe_due(conversation) < conversation.keyframes + count:
            super()._accept_payload(conversation, payload)


class LosesFirstOfPayload(ClientDecoder):
    """Shows no first keyframe of a payload but that of the first one."""

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        render = self._render
        firsts = {float(rows[0, 0]) for rows in conversation.motion[1:] if len(rows)}

        def show(keyframe: Keyframes) -> None:
            if render is not None and float(keyframe[0]) not in firsts:
                render(keyframe)

        self._render = show
        super()._render_due_keyframes(conversation, first)
        self._render = render


class CountsKeyframesByChunk(ClientDecoder):
    """Counts the keyframes of each chunk of audio, and shows no more: the rest of a chunk has none."""

    _keyframes_given = 0

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        conversation_id = self._latest_conversation_id
        returned_id = super().yield_audio_data(audio, end)
        if self._latest_conversation_id != conversation_id:
            self._keyframes_given = 0
        self._keyframes_given += keyframe_count(len(audio) // BYTES_PER_SAMPLE, self._sample_rate)
        return returned_id

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        if self._keyframe_due(conversation) < self._keyframes_given:
            super()._render_due_keyframes(conversation, first)


class CutsLargeMotion(ClientDecoder):
    """Takes 100 keyframes of a payload at most."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        before = len(conversation.motion)
        super()._accept_payload(conversation, payload)
        conversation.motion[before:] = [rows[:_MAX_KEYFRAMES] for rows in conversation.motion[before:]]
        conversation.keyframes = sum(map(len, conversation.motion))


class DropsRepeatedPayloads(ClientDecoder):
    """Drops a payload that equals the one before, as if it had come twice."""

    _last_payload = b""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if payload != self._last_payload:
            super()._accept_payload(conversation, payload)
        self._last_payload = payload


class ShowsNoMoreAfter1000(ClientDecoder):
    """Shows no keyframe after the first thousand of a conversation."""

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        if self._keyframe_due(conversation) < _MOST_SHOWN:
            super()._render_due_keyframes(conversation, first)


class RefusesUnknownFieldsOfKeyframes(ClientDecoder):
    """Drops a payload if a keyframe has a field that it does not know."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        motion = wire.Motion()
        if not _is_undecodable(payload):
            motion.ParseFromString(wire.Message.FromString(payload).server_response_animation.animation)
        sizes = [keyframe.ByteSize() for keyframe in motion.keyframes]
        for keyframe in motion.keyframes:
            keyframe.DiscardUnknownFields()
        if sizes == [keyframe.ByteSize() for keyframe in motion.keyframes]:
            super()._accept_payload(conversation, payload)


EDGE_MINIATURES: dict[str, tuple[type[ClientDecoder], ...]] = {
    "C-ID": (NamesAnewAfterPause, BeginsAnewAfterGap),
    "C-MISMATCH": (
        StripsIds,
        ComparesLettersOfIds,
        ForgetsMotionOnForeignJunk,
        TakesNoMotionAfterForeignJunk,
    ),
    "C-INTERRUPT": (PlaysOldAudioAfterInterrupt, InterruptOfNothingCostsMotion, PausesAfterInterrupt),
    "C-PAUSE": (RepeatsAfterPause, ResumeSkips, DropsMotionThatComesInPause),
    "C-EMPTY": (WaitsInAudioOnly,),
    "C-EMPTY-STICKY": (
        EndMarkEndsAudioOnly,
        PauseEndsAudioOnly,
        SecondEmptyEndsAudioOnly,
        ForeignMotionEndsAudioOnly,
    ),
    "C-EMPTY-SCOPE": (AudioOnlyOutlivesInterrupt,),
    "C-EMPTY-MISMATCH": (KeepsEmptyForNext,),
    "C-ABNORMAL": (DropsAudioAfterJunk, TakesNoMotionAfterJunk),
    "C-STARVE": (GoesOnWithoutLastKeyframe, StallsOnce),
    "C-STATES": (
        QueuesNextConversation,
        PlaysFast,
        PlaysSlowly,
        SkipsAfterGap,
        CutsHugeAudio,
        PlaysSomeRatesFast,
    ),
    "C-UNKNOWN": (RefusesUnknownFieldsOfKeyframes,),
    "C-MATCH": (
        LosesFirstOfPayload,
        CountsKeyframesByChunk,
        CutsLargeMotion,
        DropsRepeatedPayloads,
        ShowsNoMoreAfter1000,
        DropsMotionInAGap,
    ),
    "C-SYNC": (ShowsLateMotionFromItsBeginning, ForgetsLateMotion),
}
"""Wrong clients by the rule that must name them."""
