"""How fast Motion Server answers."""

import math
from dataclasses import dataclass

from spatius_sim.model.dice import roll
from spatius_sim.protocol.errors import UsageError

REALTIME_LATENCY = 0.4
"""Seconds from the audio of a request's first segment to its first response: ASSUMED, no document says."""

REALTIME_JITTER = 0.1
"""Seconds, at most, by which any response comes later than it might: ASSUMED, no document says."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Motion for a segment leaves when its audio has come: the first response of a request `latency`
    seconds later, each one up to `jitter` seconds later still."""

    latency: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency", "jitter"):
            if not (math.isfinite(getattr(self, name)) and 0 <= getattr(self, name) <= 3600):
                raise UsageError(f"{name} must lie between 0 and 3600 seconds")

    def delay(self, seed: int, connection: int, request: int, response: int) -> float:
        """Seconds by which that response waits; connections, their requests and their responses count
        from 1."""
        if not self.latency and not self.jitter:
            return 0.0
        late = self.jitter * roll(seed, "jitter", connection, request, response)
        return late + (self.latency if response == 1 else 0.0)


FAST = Pace()
REALTIME = Pace(REALTIME_LATENCY, REALTIME_JITTER)

PACES = {"fast": FAST, "realtime": REALTIME}
