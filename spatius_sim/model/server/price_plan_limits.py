"""The limits of a price plan: how many sessions an app may have at once, and how long each may last."""

from dataclasses import dataclass

from spatius_sim.model.scenario.faults_by_id import TIME_LIMIT_REACHED, TOO_MANY_SESSIONS, session_ends
from spatius_sim.model.scenario.scenario import Fault, Moment, SendError, When


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """At most so many sessions of one app at once, each of at most so many seconds; 0 means no limit. The
    service's plans have 2 to 40 sessions, and 10 to 120 minutes (docs:pricing)."""

    sessions: int = 0
    seconds: float = 0.0

    def faults(self, open_sessions: int) -> list[Fault]:
        """Return the faults by which the limits of the price plan end a new session: at once if the app has
        `open_sessions` already and no more are allowed, or after the longest time. A session that is about to
        be replaced counts, too (docs:pricing)."""
        if self.sessions and open_sessions >= self.sessions:
            return [Fault(When(Moment.CONFIGURE), (SendError(4003, TOO_MANY_SESSIONS),))]
        if self.seconds:
            return [Fault(When(Moment.OPEN, seconds=self.seconds), session_ends(4002, TIME_LIMIT_REACHED))]
        return []


UNLIMITED = SessionPlan()
