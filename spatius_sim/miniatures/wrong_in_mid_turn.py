"""Relays that are wrong in exactly one way when a turn, a session or a client ends before its time."""

from collections.abc import Callable

from spatius_sim.miniatures.honest_relays import NAMES_NO_TURNS
from spatius_sim.model.relay.commands import RelayCommand, SendUp
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.protocol.messages import ConfigureSession
from spatius_sim.wires.events import ClientAction, InterruptTurn


class MarksInterruptedTurnLate(PlainRelay):
    """Names no turns, and sends the end mark of interrupted speech after the first audio of the next turn."""

    policy = NAMES_NO_TURNS

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._marks_due: set[str] = set()

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn) and client in self._speaking:
            self._marks_due.add(client)
        return super().client_did(client, action)

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        commands = super().audio_down(turn, pcm)
        if turn.client in self._marks_due:
            self._marks_due.remove(turn.client)
            commands.append(self.tell_audio(turn, b"", last=True))
        return commands


class TakesCloseForTheEnd(PlainRelay):
    """If Motion Server closes the session after some motion of a turn, marks the motion as ended, and tells
    no error."""

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        turn = session.turn if session is not None else None
        if session is None or turn is None or not turn.payloads:
            return super().upstream_lost(upstream, why)
        return [self.tell_motion(turn, last=True), *self._end(turn), *self._hang_up(session)]


class ForgetsWhatItOpens(PlainRelay):
    """Forgets the session of a client that leaves before the session is confirmed, and leaves it open."""

    def client_left(self, client: str) -> list[RelayCommand]:
        for session in self._sessions_of(client):
            if not session.confirmed:
                del self.sessions[session.name]
        return super().client_left(client)

    def upstream_opened(self, upstream: str) -> list[RelayCommand]:
        if upstream in self.sessions:
            return super().upstream_opened(upstream)
        return [SendUp(upstream, ConfigureSession(16000))]


MID_TURN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-END-AUDIO": (MarksInterruptedTurnLate,),
    "R-ERROR-TOLD": (TakesCloseForTheEnd,),
    "U-HANGUP": (ForgetsWhatItOpens,),
}
"""The relays that break each of these rules, and no other rule."""
