"""Relays that are wrong in exactly one way when Motion Server is refusing, dying, silent or verbose."""

from collections.abc import Callable

from spatius_sim.miniatures.honest_relays import STARTS_SLOWLY
from spatius_sim.model.relay.commands import RelayCommand, Tell, WatchSilence
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.wires.events import Failed

_OFTEN_SECONDS = 0.25


class EndsAudioWithMotion(PlainRelay):
    """Holds the mark of a turn's last audio back until its motion has ended, which it may never do."""

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return []

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        mark = super().end_down(turn) if message.end else []
        return super().motion_down(turn, raw, message) + mark


class KeepsAudioForMotion(PlainRelay):
    """Keeps a turn's audio until its session is confirmed, and drops it if that never happens."""

    policy = STARTS_SLOWLY

    def may_start(self, turn: RelayTurn) -> bool:
        return turn.session.confirmed

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        mark = [] if turn.session.confirmed else [self.tell_audio(turn, b"", last=True)]
        return super().failure_down(turn, why) + mark


class TellsNoFailure(PlainRelay):
    """Says nothing when motion fails."""

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return []


class TellsNoClose(PlainRelay):
    """Says nothing when Motion Server closes the session in mid-turn, as the SDK says nothing of a plain
    close."""

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        commands = super().upstream_lost(upstream, why)
        if session is None or not session.confirmed:
            return commands
        return [command for command in commands if not isinstance(command, Tell)]


class GivesUp(PlainRelay):
    """Never connects again for a client once motion has failed."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._given_up: set[str] = set()

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._given_up.add(turn.client)
        return super().failure_down(turn, why)

    def connect_up(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.client in self._given_up else super().connect_up(session)


class FallsBackTwice(PlainRelay):
    """Tells a failure by an empty list, and sends such a list in the client's next turn, too. Its wire has no
    turn ids."""

    wire = "typed-json"

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._fell_back: set[str] = set()

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        self._fell_back.add(turn.client)
        return [self.tell_motion(turn, last=False)]

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        again = [self.tell_motion(turn, last=False)] if turn.client in self._fell_back else []
        self._fell_back.discard(turn.client)
        return again + super().motion_down(turn, raw, message)


class LosesLargePayloads(PlainRelay):
    """Drops payloads of more than 60,000 bytes."""

    most_bytes = 60_000

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return [] if len(raw) > self.most_bytes else super().motion_down(turn, raw, message)


class LosesHugePayloads(LosesLargePayloads):
    """Drops payloads of more than 1,000,000 bytes."""

    most_bytes = 1_000_000


class CutsLargePayloads(PlainRelay):
    """Passes on the first 60,000 bytes of a payload."""

    most_bytes = 60_000

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return super().motion_down(turn, raw[: self.most_bytes], message)


class InsistsAtOnce(PlainRelay):
    """Tries again at once when it is refused, and again."""

    policy = RelayPolicy(attempts=40)


class InsistsForEver(PlainRelay):
    """Tells that it was refused, and tries again four times a second as long as the turn lasts."""

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.confirmed:
            return super().upstream_lost(upstream, why)
        session.attempt += 1
        failure: list[RelayCommand] = [Tell(session.client, Failed(why))] if session.attempt == 1 else []
        return [*failure, WatchSilence(upstream, _OFTEN_SECONDS)]

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is None or session.confirmed or not session.attempt:
            return super().upstream_silent(upstream)
        return self.connect_up(session)


FAULT_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "U-RETRY": (InsistsAtOnce, InsistsForEver),
    "R-RECOVER": (GivesUp,),
    "R-FALLBACK": (EndsAudioWithMotion, KeepsAudioForMotion),
    "R-ERROR-TOLD": (TellsNoFailure, TellsNoClose),
    "R-CONVERSATION": (FallsBackTwice,),
    "R-LARGE": (LosesLargePayloads, CutsLargePayloads),
    "R-HUGE": (LosesHugePayloads,),
}
"""The relays that break each of these rules, and no other rule."""
