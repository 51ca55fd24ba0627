"""Virtual time: waits cost nothing, order is kept, and what would never end is told."""

import asyncio
from collections.abc import Iterator

import pytest

from spatius_sim.virtual.virtual_loop import VirtualLoop, VirtualTimeError


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    virtual = VirtualLoop()
    yield virtual
    virtual.stop()


def test_a_wait_moves_the_clock_to_its_end_exactly(loop: VirtualLoop) -> None:
    async def wait() -> float:
        await asyncio.sleep(3600.1)
        return loop.time()

    assert loop.run(wait(), None) == 3600.1
    assert loop.time_ns() == 3_600_100_000_000


def test_timers_ring_in_the_order_of_their_times(loop: VirtualLoop) -> None:
    rung: list[float] = []

    async def wait() -> None:
        for seconds in (0.3, 0.1, 0.2):
            loop.call_later(seconds, rung.append, seconds)
        await asyncio.sleep(1)

    loop.run(wait(), None)
    assert rung == [0.1, 0.2, 0.3]


def test_work_that_takes_too_long_is_given_up_in_virtual_time(loop: VirtualLoop) -> None:
    with pytest.raises(TimeoutError):
        loop.run(asyncio.sleep(100), 10.0)
    assert loop.time() == 10.0


def test_waiting_for_what_never_happens_is_told(loop: VirtualLoop) -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(VirtualTimeError, match="nothing will ever happen"):
        loop.run(wait_for_ever(), None)


def test_a_host_that_is_active_at_one_instant_for_ever_is_named(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatius_sim.virtual.virtual_loop.MAX_STEPS_AT_ONE_INSTANT", 1000)

    def act() -> None:
        loop.note_activity("the relay")
        loop.call_later(0, act)

    loop.call_soon(act)
    with pytest.raises(VirtualTimeError, match="time stands still: the relay"):
        loop.run(asyncio.sleep(1), None)


def test_a_host_whose_messages_multiply_is_named_before_memory_is_full(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatius_sim.virtual.virtual_loop.MAX_WAITING_CALLS", 1000)

    def act() -> None:
        loop.note_activity("the relay")
        loop.call_soon(act)
        loop.call_soon(act)

    loop.call_soon(act)
    with pytest.raises(VirtualTimeError, match="time stands still: the relay"):
        loop.run(asyncio.sleep(1), None)


def test_a_host_that_asks_for_tiny_timers_for_ever_is_named(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatius_sim.virtual.virtual_loop.MAX_STEPS", 1000)

    def act() -> None:
        loop.note_activity("the relay")
        loop.call_later(1e-9, act)

    loop.call_soon(act)
    with pytest.raises(VirtualTimeError, match="never ends: the relay"):
        loop.run(asyncio.sleep(1), None)


def test_a_host_that_raises_ends_the_run(loop: VirtualLoop) -> None:
    def act() -> None:
        raise ZeroDivisionError("a bug")

    loop.call_soon(act)
    with pytest.raises(VirtualTimeError, match="ZeroDivisionError"):
        loop.run(asyncio.sleep(1), None)


def test_a_loop_is_usable_after_a_failure(loop: VirtualLoop) -> None:
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(VirtualTimeError):
        loop.run(asyncio.sleep(1), None)
    loop.run(asyncio.sleep(1), None)


def test_no_thread_and_so_no_name_lookup_runs_beside_virtual_time(loop: VirtualLoop) -> None:
    async def look_up() -> None:
        await loop.getaddrinfo("relay.invalid", 80)

    with pytest.raises(VirtualTimeError, match="thread"):
        loop.run(look_up(), None)
