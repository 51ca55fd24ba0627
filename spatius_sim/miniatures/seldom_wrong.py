"""Relays that are wrong in one named way, but seldom: only in some turn, some payload or some company."""

from collections.abc import Callable

from spatius_sim.miniatures.honest_relays import KEEPS_ITS_SESSION
from spatius_sim.miniatures.wrong_relays import LosesLastPayload, NeverMarksAudioEnd, SwapsPayloads
from spatius_sim.miniatures.wrong_with_faults import CutsLargePayloads
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay, RelaySession, RelayTurn
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.wires.events import ClientAction, InterruptTurn


class LosesInThirdTurn(LosesLastPayload):
    """Drops the last payload of a client's third turn, and of no other."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if turn.number == 2:
            return super().motion_down(turn, raw, message)
        return PlainRelay.motion_down(self, turn, raw, message)


class LosesBehindAnInterrupt(LosesLastPayload):
    """Drops the last payload of a turn that follows an interrupted one, and of no other."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._interrupted: set[tuple[str, int]] = set()
        """The turns, by client and number, that an interrupt ended."""

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn):
            self._interrupted.add((client, self._spoken.get(client, -1)))
        return super().client_did(client, action)

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if (turn.client, turn.number - 1) in self._interrupted:
            return super().motion_down(turn, raw, message)
        return PlainRelay.motion_down(self, turn, raw, message)


class DoublesSinglePayload(PlainRelay):
    """Delivers the payload twice if a turn has only one payload."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        alone = message.end and turn.payloads == 0
        return [self.tell_motion(turn, *([raw, raw] if alone else [raw]), last=message.end)]


class CutsPayloadsAbove32kB(CutsLargePayloads):
    """Passes on at most the first 32 kB of a payload."""

    most_bytes = 32 * 1024


class SwapsInCompany(SwapsPayloads):
    """Delivers the first payload of a turn after the second, while two clients are connected."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        if len(self.clients) > 1:
            return super().motion_down(turn, raw, message)
        return PlainRelay.motion_down(self, turn, raw, message)


class ForgetsOneMarkInSeven(NeverMarksAudioEnd):
    """Leaves the last audio of every seventh turn unmarked."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turns_ended = 0

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        self._turns_ended += 1
        if self._turns_ended % 7 == 0:
            return super().end_down(turn)
        return PlainRelay.end_down(self, turn)


class GivesUpWhereRefused(PlainRelay):
    """Keeps one upstream session for all turns of a client. It opens another session if that is
    lost, and gives up if Motion Server turns it away."""

    policy = KEEPS_ITS_SESSION

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turned_away: set[str] = set()

    def connect_up(self, session: RelaySession) -> list[RelayCommand]:
        return [] if session.name in self._turned_away else super().connect_up(session)

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        if session is not None and not session.confirmed:
            self._turned_away.add(upstream)
        return super().upstream_lost(upstream, why)


MEAN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-MOTION-COMPLETE": (LosesInThirdTurn, LosesBehindAnInterrupt, DoublesSinglePayload),
    "R-MOTION-VERBATIM": (CutsPayloadsAbove32kB,),
    "R-MOTION-ORDER": (SwapsInCompany,),
    "R-RECOVER": (GivesUpWhereRefused,),
    "R-END-AUDIO": (ForgetsOneMarkInSeven,),
}
"""The relays that break each rule, and no other rule, though few plans find it."""
