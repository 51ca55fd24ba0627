"""Says how fast Motion Server answers."""

import math
from dataclasses import dataclass

from spatius_sim.model.scenario.dice import roll
from spatius_sim.protocol.errors import UsageError

REALTIME_LATENCY = 0.4
"""Seconds from the audio of a request's first segment to its first response: ASSUMED, no document says."""

REALTIME_JITTER = 0.1
"""Seconds, at most, by which any response comes later than it might: ASSUMED, no document says."""


REALTIME_LEAD = 5.0
"""Seconds of audio for which motion is made ahead of real time. ASSUMED: no document says how fast motion is
made if audio comes faster than it is spoken. So every segment comes one second before the previous segment
ends."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a response waits.

    No response leaves before its audio has come (the recording's segments), nor more than `lead` seconds
    before the last of that audio would have been spoken in real time (None: the speed of the audio does not
    matter). The first response of a request leaves `latency` seconds later; every response may wait at most
    `jitter` seconds more."""

    latency: float = 0.0
    jitter: float = 0.0
    lead: float | None = None

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "lead"):
            seconds = getattr(self, name)
            if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= 3600):
                raise UsageError(f"{name} must lie between 0 and 3600 seconds")

    def delay(self, seed: int, connection: int, request: int, response: int, early: float) -> float:
        """Return how many seconds a response waits. Connections, their requests and their responses count
        from 1. `early`: by how many seconds its audio came faster than it is spoken."""
        late = self.jitter and self.jitter * roll(seed, "jitter", connection, request, response)
        if response == 1:
            late += self.latency
        return late if self.lead is None else late + max(0.0, early - self.lead)


FAST = Pace()
REALTIME = Pace(REALTIME_LATENCY, REALTIME_JITTER, REALTIME_LEAD)

PACES = {"fast": FAST, "realtime": REALTIME}
