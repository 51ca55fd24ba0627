"""Clients that differ in all that the rules leave open, and keep every rule."""

from collections.abc import Callable

from spatius_sim.miniatures.wrong_clients import _SECOND_NS
from spatius_sim.model.client.decoder import ClientDecoder, DecodedConversation
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode

_HELD_NS = 180_000_000

_BLOCK_MS = 20


class BuffersFirst(ClientDecoder):
    """Lets some audio come in before it begins to play."""

    _held_ns = 0

    def _start_conversation(self) -> DecodedConversation:
        self._held_ns = _HELD_NS
        return super()._start_conversation()

    def _play(self, conversation: DecodedConversation, passed_ns: int) -> None:
        held = min(self._held_ns, passed_ns)
        self._held_ns -= held
        super()._play(conversation, passed_ns - held)


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

    def _show(self, conversation: DecodedConversation, first: int | None = None) -> None:
        super()._show(conversation, None)


class KeepsIdAfterEnd(ClientDecoder):
    """Gives the id of the conversation that was played until the next begins; interrupt clears it."""

    def get_current_conversation_id(self) -> str | None:
        current = super().get_current_conversation_id()
        return current or (self._latest_id if self._latest_id not in self._interrupted else "") or None


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
        message = decode(payload)
        assert isinstance(message, MotionResponse)
        super()._accept_payload(conversation, payload)


class StopsAtTheLastKeyframe(ClientDecoder):
    """Motion beyond the audio's keyframes is never shown, not even on the last sample."""

    def _keyframe_due(self, conversation: DecodedConversation) -> int:
        last = keyframe_count(conversation.samples, self._sample_rate) - 1
        due = conversation.played * KEYFRAMES_PER_SECOND // (_SECOND_NS * self._sample_rate)
        return min(due, max(0, last)) if conversation.ended else due


HONEST_CLIENTS: tuple[type[ClientDecoder], ...] = (
    BuffersFirst,
    TellsBlocks,
    OddIds,
    ReportsLate,
    DrawsOnce,
    KeepsIdAfterEnd,
    ThrowsWhereNothingIsFixed,
    StopsAtTheLastKeyframe,
)
"""Clients that every rule must let pass."""
