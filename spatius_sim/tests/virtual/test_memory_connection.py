"""Connections in memory keep order, tell their end once, and hold up a sender whose peer does not read."""

import asyncio
import math
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.close_codes import NO_CODE
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.virtual.memory_connection import PROTOCOL_ERROR_CODE, Link, MemoryEnd, open_connection
from spatius_sim.virtual.virtual_loop import VirtualLoop, VirtualTimeError


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    virtual = VirtualLoop()
    yield virtual
    virtual.stop()


class Listener:
    """Writes down what an end is told."""

    def __init__(self, end: MemoryEnd) -> None:
        self.told: list[object] = []
        end.on_frame = self.told.append
        end.on_end = lambda code, reason: self.told.append((code, reason))


@given(
    frames=st.lists(st.binary(max_size=20), max_size=20),
    delay=st.sampled_from([0.0, 0.1]),
    capacity=st.integers(1, 50),
    pauses=st.booleans(),
)
def test_frames_arrive_whole_and_in_order(
    frames: list[bytes], delay: float, capacity: int, pauses: bool
) -> None:
    loop = VirtualLoop()

    async def talk() -> list[object]:
        one, other = open_connection(Link(delay, capacity))
        heard = Listener(other)
        if pauses:
            other.pause()
        for frame in frames:
            one.send(frame)
        one.close(1000, "done")
        await asyncio.sleep(10)
        if pauses:
            assert not heard.told
            other.resume()
            await asyncio.sleep(10)
        assert one.ended and other.ended and one.unsent_byte_count == 0
        return heard.told

    assert loop.run(talk(), None) == [*frames, (1000, "done")]
    loop.stop()


def test_a_delay_is_the_time_of_a_frame_on_its_way(loop: VirtualLoop) -> None:
    async def talk() -> float:
        one, other = open_connection(Link(delay_seconds=0.25))
        arrived = loop.create_future()
        other.on_frame = lambda frame: arrived.set_result(loop.time())
        one.send(b"x")
        return float(await arrived)

    assert loop.run(talk(), None) == 0.25


def test_what_a_full_link_does_not_take_waits_at_its_sender(loop: VirtualLoop) -> None:
    async def talk() -> None:
        one, other = open_connection(Link(capacity_bytes=10))
        writable: list[int] = []
        one.on_writable = lambda: writable.append(one.unsent_byte_count)
        other.pause()
        for _ in range(4):
            one.send(bytes(10))
        await asyncio.sleep(1)
        assert one.unsent_byte_count == 30 and not writable
        other.resume()
        await asyncio.sleep(1)
        assert one.unsent_byte_count == 0 and writable

    loop.run(talk(), None)


def test_a_reset_loses_what_is_on_its_way_and_tells_both_ends(loop: VirtualLoop) -> None:
    async def talk() -> None:
        one, other = open_connection()
        ours, theirs = Listener(one), Listener(other)
        one.send(b"lost")
        one.reset()
        await asyncio.sleep(1)
        assert ours.told == theirs.told == [(1006, "")]

    loop.run(talk(), None)


def test_a_connection_that_breaks_off_delivers_what_was_sent(loop: VirtualLoop) -> None:
    async def talk() -> None:
        one, other = open_connection()
        ours, theirs = Listener(one), Listener(other)
        one.send(b"sent")
        one.break_off()
        await asyncio.sleep(1)
        assert theirs.told == [b"sent", (1006, "")]
        assert ours.told == [(1006, "")]

    loop.run(talk(), None)


def test_a_close_without_a_code_is_seen_as_such(loop: VirtualLoop) -> None:
    async def talk() -> None:
        one, other = open_connection()
        theirs = Listener(other)
        one.close(0)
        await asyncio.sleep(1)
        assert theirs.told == [(NO_CODE, "")]

    loop.run(talk(), None)


def test_a_peer_closes_a_connection_whose_protocol_is_broken(loop: VirtualLoop) -> None:
    async def talk() -> None:
        one, other = open_connection()
        ours, theirs = Listener(one), Listener(other)
        one.break_protocol()
        await asyncio.sleep(1)
        assert ours.told == theirs.told == [(PROTOCOL_ERROR_CODE, "")]

    loop.run(talk(), None)


def test_nothing_is_sent_on_a_connection_that_is_over(loop: VirtualLoop) -> None:
    async def talk() -> None:
        one, other = open_connection()
        theirs = Listener(other)
        one.close()
        for act in (one.close, one.break_off, one.reset, one.break_protocol):
            act()
        one.send(b"late")
        await asyncio.sleep(1)
        assert len(theirs.told) == 1

    loop.run(talk(), None)


def test_a_link_that_tells_arrivals_decides_when_a_frame_comes_and_each_way_has_its_own() -> None:
    async def converse() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        came: list[tuple[str, float]] = []
        one, other = open_connection(
            Link(compute_arrival=lambda now, size: now + size), Link(delay_seconds=0.5)
        )
        other.on_frame = lambda frame: came.append((str(frame), loop.time()))
        one.on_frame = lambda frame: came.append((str(frame), loop.time()))
        one.send("abc")
        other.send("back")
        await asyncio.sleep(10)
        return came

    assert run_in_virtual_time(converse()) == [("back", 0.5), ("abc", 3.0)]


def test_what_a_link_never_delivers_never_comes() -> None:
    async def converse() -> list[str]:
        came: list[str] = []
        one, other = open_connection(Link(compute_arrival=lambda now, size: math.inf))
        other.on_frame = lambda frame: came.append(str(frame))
        one.send("lost")
        await asyncio.sleep(1000)
        return came

    assert run_in_virtual_time(converse()) == []


def test_frames_of_several_connections_arrive_in_the_order_in_which_they_were_sent(loop: VirtualLoop) -> None:
    async def talk() -> list[object]:
        ends = [open_connection() for _ in range(2)]
        told: list[object] = []
        for _, other in ends:
            other.on_frame = told.append
        for number, sender in enumerate((0, 0, 1, 0, 1, 1)):
            ends[sender][0].send(str(number))
        asyncio.get_running_loop().call_soon(told.append, "a call")
        ends[1][0].send("6")
        await asyncio.sleep(1)
        return told

    assert loop.run(talk(), None) == ["0", "1", "2", "3", "4", "5", "a call", "6"]


def test_a_connection_in_memory_is_refused_in_real_time() -> None:
    async def connect() -> None:
        open_connection()

    with pytest.raises(RuntimeError, match="needs a virtual loop"):
        asyncio.run(connect())


def test_frames_that_multiply_are_told_before_memory_is_full(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spatius_sim.virtual.virtual_loop.MAX_WAITING_CALLS", 1000)

    async def talk() -> None:
        one, other = open_connection()

        def answer_twice(end: MemoryEnd, frame: str | bytes) -> None:
            loop.note_activity("the echo")
            end.send(frame)
            end.send(frame)

        one.on_frame, other.on_frame = partial(answer_twice, one), partial(answer_twice, other)
        one.send("x")
        await asyncio.sleep(1)

    with pytest.raises(VirtualTimeError, match="the echo is active again and again"):
        loop.run(talk(), None)
