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

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if isinstance(action, InterruptTurn) and client in self._speaking_turns:
            self._marks_due.add(client)
        return super().on_client_action(client, action)

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        commands = super().send_audio_to_client(turn, pcm)
        if turn.client_id in self._marks_due:
            self._marks_due.remove(turn.client_id)
            commands.append(self.tell_audio(turn, b"", last=True))
        return commands


class TakesCloseForTheEnd(PlainRelay):
    """If Motion Server closes the session after some motion of a turn, marks the motion as ended, and tells
    no error."""

    def on_session_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        turn = session.turn if session is not None else None
        if session is None or turn is None or not turn.payload_count:
            return super().on_session_lost(upstream, why)
        return [self.tell_motion(turn, last=True), *self._end_turn(turn), *self._close_session(session)]


class ForgetsWhatItOpens(PlainRelay):
    """Forgets the session of a client that leaves before the session is confirmed, and leaves it open."""

    def on_client_disconnected(self, client: str) -> list[RelayCommand]:
        for session in self._sessions_of(client):
            if not session.confirmed:
                del self.sessions[session.session_id]
        return super().on_client_disconnected(client)

    def on_session_opened(self, upstream: str) -> list[RelayCommand]:
        if upstream in self.sessions:
            return super().on_session_opened(upstream)
        return [SendUp(upstream, ConfigureSession(16000))]


MID_TURN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-END-AUDIO": (MarksInterruptedTurnLate,),
    "R-ERROR-TOLD": (TakesCloseForTheEnd,),
    "U-HANGUP": (ForgetsWhatItOpens,),
}
"""The relays that break each of these rules, and no other rule."""
