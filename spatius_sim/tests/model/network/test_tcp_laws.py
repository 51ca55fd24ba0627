"""What holds for TCP over every link, whatever is written: bytes, causes and capacity are conserved."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.model.network.link_capacity import Capacity, LogNormalRate, Outages
from spatius_sim.model.network.tcp import HEADER_BYTES, INITIAL_WINDOW, SEGMENT_BYTES, Path, TcpFlow

WRITES = st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 100_000)), min_size=1, max_size=30)
RATES = st.floats(2e5, 1e8)
TRIPS = st.floats(0.002, 0.4)
LOSSES = st.sampled_from([0.0, 0.02, 0.3])


def drawn(seed: int) -> Capacity:
    """A link that changes every second, and stops from time to time."""
    process = LogNormalRate(0.5, 0.8, 0.6, outages=Outages(20, 0.3, 0.6, 1.0))
    return process.draw(np.random.default_rng(seed), 60)


class Meter(Capacity):
    """A constant link that remembers when it was asked to carry what."""

    def __init__(self, rate: float) -> None:
        super().__init__([0.0], [rate], 10.0)
        self.carried: list[tuple[float, float, float]] = []

    def finish_time(self, start: float, bits: float) -> float:
        finished = super().finish_time(start, bits)
        self.carried.append((start, finished, bits))
        return finished


def arrivals(flow: TcpFlow, writes: list[tuple[float, int]]) -> list[tuple[float, int, float]]:
    """Write it all, each so many seconds after the one before; return when, how much, and when it arrived."""
    at, seen = 0.0, []
    for pause, size in writes:
        at += pause
        seen.append((at, size, flow.write(at, size).arrived))
    return seen


@settings(deadline=None)
@given(WRITES, LOSSES, st.integers(0, 9), st.sampled_from([5000, 60_000, 1 << 30]))
def test_between_any_two_writes_no_more_arrives_than_the_link_carries(
    writes: list[tuple[float, int]], loss: float, seed: int, queue: int
) -> None:
    capacity = drawn(seed)
    rng = np.random.default_rng(seed)
    seen = arrivals(TcpFlow(Path(capacity, 0.03, 0.03, queue=queue, loss=loss), rng.random), writes)
    for first, (begin, _, _) in enumerate(seen):
        total = 0
        for _, size, arrived in seen[first:]:
            total += size
            assert arrived >= capacity.finish_time(begin, 8 * total) + 0.03 - 1e-6


@settings(deadline=None)
@given(WRITES, RATES, TRIPS)
def test_a_link_without_loss_carries_every_byte_once_with_its_headers(
    writes: list[tuple[float, int]], rate: float, trip: float
) -> None:
    meter = Meter(rate)
    seen = arrivals(TcpFlow(Path(meter, trip / 2, trip / 2, queue=1 << 30)), writes)
    if seen[-1][2] == math.inf:
        return
    written = sum(size for _, size in writes)
    bits = sum(bits for _, _, bits in meter.carried)
    headers, rest = divmod(bits - 8 * written, 8 * HEADER_BYTES)
    assert rest == pytest.approx(0)
    assert (
        math.ceil(written / SEGMENT_BYTES) <= headers <= sum(-(-size // SEGMENT_BYTES) for _, size in writes)
    )
    for (_, finished, _), (start, _, _) in pairwise(meter.carried):
        assert start >= finished - 1e-9


@settings(deadline=None)
@given(WRITES, RATES, TRIPS, st.sampled_from([4096, 60_000, 1 << 30]))
def test_without_loss_no_message_takes_longer_than_a_round_trip_for_each_initial_window(
    writes: list[tuple[float, int]], rate: float, trip: float, send_buffer: int
) -> None:
    path = Path(Capacity([0.0], [rate], 10.0), trip / 2, trip / 2, queue=1 << 30, send_buffer=send_buffer)
    flight = min(INITIAL_WINDOW, max(1, send_buffer // SEGMENT_BYTES)) * SEGMENT_BYTES
    done = 0.0
    for at, size, arrived in arrivals(TcpFlow(path), writes):
        segments = -(-size // SEGMENT_BYTES)
        carried = 8 * (size + HEADER_BYTES * segments) / rate
        # Its first segment may wait for the last flight of the message before.
        done = max(done, at) + carried + trip * (2 + math.ceil(size / flight))
        assert arrived <= done


@settings(deadline=None)
@given(st.integers(1, 400_000), RATES, st.floats(1, 4), TRIPS)
def test_a_message_alone_is_never_later_on_a_faster_link_without_loss(
    size: int, rate: float, times: float, trip: float
) -> None:
    def arrived(rate: float) -> float:
        path = Path(Capacity([0.0], [rate], 10.0), trip / 2, trip / 2, queue=1 << 30)
        return TcpFlow(path).write(0.0, size).arrived

    assert arrived(rate * times) <= arrived(rate) + 1e-9
