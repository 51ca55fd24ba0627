"""Decides how long each response of Motion Server waits before it is sent."""

import math
from dataclasses import dataclass

from spatius_sim.model.scenario.seeded_numbers import roll
from spatius_sim.protocol.errors import UsageError

REALTIME_LATENCY = 0.7
REALTIME_JITTER = 0.5
"""Seconds: the first motion typically takes 0.7 to 1.2 s (docs:faq). That later responses are late by the
same random delay is ASSUMED."""

REALTIME_LEAD = 5.0
"""Seconds of audio for which motion is made ahead of real time. ASSUMED: no document says how fast motion is
made if audio comes faster than it is spoken. So every segment comes one second before the previous segment
ends."""

_LONGEST_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a response waits, in seconds.

    No response leaves before its audio has arrived. Nor does it leave more than `lead` seconds before that
    audio would end if it was spoken in real time (None: this bound does not apply). The first response of a
    request waits `latency` seconds more, and every response up to `jitter` seconds more.
    """

    latency: float = 0.0
    jitter: float = 0.0
    lead: float | None = None

    def __post_init__(self) -> None:
        """Raise UsageError if a time in this pace of responses is not from 0 to 3600 seconds."""
        for name in ("latency", "jitter", "lead"):
            seconds = getattr(self, name)
            if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_SECONDS):
                raise UsageError(f"{name} must lie between 0 and {_LONGEST_SECONDS} seconds")

    def delay(self, seed: int, connection: int, request: int, response: int, early: float) -> float:
        """Return how many seconds Motion Server waits, at this pace, before it sends a response, after the
        audio for it has come. Connections, requests and responses are numbered from 1. `early`: how many
        seconds earlier the audio came than it would in real time."""
        wait = self.jitter and self.jitter * roll(seed, "jitter", connection, request, response)
        if response == 1:
            wait += self.latency
        return wait if self.lead is None else wait + max(0.0, early - self.lead)


FAST = Pace()
REALTIME = Pace(REALTIME_LATENCY, REALTIME_JITTER, REALTIME_LEAD)

PACES = {"fast": FAST, "realtime": REALTIME}
