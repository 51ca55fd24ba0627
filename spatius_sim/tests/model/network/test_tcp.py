"""What TCP does on a link that is known exactly."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spatius_sim.model.network.link_capacity import Capacity, LogNormalRate, Outages
from spatius_sim.model.network.tcp import (
    HEADER_BYTES,
    INITIAL_WINDOW,
    MIN_TIMEOUT,
    RECEIVE_BUFFER,
    SEGMENT_BYTES,
    Path,
    TcpFlow,
)

FAST = Capacity([0.0], [1e10], 10.0)
WRITES = st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 100_000)), min_size=1, max_size=40)


def flow_over(rate: float = 1e10, rtt: float = 0.1, **settings: float) -> TcpFlow:
    return TcpFlow(Path(Capacity([0.0], [rate], 10.0), rtt / 2, rtt / 2, **settings))  # type: ignore[arg-type]


def trips(size: int) -> float:
    """After how many round trips the last byte is sent on a link that is never full."""
    return (flow_over().write(0.0, size).arrived - 0.05) / 0.1


def test_slow_start_begins_with_ten_segments_and_doubles() -> None:
    first = INITIAL_WINDOW * SEGMENT_BYTES
    assert trips(first) == pytest.approx(0, abs=0.01)
    assert trips(first + 1) == pytest.approx(1, abs=0.01)
    assert trips(3 * first) == pytest.approx(1, abs=0.01)
    assert trips(3 * first + 1) == pytest.approx(2, abs=0.01)


def test_a_first_motion_takes_two_flights_and_one_in_base64_of_66_kb_three() -> None:
    assert trips(33_000) == pytest.approx(1, abs=0.01)
    assert trips(66_000) == pytest.approx(2, abs=0.01)


def test_idleness_takes_the_window_back() -> None:
    flow = flow_over()
    flow.write(0.0, 200_000)
    grown = flow.window
    flow.write(30.0, 1)
    assert flow.window == INITIAL_WINDOW < grown


def test_idleness_after_a_loss_raises_the_threshold_of_slow_start() -> None:
    """RFC 2861: to three quarters of the window that was in use."""
    flow = flow_over(rate=2e6, queue=20_000)
    flow.write(0.0, 200_000)
    window, before = flow.window, flow._slow_start_threshold
    flow.write(30.0, 1)
    assert before < math.inf
    assert flow._slow_start_threshold == max(before, 0.75 * window)


def test_a_sender_that_uses_little_of_its_window_gets_no_more() -> None:
    flow = flow_over()
    for number in range(100):
        flow.write(number * 0.2, 1000)
    assert flow.window == INITIAL_WINDOW


def test_a_long_transfer_fills_its_link() -> None:
    flow = flow_over(rate=5e6, rtt=0.06)
    arrived = flow.write(0.0, 5_000_000).arrived
    assert 5_000_000 * 8 / arrived == pytest.approx(5e6, rel=0.12)


def test_a_short_queue_loses_segments_and_still_carries_most() -> None:
    flow = flow_over(rate=5e6, rtt=0.06, queue=20_000)
    arrived = flow.write(0.0, 5_000_000).arrived
    assert flow.lost > 0
    assert 5_000_000 * 8 / arrived > 0.6 * 5e6


@settings(deadline=None)
@given(WRITES, st.sampled_from([0.0, 0.02, 0.3]), st.integers(0, 5), st.sampled_from([5000, 60_000, 1 << 30]))
@example([(0.0, 6721)], 0.0, 1, 5000)
@example([(0.0, 100_000)] * 9, 0.3, 0, 1 << 30)
def test_what_is_written_arrives_in_order_and_no_sooner_than_the_link_allows(
    writes: list[tuple[float, int]], loss: float, seed: int, queue: int
) -> None:
    rng = np.random.default_rng(seed)
    capacity = LogNormalRate(0.5, 0.8, 0.6, outages=Outages(20, 0.3, 0.6, 1.0)).draw(rng, 60)
    flow = TcpFlow(Path(capacity, 0.03, 0.03, queue=queue, loss=loss), rng.random)
    at = before = 0.0
    sent = 0
    for pause, size in writes:
        at += pause
        sent += size
        room = flow.find_room_time(at, size)
        accepted, arrived = flow.write(at, size)
        assert at <= room <= accepted <= max(arrived + 0.03, accepted)
        assert arrived >= max(before, at + 0.03)
        assert arrived >= capacity.finish_time(0.0, 8 * sent) + 0.03 - 1e-6
        before = arrived


@settings(deadline=None)
@given(WRITES, st.integers(0, 5))
def test_nothing_that_is_written_later_changes_what_was_said(
    writes: list[tuple[float, int]], seed: int
) -> None:
    def run(count: int) -> list[float]:
        rng = np.random.default_rng(seed)
        flow = TcpFlow(Path(FAST, 0.05, 0.05, loss=0.05), rng.random)
        at, arrived = 0.0, []
        for pause, size in writes[:count]:
            at += pause
            arrived.append(flow.write(at, size).arrived)
        return arrived

    assert run(len(writes))[:-1] == run(len(writes) - 1)


def test_a_loss_is_a_delay_of_a_round_trip_or_of_a_probe_never_missing_bytes() -> None:
    rolls = iter([0.0] + [1.0] * 100)
    flow = TcpFlow(Path(FAST, 0.05, 0.05, loss=0.5), lambda: next(rolls))
    assert flow.write(0.0, 8 * SEGMENT_BYTES).arrived == pytest.approx(0.15, abs=0.001)
    rolls = iter([0.0] + [1.0] * 100)
    alone = TcpFlow(Path(FAST, 0.05, 0.05, loss=0.5), lambda: next(rolls))
    assert alone.write(0.0, 100).arrived > 0.05 + MIN_TIMEOUT


def test_a_segment_that_is_lost_again_and_again_doubles_its_wait_and_ends() -> None:
    flow = TcpFlow(Path(FAST, 0.05, 0.05, loss=0.5), lambda: 0.0)
    assert flow.write(0.0, 100) == (math.inf, math.inf)
    assert flow.write(1.0, 100) == (math.inf, math.inf)


def test_a_link_that_stops_for_ever_ends_the_flow() -> None:
    flow = TcpFlow(Path(Capacity([0.0], [1.0], 10.0), 0.05, 0.05))
    assert flow.write(0.0, 10_000) == (math.inf, math.inf)


def test_the_socket_buffer_holds_back_what_is_written_beyond_it() -> None:
    flow = flow_over(rate=1e6, send_buffer=20_000)
    assert flow.write(0.0, 20_000).accepted == 0.0
    assert flow.find_room_time(0.0, 20_000) > 0.1
    assert flow.write(0.0, 20_000).accepted > 0.1


def test_a_slow_reader_has_a_message_when_it_has_read_it_all() -> None:
    flow = flow_over(rate=1e8, reads=1e6)
    assert flow.write(0.0, 50_000).arrived == pytest.approx(0.05 + 0.4, abs=0.01)
    assert flow.write(5.0, 50_000).arrived == pytest.approx(5.05 + 0.4, abs=0.01)


def test_a_slow_reader_closes_its_window_and_keeps_the_sender_waiting() -> None:
    flow = flow_over(rate=1e8, reads=1e6, send_buffer=20_000)
    flow.write(0.0, RECEIVE_BUFFER)
    sent: list[float] = []
    flow.on_sample = lambda at, queue, window: sent.append(at)
    beyond = flow.write(5.0, 2 * RECEIVE_BUFFER)
    assert beyond.arrived == pytest.approx(5.05 + 8 * 2 * RECEIVE_BUFFER / 1e6, rel=0.02)
    assert sent[-1] == pytest.approx(5.1 + 8 * RECEIVE_BUFFER / 1e6, rel=0.05)
    assert beyond.accepted > 5.5


@settings(deadline=None)
@given(WRITES, st.floats(1e5, 1e8))
@example(
    [
        (0.0, 4345),
        (0.0, 13033),
        (0.140625, 57442),
        (0.140625, 61471),
        (0.140625, 59368),
        (0.0625, 70789),
        (0.0, 21535),
        (0.0, 192),
        (0.0, 181),
    ],
    17801749.0,
)
def test_a_slow_reader_has_nothing_sooner_than_a_quick_one_or_than_it_reads(
    writes: list[tuple[float, int]], reads: float
) -> None:
    quick, slow = flow_over(rate=5e6, queue=1 << 30), flow_over(rate=5e6, queue=1 << 30, reads=reads)
    at = total = saved_seconds = 0.0
    for pause, size in writes:
        at += pause
        total += size
        arrived = slow.write(at, size).arrived
        # Sums of floats in another order differ by some 1e-12.
        assert arrived >= quick.write(at, size).arrived - saved_seconds - 1e-9
        # A segment that waits for the reader takes the next message along, which saves its header.
        saved_seconds += 8 * HEADER_BYTES / 5e6
        assert arrived >= 8 * total / reads - 1e-9


def test_a_partial_segment_that_waits_takes_more_along() -> None:
    flow = flow_over(rate=1e6)
    flow.write(0.0, 30 * SEGMENT_BYTES + 10)
    before = flow.write(0.0, 100).arrived
    apart = flow_over(rate=1e6)
    apart.write(0.0, 31 * SEGMENT_BYTES)
    assert before < apart.write(0.0, 100).arrived


def test_whoever_watches_sees_every_segment() -> None:
    flow = flow_over(rate=1e6)
    seen: list[tuple[float, int, float]] = []
    flow.on_sample = lambda at, queue, window: seen.append((at, queue, window))
    flow.write(0.0, 20 * SEGMENT_BYTES)
    assert len(seen) == 20
    assert max(queue for _, queue, _ in seen) > 5 * SEGMENT_BYTES


def test_after_a_loss_the_window_falls_and_grows_again_as_cubic_does() -> None:
    flow = flow_over(rate=20e6, rtt=0.05, queue=60_000)
    windows: list[tuple[float, float]] = []
    flow.on_sample = lambda at, queue, window: windows.append((at, window))
    flow.write(0.0, 20_000_000)
    values = [window for _, window in windows]
    falls = [later / before for before, later in pairwise(values) if later < before]
    assert falls
    assert min(falls) == pytest.approx(0.7, abs=0.01)
    assert max(values[len(values) // 2 :]) > min(values[len(values) // 2 :])
