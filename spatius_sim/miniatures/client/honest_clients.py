"""Clients that differ in all that the rules leave open, and keep every rule."""

from collections.abc import Callable, Sequence
from typing import Any

from spatius_sim.miniatures.client.wrong_clients import SECOND_NS
from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.story.client_story import IDS, STABLE_IDS
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode

_HELD_NS = 180_000_000

_BLOCK_MS = 20
_REFILL = 5
_DRAINED_NS = 120_000_000


class BuffersFirst(ClientDecoder):
    """Lets some audio come in before it begins to play."""

    _held_ns = 0

    def _start_conversation(self) -> DecodedConversation:
        self._held_ns = _HELD_NS
        return super()._start_conversation()

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        held = min(self._held_ns, passed_ns)
        self._held_ns -= held
        super()._play_audio(conversation, passed_ns - held)


class TellsBlocks(ClientDecoder):
    """Counts what was played in blocks of 20 ms, as a sound card does."""

    @property
    def samples_played(self) -> int:
        exact = super().samples_played
        conversation = self._conversation
        if conversation is None or exact == conversation.samples:
            return exact
        block = self._sample_rate * _BLOCK_MS // 1000
        return exact // block * block


class OddIds(ClientDecoder):
    """Its ids are short numbers, each the beginning of others, or hold what JSON must escape."""

    def __init__(
        self,
        sample_rate: int,
        new_id: Callable[[], str],
        now_ns: int = 0,
        mode: StarvationMode = StarvationMode.AUDIO_INDEPENDENT,
        render: Callable[[Keyframes], None] | None = None,
    ) -> None:
        super().__init__(sample_rate, self._odd_id, now_ns, mode, render)
        self._count = 0

    def _odd_id(self) -> str:
        self._count += 1
        return "1" * self._count if self._count % 2 else f'é"\\{self._count}'


class ReportsLate(ClientDecoder):
    """Reports a state when the clock moves next."""

    _told = PlaybackState.IDLE

    def advance(self, to_ns: int) -> None:
        self._told = self.state
        super().advance(to_ns)

    @property
    def reported_state(self) -> PlaybackState:
        """The state as of the last step of the clock."""
        return self._told


class DrawsOnce(ClientDecoder):
    """Draws one keyframe for each step of the clock: the one that is due at its end."""

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        super()._render_due_keyframes(conversation, None)


class CatchesUpFast(ClientDecoder):
    """Shows late motion from its first keyframe on, four times as fast as usual, until it is at its place."""

    _passed_ns = 0

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        self._passed_ns = passed_ns
        super()._play_audio(conversation, passed_ns)

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        if first is None or self._render is None or conversation.audio_only:
            return
        next_keyframe = conversation.next_keyframe
        most = next_keyframe + max(1, 4 * self._passed_ns * KEYFRAMES_PER_SECOND // 1_000_000_000)
        for index in range(next_keyframe, min(self._keyframe_due(conversation) + 1, most)):
            keyframe = conversation.find_keyframe(index)
            if keyframe is not None:
                conversation.next_keyframe = index + 1
                self._render(keyframe)


class KeepsIdAfterEnd(ClientDecoder):
    """Gives the id of the conversation that was played until the next begins; interrupt clears it."""

    def interrupt(self) -> None:
        super().interrupt()
        self._interrupted.append(self._latest_conversation_id)

    def get_current_conversation_id(self) -> str | None:
        current = super().get_current_conversation_id()
        return (
            current
            or (self._latest_conversation_id if self._latest_conversation_id not in self._interrupted else "")
            or None
        )


class ThrowsWhereNothingIsFixed(ClientDecoder):
    """Throws on empty audio outside a conversation, on a pause unless it plays, and on undecodable motion."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        outside = self._conversation is None or self._conversation.ended
        if outside and not audio:
            raise ValueError("there is no conversation")
        return super().yield_audio_data(audio, end)

    def pause(self) -> None:
        if self.state is not PlaybackState.PLAYING:
            raise ValueError("nothing plays")
        super().pause()

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        try:
            decode(payload)
        except RemoteProtocolError:
            conversation.abnormal = True
            raise
        super()._accept_payload(conversation, payload)


class StopsAtTheLastKeyframe(ClientDecoder):
    """Motion beyond the audio's keyframes is never shown, not even on the last sample."""

    def _keyframe_due(self, conversation: DecodedConversation) -> int:
        last = keyframe_count(conversation.samples, self._sample_rate) - 1
        due = conversation.played_nanosamples * KEYFRAMES_PER_SECOND // (SECOND_NS * self._sample_rate)
        return min(due, max(0, last)) if conversation.ended else due


class NamesOnce(ClientDecoder):
    """Returns nothing for a later chunk of a conversation: its id has not changed."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        before = self._conversation
        returned = super().yield_audio_data(audio, end)
        return "" if before is not None and before is self._conversation else returned


class MintsFreshIds(ClientDecoder):
    """Declares that the id of a conversation changes, and gives it a fresh one with each chunk."""

    lacks = (STABLE_IDS,)

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        before = self._conversation
        returned = super().yield_audio_data(audio, end)
        if before is None or before is not self._conversation:
            return returned
        before.conversation_id = self._latest_conversation_id = self._new_id()
        return before.conversation_id


class TakesNoIds(ClientDecoder):
    """Declares that it knows no ids: all motion belongs to the current audio, until the end mark."""

    lacks = (IDS, "observe.conversationId")

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        super().yield_audio_data(audio, end)
        return ""

    def yield_frames_data(self, frames: Sequence[bytes] | None, conversation_id: str) -> None:
        current = self._conversation
        if current is not None and not current.ended:
            super().yield_frames_data(frames, current.conversation_id)


class KnowsOneRate(ClientDecoder):
    """Declares that it knows 16 kHz alone."""

    sample_rates = (16000,)

    def __init__(self, sample_rate: int, *others: Any, **more: Any) -> None:
        assert sample_rate == 16000
        super().__init__(sample_rate, *others, **more)


class DropsHalfSamples(ClientDecoder):
    """Drops the half of a sample at the end of a chunk."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        whole = audio[: len(audio) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
        return super().yield_audio_data(whole if len(audio) > 1 else audio, end)


class RefillsAfterStall(ClientDecoder):
    """In strictSync it goes on after a stall when it has five keyframes, or all of them."""

    def _find_playable_end(self, conversation: DecodedConversation) -> int:
        end = super()._find_playable_end(conversation)
        few = conversation.keyframes < self._keyframe_due(conversation) + _REFILL
        waits = conversation.stalled and few and end < conversation.samples * SECOND_NS
        return conversation.played_nanosamples if waits else end


class ShowsWhatItMissed(ClientDecoder):
    """Runs through late motion at once, up to the keyframe that is due."""

    def _render_due_keyframes(self, conversation: DecodedConversation, first: int | None = None) -> None:
        super()._render_due_keyframes(conversation, conversation.next_keyframe)


class IdlesAfterJunk(ClientDecoder):
    """Shows no more motion in a conversation with undecodable motion."""

    def _accept_payload(self, conversation: DecodedConversation, payload: bytes) -> None:
        if not conversation.abnormal:
            super()._accept_payload(conversation, payload)
        if conversation.abnormal:
            conversation.motion.clear()
            conversation.keyframes = 0


class PlaysWhenAudioComes(ClientDecoder):
    """Audio that comes in a pause ends the pause."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        if audio and self.state is PlaybackState.PAUSED:
            self.resume()
        return super().yield_audio_data(audio, end)


class BeginsAtEmptyEnd(ClientDecoder):
    """An end mark after the end of a conversation is a conversation of its own, which is over at once."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        if self._conversation is None and self._latest_conversation_id and end and not audio:
            self._start_conversation()
        return super().yield_audio_data(audio, end)


class BeginsAtEmptyChunk(ClientDecoder):
    """An empty chunk begins a conversation as any other does, and motion for its id is taken from then on."""

    def yield_audio_data(self, audio: bytes, end: bool = False) -> str:
        if self._conversation is None and not audio:
            self._start_conversation()
        return super().yield_audio_data(audio, end)


class DrainsItsDevice(ClientDecoder):
    """Is idle only when the sound card has played the last sample, 120 ms after it was written."""

    _drained_ns = 0

    def _play_audio(self, conversation: DecodedConversation, passed_ns: int) -> None:
        ended, conversation.ended = conversation.ended, False
        super()._play_audio(conversation, passed_ns)
        conversation.ended = ended
        if conversation.played_nanosamples < conversation.samples * SECOND_NS:
            self._drained_ns = self._now_ns + _DRAINED_NS
        elif ended and self._now_ns >= self._drained_ns:
            super()._play_audio(conversation, 0)


HONEST_CLIENTS: tuple[type[ClientDecoder], ...] = (
    BuffersFirst,
    TellsBlocks,
    OddIds,
    ReportsLate,
    DrawsOnce,
    CatchesUpFast,
    KeepsIdAfterEnd,
    ThrowsWhereNothingIsFixed,
    StopsAtTheLastKeyframe,
    NamesOnce,
    MintsFreshIds,
    TakesNoIds,
    KnowsOneRate,
    DropsHalfSamples,
    RefillsAfterStall,
    ShowsWhatItMissed,
    IdlesAfterJunk,
    PlaysWhenAudioComes,
    BeginsAtEmptyEnd,
    BeginsAtEmptyChunk,
    DrainsItsDevice,
)
"""Clients that every rule must let pass."""
