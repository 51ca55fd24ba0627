"""Relays that are wrong in exactly one way when Motion Server is refusing, dying, silent or verbose."""

from collections.abc import Callable

from spatius_sim.model.relay.relay import PlainRelay, RelayCommand, RelayTurn, Tell, WatchSilence
from spatius_sim.protocol.messages import ConfirmSession, Message, MotionResponse
from spatius_sim.trace.events import Undecodable
from spatius_sim.wires.events import Audio, Failed

_LARGE_BYTES = 60_000
_HUGE_BYTES = 1_000_000
_MANY_ATTEMPTS = 40
_OFTEN_SECONDS = 0.25


class EndsAudioWithMotion(PlainRelay):
    """Holds the mark of a turn's last audio back until its motion has ended, which it may never do."""

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return []

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        mark = super().end_down(turn) if message.end else []
        return super().motion_down(turn, raw, message) + mark


class KeepsAudioForMotion(PlainRelay):
    """Keeps a turn's audio until its session is confirmed, and drops it where that never happens."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._kept: dict[str, list[RelayCommand]] = {}

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        return self._keep(turn, super().audio_down(turn, pcm))

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return self._keep(turn, super().end_down(turn))

    def upstream_said(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        kept = self._kept.pop(upstream, []) if isinstance(value, ConfirmSession) else []
        return kept + super().upstream_said(upstream, raw, value)

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        mark = Tell(turn.client, Audio(b"", last=True, turn_id=turn.name))
        return [*super().failure_down(turn, why), *([] if turn.confirmed else [mark])]

    def _keep(self, turn: RelayTurn, commands: list[RelayCommand]) -> list[RelayCommand]:
        if turn.confirmed:
            return commands
        self._kept.setdefault(turn.name, []).extend(commands)
        return []


class TellsNoFailure(PlainRelay):
    """Says nothing when motion fails."""

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return []


class TellsNoClose(PlainRelay):
    """Says nothing when Motion Server closes the session in mid-turn, as the SDK says nothing of a plain
    close."""

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is not None and turn.confirmed and not turn.motion_ended:
            del self.turns[upstream]
            return []
        return super().upstream_lost(upstream, why)


class GivesUp(PlainRelay):
    """Never connects again for a client once motion has failed."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._given_up: set[str] = set()

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._given_up.add(turn.client)
        return super().failure_down(turn, why)

    def connect_up(self, turn: RelayTurn) -> list[RelayCommand]:
        return [] if turn.client in self._given_up else super().connect_up(turn)


class LosesLargePayloads(PlainRelay):
    """Drops payloads of more than 60,000 bytes."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return [] if len(raw) > _LARGE_BYTES else super().motion_down(turn, raw, message)


class CutsLargePayloads(PlainRelay):
    """Passes on the first 60,000 bytes of a payload."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return super().motion_down(turn, raw[:_LARGE_BYTES], message)


class LosesHugePayloads(PlainRelay):
    """Drops payloads of more than 1,000,000 bytes."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return [] if len(raw) > _HUGE_BYTES else super().motion_down(turn, raw, message)


class InsistsAtOnce(PlainRelay):
    """Tries again at once when it is refused, and again."""

    attempts = _MANY_ATTEMPTS


class InsistsForEver(PlainRelay):
    """Says that it was refused, and tries again four times a second as long as the turn lasts."""

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is None or turn.confirmed:
            return super().upstream_lost(upstream, why)
        turn.attempt += 1
        told: list[RelayCommand] = [Tell(turn.client, Failed(why))] if turn.attempt == 1 else []
        return [*told, WatchSilence(upstream, _OFTEN_SECONDS)]

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is None or turn.confirmed or not turn.attempt:
            return super().upstream_silent(upstream)
        return self.connect_up(turn)


FAULT_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "U-RETRY": (InsistsAtOnce, InsistsForEver),
    "R-RECOVER": (GivesUp,),
    "R-FALLBACK": (EndsAudioWithMotion, KeepsAudioForMotion),
    "R-ERROR-TOLD": (TellsNoFailure, TellsNoClose),
    "R-LARGE": (LosesLargePayloads, CutsLargePayloads),
    "R-HUGE": (LosesHugePayloads,),
}
"""The relays that break each of these rules, and it alone."""
