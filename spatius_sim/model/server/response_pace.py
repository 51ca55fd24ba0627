"""Decides how long each response of Motion Server waits before it is sent."""

import math
from dataclasses import dataclass

from spatius_sim.model.scenario.seeded_numbers import seeded_fraction
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
        """Check the times of this pace of responses: latency, jitter and lead. Raise UsageError if one is not
        from 0 to 3600 seconds; the lead may also be None."""
        for field_name in ("latency", "jitter", "lead"):
            seconds = getattr(self, field_name)
            if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_SECONDS):
                raise UsageError(f"{field_name} must lie between 0 and {_LONGEST_SECONDS} seconds")

    def delay_seconds(
        self,
        seed: int,
        connection_number: int,
        request_number: int,
        response_number: int,
        early_seconds: float,
    ) -> float:
        """Return how many seconds Motion Server waits, at this pace, before it sends a response, after the
        audio for the response has come. `early_seconds` is how much earlier this audio came than it would in
        real time; what is beyond the pace's `lead` is waited for. A first response also waits the `latency`.

        The numbers count from 1; together with the seed they decide the random part of the wait."""
        delay = 0.0
        if self.jitter:
            delay = self.jitter * seeded_fraction(
                seed, "jitter", connection_number, request_number, response_number
            )
        if response_number == 1:
            delay += self.latency
        return delay if self.lead is None else delay + max(0.0, early_seconds - self.lead)


FAST = Pace()
REALTIME = Pace(REALTIME_LATENCY, REALTIME_JITTER, REALTIME_LEAD)

PACES = {"fast": FAST, "realtime": REALTIME}
