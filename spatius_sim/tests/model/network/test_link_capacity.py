"""What a link carries over time."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.model.network.link_capacity import (
    LONGEST_WAIT,
    Capacity,
    ConstantRate,
    LogNormalRate,
    Outages,
    RateTrace,
)
from spatius_sim.model.network.network_profile import NetworkProfile, RoundTrip
from spatius_sim.protocol.errors import UsageError

RATES = st.lists(st.sampled_from([0.0, 1e3, 5e4, 2e6]), min_size=1, max_size=6).filter(any)


def capacity_of(rates: list[float]) -> Capacity:
    return Capacity([float(index) for index in range(len(rates))], rates, float(len(rates)))


def carried(capacity: Capacity, start: float, end: float) -> float:
    """The bits between two times, summed up step by step."""
    edges = sorted({start, end, *(float(at) for at in range(math.ceil(start), math.ceil(end)) if at < end)})
    return sum(capacity.rate((left + right) / 2) * (right - left) for left, right in pairwise(edges))


@settings(deadline=None)
@given(RATES, st.floats(0, 20), st.floats(1, 1e5))
def test_a_link_carries_exactly_what_its_rate_allows(rates: list[float], start: float, bits: float) -> None:
    capacity = capacity_of(rates)
    end = capacity.finish_time(start, bits)
    if end < math.inf:
        assert carried(capacity, start, end) == pytest.approx(bits, rel=1e-6, abs=1e-3)


@settings(deadline=None)
@given(RATES, st.floats(0, 20), st.floats(1, 1e5), st.floats(0, 1e5))
def test_more_bits_take_longer(rates: list[float], start: float, bits: float, more: float) -> None:
    capacity = capacity_of(rates)
    assert start <= capacity.finish_time(start, bits) <= capacity.finish_time(start, bits + more) + 1e-9


def test_what_takes_longer_than_ten_minutes_never_comes() -> None:
    assert capacity_of([1.0]).finish_time(0, LONGEST_WAIT + 1) == math.inf
    assert capacity_of([1.0]).finish_time(0, LONGEST_WAIT - 1) == LONGEST_WAIT - 1


@pytest.mark.parametrize(
    ("starts", "rates", "period", "why"),
    [
        ([], [], 1, "at least one step"),
        ([1.0], [1.0], 2, "at least one step"),
        ([0.0, 0.0], [1.0, 1.0], 2, "one after the other"),
        ([0.0, 3.0], [1.0, 1.0], 2, "one after the other"),
        ([0.0], [1.0], math.inf, "one after the other"),
        ([0.0], [-1.0], 1, "0 or more"),
        ([0.0], [math.nan], 1, "0 or more"),
        ([0.0], [0.0], 1, "never carries"),
    ],
)
def test_steps_that_are_no_capacity_are_refused(
    starts: list[float], rates: list[float], period: float, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        Capacity(starts, rates, period)


def test_a_fair_link_gives_each_user_an_equal_share() -> None:
    assert capacity_of([3e6, 0.0]).share(3).finish_time(0.0, 1e6) == pytest.approx(1.0)


FITTED = {
    "lte-att-2016-driving": 4.56,
    "lte-att-2013-driving": 5.17,
    "lte-tmobile-driving": 12.8,
    "lte-tmobile-short": 16.7,
    "lte-verizon-short": 5.0,
    "umts-tmobile-driving": 2.0,
    "evdo-verizon-driving": 0.52,
    "5g-ireland-static": 66.9,
    "5g-ireland-driving": 28.4,
}
"""The mean of each recording in Mbit/s."""


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_network_carries_what_was_recorded(name: str) -> None:
    rng = np.random.default_rng(3)
    process = shipped_networks()[name].down
    mean = float(np.mean([process.draw(rng, 200).mean for _ in range(150)])) / 1e6
    assert mean == pytest.approx(FITTED[name], rel=0.2)


def test_the_rate_has_the_mean_the_spread_and_the_memory_that_were_fitted() -> None:
    process = LogNormalRate(1.16, 0.93, 0.65)
    capacity = process.draw(np.random.default_rng(5), 20_000)
    logs = np.log([capacity.rate(at + 0.5) / 1e6 for at in range(20_000)])
    assert logs.mean() == pytest.approx(1.16, abs=0.05)
    assert logs.std() == pytest.approx(0.93, abs=0.05)
    assert np.corrcoef(logs[1:], logs[:-1])[0, 1] == pytest.approx(0.65, abs=0.03)


def test_outages_are_as_many_and_as_long_as_was_fitted() -> None:
    outages = Outages(11.0, 0.43, 0.90, 1.1)
    drawn = outages.draw(np.random.default_rng(5), 60_000)
    lengths = [end - begin for begin, end in drawn]
    assert len(drawn) / 1000 == pytest.approx(11.0, rel=0.05)
    assert np.mean(lengths) == pytest.approx(0.43, rel=0.05)
    assert np.quantile(lengths, 0.95) == pytest.approx(0.90, rel=0.05)
    assert max(lengths) <= 1.1 + 1e-9
    assert all(end <= later for (_, end), (later, _) in pairwise(drawn))


def test_a_link_that_is_out_all_the_time_that_is_looked_at_carries_something_in_the_end() -> None:
    process = LogNormalRate(0.0, 0.0, 0.0, outages=Outages(1.0, 45.0, 45.0, 45.0))
    rng = np.random.default_rng(1)
    drawn = [process.draw(rng, 1.0) for _ in range(200)]
    whole = [capacity for capacity in drawn if capacity.rate(0.95) and not capacity.rate(0.5)]
    assert whole
    assert all(capacity.finish_time(0, 1000) < math.inf for capacity in drawn)


def test_outages_within_a_second_leave_the_rest_of_the_second() -> None:
    process = LogNormalRate(0.0, 0.0, 0.0, outages=Outages(60.0, 0.2, 0.2, 0.2))
    capacity = process.draw(np.random.default_rng(1), 1000)
    assert capacity.mean == pytest.approx(0.8e6, rel=0.03)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantRate(0),
        lambda: ConstantRate(math.inf),
        lambda: Outages(0, 1, 1, 1),
        lambda: Outages(1, 0, 1, 1),
        lambda: Outages(1, 2, 1, 3),
        lambda: Outages(60, 0.9, 0.9, 0.9),
        lambda: LogNormalRate(99, 1, 0.5),
        lambda: LogNormalRate(1, -1, 0.5),
        lambda: LogNormalRate(1, 1, 1),
        lambda: LogNormalRate(1, 1, 0.5, most=0),
        lambda: RateTrace((0.0,), (0.0,), 1.0),
        lambda: RateTrace((0.0,), (1e-320,), 1.0),
        lambda: RateTrace((0.0,) * 200_001, (1.0,) * 200_001, 1.0),
        lambda: RateTrace(tuple(0.0009 * step for step in range(2001)), (1.0,) * 2001, 2.0),
        lambda: RateTrace((0.0, 1e-7), (1.0, 2.0), 2.0),
        lambda: RoundTrip(-0.1, 0.1),
        lambda: RoundTrip(0.2, 0.1),
        lambda: NetworkProfile("n", "", ConstantRate(1), ConstantRate(1), RoundTrip(0, 0), loss=0.9),
        lambda: NetworkProfile("n", "", ConstantRate(1), ConstantRate(1), RoundTrip(0, 0), queue=0),
    ],
)
def test_impossible_networks_are_refused(make: object) -> None:
    with pytest.raises(UsageError):
        make()  # type: ignore[operator]


def test_a_trace_is_drawn_from_a_random_place_and_goes_round() -> None:
    trace = RateTrace((0.0, 1.0, 2.0), (1e6, 2e6, 3e6), 3.0)
    rng = np.random.default_rng(1)
    drawn = [trace.draw(rng, 6.0) for _ in range(20)]
    assert len({capacity.rate(0.0) for capacity in drawn}) == 3
    assert all(capacity.mean == pytest.approx(2e6) for capacity in drawn)
    silent = RateTrace((0.0, 1.0), (1e6, 0.0), 1000.0)
    assert all(silent.draw(rng, 0.5).mean > 0 for _ in range(20))


def test_round_trips_have_the_quantiles_of_their_profile() -> None:
    rng = np.random.default_rng(1)
    trips = [RoundTrip(0.064, 0.080).draw(rng) for _ in range(5000)]
    assert np.quantile(trips, [0.5, 0.9]) == pytest.approx([0.064, 0.080], rel=0.01)
    assert RoundTrip(0.05, 0.05).draw(rng) == 0.05
    assert RoundTrip(0, 0.05).draw(rng) == 0


def test_a_constant_rate_stays_the_same() -> None:
    capacity = ConstantRate(2e6).draw(np.random.default_rng(1), 0.5)
    assert capacity.mean == capacity.rate(0.1) == capacity.rate(77.7) == 2e6
