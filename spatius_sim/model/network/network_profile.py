"""A network as a client has it: what its link carries down and up, its round trip, its queue and its loss."""

import math
from dataclasses import dataclass

import numpy as np

from spatius_sim.model.network.link_capacity import CapacityProcess, ConstantRate
from spatius_sim.protocol.errors import UsageError

_P90 = 1.2816
"""The 90th percentile of the standard normal distribution."""

_MOST_LOSS = 0.5
_SHORTEST_QUEUE, _LONGEST_QUEUE = 3000, 1 << 30
"""Bytes."""

DATA_CENTRE = ConstantRate(1e9)
"""What carries data between a relay and Motion Server. ASSUMED: it is never the bottleneck."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """The time of a round trip without any queue, in seconds: log-normal over turns, with this median and
    this 90th percentile. It is constant within a turn: what changes within a turn is the queue."""

    p50: float
    p90: float

    def __post_init__(self) -> None:
        """Raise UsageError if the median `p50` or the 90th percentile `p90` of the round trip is not between
        0 and 10 s. Also raise it if `p90` is below `p50`."""
        if not 0 <= self.p50 <= self.p90 <= 10:
            raise UsageError("a round trip needs 0 <= p50 <= p90 <= 10 s")

    def draw(self, rng: np.random.Generator) -> float:
        """Draw at random the round trip time of a network for one turn, in seconds. The times are log-normal
        with the median `p50` and the 90th percentile `p90`. If these are equal, or if `p50` is 0, the time is
        always `p50`."""
        standard_deviations = float(rng.normal())
        if self.p50 == self.p90 or self.p50 == 0:
            return self.p50
        return self.p50 * math.exp(standard_deviations * math.log(self.p90 / self.p50) / _P90)


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """One network. `loss` is the share of lost segments, and `queue` how many bytes wait before the link at
    most (ASSUMED: no source names the queues). `about` says in a sentence what it is and where its figures
    come from."""

    name: str
    about: str
    down: CapacityProcess
    up: CapacityProcess
    round_trip: RoundTrip
    loss: float = 0.0
    queue: int = 256 * 1024

    def __post_init__(self) -> None:
        """Check this network profile (a named network, as a client has it): raise UsageError if its share of
        lost segments (`loss`) or the bytes in its queue (`queue`) are out of the range of real networks."""
        if not 0 <= self.loss <= _MOST_LOSS:
            raise UsageError("loss must lie between 0 and 0.5")
        if not _SHORTEST_QUEUE <= self.queue <= _LONGEST_QUEUE:
            raise UsageError("queue must hold between 3000 bytes and 1 GiB")


REGIONS = {
    "same": RoundTrip(0.003, 0.006),
    "us-east-1": RoundTrip(0.064, 0.067),
    "ap-northeast-1": RoundTrip(0.098, 0.101),
    "eu-west-1": RoundTrip(0.118, 0.121),
    "eu-central-1": RoundTrip(0.143, 0.146),
    "ap-southeast-1": RoundTrip(0.160, 0.164),
    "sa-east-1": RoundTrip(0.175, 0.178),
    "ap-south-1": RoundTrip(0.222, 0.234),
}
"""The round trip between a relay in us-west-2 and a Motion Server in each AWS region; `same` is inside a
region (measured by others, medians and 90th percentiles)."""
