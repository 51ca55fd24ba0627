"""The capacity of a network link: how many bits a second it carries, over time. It is a constant, a drawn
process with outages, or a measured rate.

The drawn process has one rate a second. The logarithm of the rate is normal, and depends on the second before
(AR(1)). Outages are laid over the rates, as they were fitted apart from them."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np

from spatius_sim.protocol.errors import UsageError

LONGEST_WAIT = 600.0
"""Seconds after which data that a link has not delivered count as never delivered."""

MAX_TRACE_STEPS = 200_000
_MAX_STEPS_A_SECOND = 1000
_MIN_RATE = 1e-9
"""Bits a second. Below this a link carries nothing in any time that a number can tell."""

_SHORTEST_STEP = 1e-6
"""Seconds. Shorter steps would begin at the same time once a draw has moved them."""
_MEGABIT = 1e6
_P95 = 1.645
"""The 95th percentile of the standard normal distribution."""

_MOST_OUTAGES_A_MINUTE = 600
_LONGEST_OUTAGE_A_MINUTE = 50
"""Seconds of a minute in which a link may be out on average."""

_SHORTEST_PAUSE = 0.05
"""Seconds between two outages, on average, at least."""

_LAST_RATE_SECONDS = 0.1
"""Seconds at the end in which a link carries something if outages fill all the time."""


class Capacity:
    """The rate of a link over time, in steps: from `starts[i]` seconds on it carries `rates[i]` bits a
    second. After `period` seconds the steps repeat.

    Raises UsageError if the steps are not in order, if a rate is negative, or if nothing is ever carried.
    """

    def __init__(self, starts: Sequence[float], rates: Sequence[float], period: float) -> None:
        """Make the capacity of a network link whose rate changes in steps. Step i begins at `starts[i]`
        seconds and has the rate `rates[i]` in bits a second. After `period` seconds the steps repeat. Raises
        UsageError if the steps are not in order, a rate is negative, or all rates are 0."""
        _check_steps(starts, rates, period)
        self._period = period
        self._starts, self._rates = list(starts), list(rates)
        self._edges = [*self._starts, period]
        self._carried_bits = self._sum_carried_bits()
        """Bits carried from the beginning of the period until each edge."""

    @property
    def mean(self) -> float:
        """The mean rate in bits a second."""
        return self._carried_bits[-1] / self._period

    def share(self, count: int) -> "Capacity":
        """Return the capacity of a link that each of `count` users has if all send at the same time and the
        link is fair."""
        return Capacity(self._starts, [rate / count for rate in self._rates], self._period)

    def rate(self, at: float) -> float:
        """Return the rate in bits a second at this time in seconds."""
        return self._rates[bisect_right(self._starts, at % self._period) - 1]

    def finish_time(self, start: float, bits: float) -> float:
        """Return at which time (seconds) a link has carried `bits` bits, if it begins at `start` (seconds)
        and carries nothing else. Infinity if this takes longer than LONGEST_WAIT."""
        periods_before, offset = divmod(start, self._period)
        index = bisect_right(self._starts, offset) - 1
        rate = self._rates[index]
        if rate * (self._edges[index + 1] - offset) >= bits > 0:
            return start + bits / rate
        bits_since_period_start = self._carried_bits[index] + rate * (offset - self._edges[index]) + bits
        periods_more, bits_left = divmod(bits_since_period_start, self._carried_bits[-1])
        index = max(0, bisect_right(self._carried_bits, bits_left) - 1)
        # If no bits are left, the link ends with the last step that carried something, not after the pause
        # that follows.
        end_in_period = self._edges[index] + (bits_left - self._carried_bits[index]) / (
            self._rates[index] or 1.0
        )
        finished_at = (periods_before + periods_more) * self._period + end_in_period
        return finished_at if finished_at - start <= LONGEST_WAIT else math.inf

    def _sum_carried_bits(self) -> list[float]:
        """Return how many bits the link has carried from the beginning of its period until each edge. The
        edges are the times at which the rate changes, and the end of the period."""
        carried_bits = [0.0]
        for index, rate in enumerate(self._rates):
            carried_bits.append(carried_bits[-1] + rate * (self._edges[index + 1] - self._edges[index]))
        return carried_bits


def _check_steps(starts: Sequence[float], rates: Sequence[float], period: float) -> None:
    """Raise UsageError if these steps cannot be the capacity of a network link. Step i begins at `starts[i]`
    seconds and has the rate `rates[i]`. It is wrong if the steps are not in order before `period` ends, if a
    rate is negative, or if all rates are 0."""
    if not rates or len(starts) != len(rates) or starts[0] != 0:
        raise UsageError("a capacity needs at least one step, and the first step begins at 0 s")
    edges = [*starts, period]
    in_order = all(earlier < later for earlier, later in pairwise(edges))
    if not in_order or not all(math.isfinite(edge) for edge in edges):
        raise UsageError("the steps of a capacity must begin one after the other, before its period ends")
    if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
        raise UsageError("a rate must be 0 or more")
    if max(rates) < _MIN_RATE:
        raise UsageError("the link never carries anything: a rate above 0 is needed")


class CapacityProcess(Protocol):
    """What capacities are drawn from."""

    def draw(self, rng: np.random.Generator, seconds: float) -> Capacity:
        """Return a capacity of a link that does not repeat within `seconds`, unless its source is shorter."""


@dataclass(frozen=True, slots=True)
class ConstantRate:
    """The same rate for ever, in bits a second."""

    rate: float

    def __post_init__(self) -> None:
        """Raise UsageError if the constant rate of this link (bits a second) is not a finite number above
        0."""
        if not (math.isfinite(self.rate) and self.rate >= _MIN_RATE):
            raise UsageError("the rate must be above 0: a link that carries nothing has no figures")

    def draw(self, rng: np.random.Generator, seconds: float) -> Capacity:
        """Return the capacity of a link that always has this rate. Nothing is drawn by chance."""
        return Capacity([0.0], [self.rate], max(seconds, 1.0))


@dataclass(frozen=True, slots=True)
class Outages:
    """Times in which a link carries nothing. They come at random (Poisson), `per_minute` on average; their
    length is log-normal with this `mean` and this 95th percentile `p95`, and `longest` at most (seconds)."""

    per_minute: float
    mean: float
    p95: float
    longest: float

    def __post_init__(self) -> None:
        """Check the settings of a link's outages: how many per minute, and their lengths in seconds. Raise
        UsageError if the lengths contradict each other, or if the link would have too little time to carry
        anything."""
        if not 0 < self.per_minute <= _MOST_OUTAGES_A_MINUTE:
            raise UsageError("outages: per_minute must lie above 0 and at most at 600")
        if not 0 < self.mean <= self.longest <= LONGEST_WAIT:
            raise UsageError(f"outages: 0 < mean <= longest <= {LONGEST_WAIT:.0f} s is needed")
        if not self.mean <= self.p95 <= self.longest:
            raise UsageError("outages: p95 must lie between mean and longest")
        if self.per_minute * self.mean >= _LONGEST_OUTAGE_A_MINUTE:
            raise UsageError("outages: the link is out for more than 50 s of each minute")

    @property
    def deviation(self) -> float:
        """The standard deviation of the logarithm of the length."""
        # A log-normal distribution has no 95th percentile above 3.87 times its mean.
        return _P95 - math.sqrt(max(0.0, _P95**2 - 2 * math.log(self.p95 / self.mean)))

    def draw(self, rng: np.random.Generator, seconds: float) -> list[tuple[float, float]]:
        """Draw at random the outages of a network link between 0 and `seconds`; during an outage the link
        carries nothing. Return the begin and end of each outage, in seconds, in order. Outages do not
        overlap."""
        sigma = self.deviation
        mean_pause = max(60 / self.per_minute - self.mean, _SHORTEST_PAUSE)
        outages: list[tuple[float, float]] = []
        # The first outage may have begun before the time that is looked at.
        begin = rng.exponential(mean_pause) - (self.mean if rng.random() < self.share else 0.0)
        while begin < seconds:
            length = min(self.longest, math.exp(math.log(self.mean) - sigma**2 / 2 + sigma * rng.normal()))
            if begin + length > 0:
                outages.append((max(0.0, begin), min(begin + length, seconds)))
            begin += length + rng.exponential(mean_pause)
        return outages

    @property
    def share(self) -> float:
        """The share of time that the link is out."""
        return self.per_minute * self.mean / 60


@dataclass(frozen=True, slots=True)
class LogNormalRate:
    """A rate that changes every second. Its natural logarithm, in Mbit/s, is normal with mean `log_mean` and
    standard deviation `log_sd`, and correlates with the second before by `correlation`. `most`: the highest
    rate in Mbit/s; a log-normal fit has a longer tail than a radio. `outages` are laid over it."""

    log_mean: float
    log_sd: float
    correlation: float
    most: float = 1000.0
    outages: Outages | None = None

    def __post_init__(self) -> None:
        """Check the settings of a link whose rate changes at random every second. Raise UsageError for a
        value that no real link has. The mean and the standard deviation are those of the rate's logarithm;
        `most` is the highest rate, in Mbit/s."""
        if not -7 <= self.log_mean <= 9:
            raise UsageError("log_mean must lie between -7 and 9 (1 kbit/s to 8 Gbit/s)")
        if not 0 <= self.log_sd <= 3:
            raise UsageError("log_sd must lie between 0 and 3")
        if not 0 <= self.correlation < 1:
            raise UsageError("correlation must be at least 0 and below 1")
        if not _MIN_RATE <= self.most <= 100_000:
            raise UsageError("most must lie above 0 and at most at 100000 Mbit/s")

    def draw(self, rng: np.random.Generator, seconds: float) -> Capacity:
        """Draw at random the capacity of a network link for `seconds` seconds. Each second has its own rate,
        which is log-normal and correlates with the rate of the second before. No rate is above `most` (in
        Mbit/s), and during the link's outages the rate is 0."""
        step_count = max(1, math.ceil(seconds))
        random_steps = rng.standard_normal(step_count)
        share_of_random = math.sqrt(1 - self.correlation**2)
        level = float(random_steps[0])
        levels = [level]
        for random_step in random_steps[1:].tolist():
            level = self.correlation * level + share_of_random * random_step
            levels.append(level)
        logs = self.log_mean + self.log_sd * np.array(levels)
        rates = (_MEGABIT * np.minimum(self.most, np.exp(logs))).tolist()
        starts = [float(second) for second in range(step_count)]
        if self.outages:
            outages = self.outages.draw(rng, step_count)
            starts, rates = _set_zero_in_outages(starts, rates, outages, float(step_count))
        return Capacity(starts, rates, float(step_count))


def _set_zero_in_outages(
    starts: list[float], rates: list[float], outages: list[tuple[float, float]], end: float
) -> tuple[list[float], list[float]]:
    """Set the rate of a network link to 0 during its outages, and return its new steps: their starts in
    seconds, and their rates in bits a second. `end` is the end of the last step. If there is no rate above 0
    left, the last 0.1 s keeps its old rate, so that the link carries something."""
    cut_starts: list[float] = []
    cut_rates: list[float] = []
    remaining_outages = iter([*outages, (math.inf, math.inf)])
    outage_begin, outage_end = next(remaining_outages)
    for start, rate, step_end in zip(starts, rates, [*starts[1:], end], strict=True):
        position = start
        while position < step_end:
            if outage_end <= position:
                outage_begin, outage_end = next(remaining_outages)
                continue
            is_out = outage_begin <= position
            cut_starts.append(position)
            cut_rates.append(0.0 if is_out else rate)
            position = min(step_end, outage_end if is_out else outage_begin)
    if not any(cut_rates):
        # The last 0.1 s becomes a step of its own, in place of all steps that begin in it.
        last_start = end - _LAST_RATE_SECONDS
        cut_starts.append(last_start)
        cut_rates.append(rates[-1])
        earlier = [index for index, start in enumerate(cut_starts[:-1]) if start < last_start]
        cut_starts = [*(cut_starts[index] for index in earlier), last_start]
        cut_rates = [*(cut_rates[index] for index in earlier), rates[-1]]
    return cut_starts, cut_rates


@dataclass(frozen=True, slots=True)
class RateTrace:
    """A measured rate of a link: from `starts[i]` seconds on, `rates[i]` bits a second, until `period`. A
    draw begins at a random time of the measurement, and goes on at its beginning after its end."""

    starts: tuple[float, ...]
    rates: tuple[float, ...]
    period: float
    _whole: Capacity = field(init=False, repr=False, compare=False)
    """The capacity of the whole measurement."""

    def __post_init__(self) -> None:
        """Check the measured rates of a network link: step i begins at `starts[i]` seconds and has the rate
        `rates[i]` (bits a second). Make from them `_whole`, the capacity of the whole measurement. Raise
        UsageError if the steps are not in order, too many or too short, or if the link never carries
        anything."""
        if len(self.rates) > MAX_TRACE_STEPS:
            raise UsageError(f"the trace has more than {MAX_TRACE_STEPS} steps: cut it")
        object.__setattr__(self, "_whole", Capacity(self.starts, self.rates, self.period))
        # A short trace is repeated until a turn is over: that must not take for ever.
        if len(self.rates) > _MAX_STEPS_A_SECOND * self.period:
            raise UsageError(f"the trace has more than {_MAX_STEPS_A_SECOND} steps a second: thin it out")
        if any(later - earlier < _SHORTEST_STEP for earlier, later in pairwise((*self.starts, self.period))):
            raise UsageError("two steps of the trace lie within a millionth of a second: thin it out")

    def draw(self, rng: np.random.Generator, seconds: float) -> Capacity:
        """Return the capacity of a link for `seconds` seconds, from its measured rates. They begin at a
        random time of the measurement, and start again from its beginning after its end. If the link would
        carry nothing in this time, return the capacity of the whole measurement (`_whole`): every link must
        carry something."""
        begin_in_trace = rng.random() * self.period
        starts, rates = [0.0], [self._whole.rate(begin_in_trace)]
        index = bisect_right(self.starts, begin_in_trace)
        repetitions = 0
        while True:
            if index == len(self.starts):
                index, repetitions = 0, repetitions + 1
            step_begin = repetitions * self.period + self.starts[index] - begin_in_trace
            if step_begin >= seconds:
                break
            starts.append(step_begin)
            rates.append(self.rates[index])
            index += 1
        return Capacity(starts, rates, seconds) if any(rates) else self._whole
