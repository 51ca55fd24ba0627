"""What a session sends leaves in order, each piece when it is due."""

import pytest

from spatius_sim.model.server.commands import Close, Publish, Send, SetTimer
from spatius_sim.model.server.outbox import Outbox
from spatius_sim.model.server.response_pace import FAST, REALTIME, Pace
from spatius_sim.protocol.errors import UsageError

A, B, C = Send(b"a", "1"), Send(b"bb", "2"), Publish("room", b"ccc", "1")


def test_what_is_due_leaves_at_once() -> None:
    outbox = Outbox()
    assert outbox.put(A, 1.0) == [A]
    assert outbox.held_bytes == 0


def test_nothing_overtakes() -> None:
    outbox = Outbox()
    outbox.hold_until(3.0)
    assert outbox.put(A, 1.0) == [SetTimer("send", 2.0)]
    assert outbox.put(B, 1.5) == []
    outbox.hold_until(5.0)
    assert outbox.put(C, 2.0) == []
    assert outbox.held_bytes == 6
    assert outbox.take_due(3.0) == [A, B, SetTimer("send", 2.0)]
    assert outbox.take_due(5.0) == [C]
    assert outbox.held_bytes == 0


def test_it_can_be_held_back() -> None:
    outbox = Outbox()
    outbox.hold_until(4.0)
    assert outbox.put(A, 1.0) == [SetTimer("send", 3.0)]


def test_an_interrupted_request_is_forgotten() -> None:
    outbox = Outbox()
    close = Close(1000, "")
    outbox.hold_until(1.0)
    for output in (A, B, C, close):
        outbox.put(output, 0.0)
    outbox.forget("1")
    assert outbox.held_bytes == 2
    assert outbox.take_due(1.0) == [B, close]


def test_nothing_follows_the_end() -> None:
    outbox = Outbox()
    assert outbox.put(Close(1000, ""), 0.0) == [Close(1000, "")]
    assert outbox.put(A, 1.0) == []


def test_stalled_means_silent() -> None:
    outbox = Outbox()
    outbox.hold_until(1.0)
    outbox.put(A, 0.0)
    outbox.stall()
    assert outbox.put(B, 5.0) == []
    assert outbox.take_due(9.0) == []


def test_a_pace_is_drawn_from_the_seed() -> None:
    assert FAST.delay_seconds(1, 1, 1, 1, 9.0) == 0
    assert (
        REALTIME.delay_seconds(1, 1, 1, 1, 0.0)
        == REALTIME.delay_seconds(1, 1, 1, 1, 0.0)
        != REALTIME.delay_seconds(2, 1, 1, 1, 0.0)
    )


def test_in_real_time_the_first_motion_comes_after_0_7_to_1_2_seconds() -> None:
    """docs:faq."""
    firsts = [REALTIME.delay_seconds(seed, 1, 1, 1, 0.0) for seed in range(200)]
    assert 0.7 <= min(firsts) < 0.75 and 1.15 < max(firsts) <= 1.2
    others = [REALTIME.delay_seconds(seed, 1, 1, 2, 0.0) for seed in range(200)]
    assert 0 <= min(others) < 0.05 and 0.45 < max(others) <= 0.5


@pytest.mark.parametrize(("early", "delay"), [(-3.0, 0.0), (1.0, 0.0), (2.5, 1.5), (6.0, 5.0)])
def test_audio_is_taken_only_so_far_ahead_of_real_time(early: float, delay: float) -> None:
    assert (
        Pace(lead=1.0).delay_seconds(1, 1, 1, 1, early)
        == Pace(lead=1.0).delay_seconds(1, 1, 1, 2, early)
        == delay
    )


@pytest.mark.parametrize("wrong", [{"latency": -1}, {"jitter": float("nan")}, {"lead": 3601}])
def test_a_pace_has_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Pace(**wrong)
