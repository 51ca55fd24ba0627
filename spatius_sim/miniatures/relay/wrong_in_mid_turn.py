"""Relays that are wrong in exactly one way when a turn, a session or a client ends before its time."""

from collections.abc import Callable

from spatius_sim.miniatures.relay.honest_relays import KEEPS_ITS_SESSION, NAMES_NO_TURNS
from spatius_sim.model.relay.commands import RelayCommand, SendUp, WatchSilence
from spatius_sim.model.relay.policy import AudioStart, RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.protocol.messages import AudioInput, ConfigureSession
from spatius_sim.wires.events import ClientAction, InterruptTurn

_TURN_SECONDS = 10.0
_IDLE_SECONDS_AFTER_END = 12.0
_IDLE_SECONDS_AFTER_INTERRUPT = 4.0
_MOST_CHUNKS = 64


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


class ForgetsItsOnlySession(ForgetsWhatItOpens):
    """Keeps one session for all turns of a client, and forgets it in the same way."""

    policy = KEEPS_ITS_SESSION


class LimitsTheWholeTurn(PlainRelay):
    """Gives a turn up 10 s after it began, also if the client still speaks. So only long speech is lost."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._watched: set[str] = set()

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        if turn.turn_id in self._watched:
            return []
        self._watched.add(turn.turn_id)
        return [WatchSilence(turn.session.session_id, _TURN_SECONDS)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        session = self.sessions.get(upstream)
        return [] if session is None else self._give_up_session(session, "Motion Server went silent")


class _ClosesWhenIdle(PlainRelay):
    """Keeps one session for all turns, and closes it to save money some time after a turn, also if the next
    turn is spoken then."""

    policy = KEEPS_ITS_SESSION

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._idle_sessions: dict[str, str] = {}
        """The session that a timer is for, by the name of the timer."""

    def start_idle_timer(self, turn: RelayTurn, seconds: float) -> list[RelayCommand]:
        timer = f"idle since {turn.turn_id}"
        self._idle_sessions[timer] = turn.session.session_id
        return [WatchSilence(timer, seconds)]

    def on_server_silent(self, upstream: str) -> list[RelayCommand]:
        if upstream not in self._idle_sessions:
            return super().on_server_silent(upstream)
        session = self.sessions.get(self._idle_sessions.pop(upstream))
        return [] if session is None else self._give_up_session(session, "nothing was said")


class ClosesAfterEndedTurn(_ClosesWhenIdle):
    """Closes it 12 s after motion of a turn has ended."""

    def _end_turn(self, turn: RelayTurn) -> list[RelayCommand]:
        is_complete = turn is not self._speaking_turns.get(turn.client_id)
        timer = self.start_idle_timer(turn, _IDLE_SECONDS_AFTER_END) if is_complete else []
        return [*super()._end_turn(turn), *timer]


class ClosesAfterInterrupt(_ClosesWhenIdle):
    """Closes it 4 s after an interrupt."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        session = next(iter(self._sessions_of(client)), None)
        turn = session.turn if session is not None and isinstance(action, InterruptTurn) else None
        timer = self.start_idle_timer(turn, _IDLE_SECONDS_AFTER_INTERRUPT) if turn is not None else []
        return [*super().on_client_action(client, action), *timer]


class KeepsFewChunks(PlainRelay):
    """Until the session is confirmed, keeps 64 messages for the client. Further ones are lost."""

    policy = RelayPolicy(audio_start=AudioStart.WHEN_CONFIRMED)

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        is_full = not self.may_start(turn) and len(turn.held_until_start) >= _MOST_CHUNKS
        return [] if is_full else super().send_audio_to_client(turn, pcm)


class KeepsFewChunksForServer(PlainRelay):
    """Until the session is confirmed, keeps 64 messages for Motion Server. Further ones are lost."""

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        is_full = not turn.session.confirmed and len(turn.unsent_audio) >= _MOST_CHUNKS
        return [] if is_full and not audio.end else super()._send_audio_to_server(turn, audio)


class LosesChunksOfOneSize(PlainRelay):
    """Writes the length of 16,384 bytes wrongly, so that Motion Server gets nothing of such a chunk."""

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        return [] if len(audio.audio) == 16_384 else super()._send_audio_to_server(turn, audio)


MID_TURN_MINIATURES: dict[str, tuple[type[PlainRelay], ...]] = {
    "R-END-AUDIO": (MarksInterruptedTurnLate,),
    "R-ERROR-TOLD": (TakesCloseForTheEnd,),
    "U-HANGUP": (ForgetsWhatItOpens, ForgetsItsOnlySession),
    "U-AUDIO-COMPLETE": (
        LimitsTheWholeTurn,
        ClosesAfterEndedTurn,
        ClosesAfterInterrupt,
        KeepsFewChunksForServer,
        LosesChunksOfOneSize,
    ),
    "R-AUDIO-COMPLETE": (KeepsFewChunks,),
}
"""The relays that break each of these rules, and no other rule."""
