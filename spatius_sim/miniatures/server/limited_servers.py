"""Motion Servers that let an app have few sessions at once: honest ones, some that refuse one too many
wrongly, and some that are wrong in many sessions."""

from collections.abc import Callable

from spatius_sim.miniatures.server.plain_server import PlainServer, PlainSession
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import upgrade_refusal
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import AudioInput, Message, MotionResponse, ServerError
from spatius_sim.trace.events import Undecodable

_MOST_SESSIONS = 2
"""The limit of the service's smallest price plan."""

_WORKERS = 4

_TOO_MANY = 4003


class LimitsSessions(PlainServer):
    """Refuses more than two sessions at once by error 4003, and closes with this code."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self.open: list[str] = []
        """The connections that are open, oldest first."""

    def open_session(self, expire_at: float) -> PlainSession:
        session = super().open_session(expire_at)
        self.open.append(session.connection_id)
        return session

    def leave(self, session: PlainSession) -> None:
        self.open.remove(session.connection_id)

    def is_one_too_many(self, session: PlainSession) -> bool:
        """Return whether the app had as many sessions as it may when this session was opened."""
        return session.connection_id not in self.open[:_MOST_SESSIONS]

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        if self.is_one_too_many(session):
            return self.refuse_one_too_many(session)
        return super().configure(session, value)

    def refuse_one_too_many(self, session: PlainSession) -> list[bytes]:
        """The answer to the configuration of one session too many."""
        session.close_code = _TOO_MANY
        return [encode(ServerError(session.connection_id, "", _TOO_MANY, "too many sessions"))]


class LimitsUpgrades(LimitsSessions):
    """Refuses one session too many at the upgrade, by HTTP 429."""

    def open_session(self, expire_at: float) -> PlainSession:
        if len(self.open) >= _MOST_SESSIONS:
            raise upgrade_refusal(429, "too many sessions")
        return super().open_session(expire_at)


class WaitsForSilentClients(PlainServer):
    """Does not confirm a session while a client that came before it has configured nothing."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._silent: list[str] = []
        """The connections that have sent nothing yet, oldest first."""

    def open_session(self, expire_at: float) -> PlainSession:
        session = super().open_session(expire_at)
        self._silent.append(session.connection_id)
        return session

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        waits = self._silent[0] != session.connection_id
        self._silent.remove(session.connection_id)
        answers = super().configure(session, value)
        return [] if waits and session.sample_rate else answers

    def leave(self, session: PlainSession) -> None:
        if session.connection_id in self._silent:
            self._silent.remove(session.connection_id)


class LeavesOneTooManyWaiting(LimitsSessions):
    """Says nothing to one session too many, and lets it wait."""

    def refuse_one_too_many(self, session: PlainSession) -> list[bytes]:
        return []

    def hangs_up(self, session: PlainSession) -> bool:
        return super().hangs_up(session) and not self.is_one_too_many(session)


class LeavesOneTooManyOpen(LimitsSessions):
    """Refuses one session too many, and does not close it."""

    def hangs_up(self, session: PlainSession) -> bool:
        return super().hangs_up(session) and not self.is_one_too_many(session)


class ClosesOneTooManyAsUsual(LimitsSessions):
    """Closes one session too many with the code of an ordinary close."""

    def refuse_one_too_many(self, session: PlainSession) -> list[bytes]:
        answers = super().refuse_one_too_many(session)
        session.close_code = 1000
        return answers


class LosesCount(LimitsSessions):
    """Counts one session too many as open for ever."""

    def leave(self, session: PlainSession) -> None:
        if not self.is_one_too_many(session):
            super().leave(session)


class CountsSessions(LimitsSessions):
    """Lets an app have any number of sessions."""

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        return PlainServer.configure(self, session, value)

    def is_one_of_many(self, session: PlainSession) -> bool:
        """Return whether four other sessions were open when this one was opened, and still are."""
        return session.connection_id not in self.open[:_WORKERS]


class AnswersFourSessions(CountsSessions):
    """Has four workers: confirms a fifth session, and answers nothing there."""

    def answers(self, session: PlainSession) -> bool:
        return super().answers(session) and not self.is_one_of_many(session)


class MixesManySessionsUp(CountsSessions):
    """Has four workers: answers a fifth session under the connection id of the first."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        connection_id = self.open[0] if self.is_one_of_many(session) else session.connection_id
        return encode(MotionResponse(connection_id, req_id, end, keyframes))


class SharesTheRate(PlainServer):
    """Takes the audio of all sessions at the rate that was configured last."""

    _newest_rate = 0

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        answers = super().configure(session, value)
        self._newest_rate = session.sample_rate or self._newest_rate
        return answers

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        session.sample_rate = self._newest_rate
        return super().audio(session, audio)
