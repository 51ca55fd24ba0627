"""The limits of a price plan: how many sessions an app may have at once, and how long each may last."""

from dataclasses import dataclass

from spatius_sim.model.scenario.faults_by_id import TIME_LIMIT_REACHED, TOO_MANY_SESSIONS, session_ends
from spatius_sim.model.scenario.scenario import Fault, Moment, SendError, When


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """The limits of a price plan for the sessions of one app: at most `max_sessions` at once, each of at most
    `max_seconds`; 0 means no limit. The service's plans have 2 to 40 sessions, and 10 to 120 minutes
    (docs:pricing)."""

    max_sessions: int = 0
    max_seconds: float = 0.0

    def make_faults(self, open_session_count: int) -> list[Fault]:
        """Return the fault by which the limits of the price plan end a new session, or an empty list if there
        is no limit. The fault refuses the session if the app has `open_session_count` already and no more are
        allowed. Otherwise it ends the session after the longest time.

        A session that is about to be replaced counts as open (docs:pricing)."""
        if self.max_sessions and open_session_count >= self.max_sessions:
            return [Fault(When(Moment.CONFIGURE), (SendError(4003, TOO_MANY_SESSIONS),))]
        if self.max_seconds:
            return [
                Fault(When(Moment.OPEN, seconds=self.max_seconds), session_ends(4002, TIME_LIMIT_REACHED))
            ]
        return []


UNLIMITED = SessionPlan()
