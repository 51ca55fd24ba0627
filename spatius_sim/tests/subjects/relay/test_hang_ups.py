"""What becomes of upstream sessions whose client hung up is waited for, at little cost."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.relay.upstream_sessions import HANG_UP_SECONDS
from spatius_sim.story.build_story import build_story
from spatius_sim.subjects.relay import hang_ups
from spatius_sim.subjects.relay.hang_ups import watch_hang_ups
from spatius_sim.tests.rules.traces import Dialogue, up_of
from spatius_sim.tests.suspects import Hearing, Suspect
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import (
    LEFT_BEFORE_ANSWER,
    Awaited,
    Closed,
    Excuse,
    Injected,
    Lane,
    Opened,
    Refused,
    TokenRequested,
    Trace,
    WaitEnded,
)

EVENTS = 500


def hung_up() -> RealTimeRecorder:
    """Ann speaks, her relay passes it on, and she leaves; the upstream session is open still."""
    said = Dialogue()
    said.echoes("ann", 0, said.speaks("ann"))
    said.hangs_up("ann")
    recorder = RealTimeRecorder()
    recorder.start(said.trace.header)
    for event in said.trace.events:
        recorder.emit(event.lane, event.connection, event.content)
    return recorder


@pytest.fixture
def joins(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the whole trace was joined."""
    joined: list[int] = []

    def counted(trace: Trace) -> object:
        joined.append(len(trace.events))
        return build_story(trace)

    monkeypatch.setattr(hang_ups, "build_story", counted)
    return lambda: len(joined)


async def test_a_busy_relay_costs_no_joining_at_every_event(joins: Callable[[], int]) -> None:
    recorder = hung_up()
    watching = asyncio.create_task(watch_hang_ups(recorder, recorder._header, ["ann"]))  # type: ignore[arg-type]
    for _ in range(EVENTS):
        recorder.emit(Lane.KIT, "", Injected("something else happens", Excuse.FAILURE))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    recorder.emit(Lane.UPSTREAM, up_of("ann", 0), Closed(False, 1000))
    await watching
    assert recorder.events[-1].content == WaitEnded(Awaited.HANG_UP, True)
    assert joins() < EVENTS / 10


async def test_a_session_that_stays_open_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_ups, "HANG_UP_SECONDS", 0.1)
    recorder = hung_up()
    assert recorder._header is not None
    await watch_hang_ups(recorder, recorder._header, ["ann"])
    assert recorder.events[-1].content == WaitEnded(Awaited.HANG_UP, False)


async def test_an_attempt_that_the_relay_gave_up_is_not_waited_for() -> None:
    recorder = hung_up()
    assert recorder._header is not None
    recorder.emit(Lane.UPSTREAM, up_of("ann", 0), Closed(False, 1000))
    recorder.emit(Lane.CONSOLE, "", TokenRequested("key#1", 60, 0.0, 200, "token#1"))
    watching = asyncio.create_task(watch_hang_ups(recorder, recorder._header, ["ann"]))
    recorder.emit(Lane.UPSTREAM, "upstream-9", Refused(0, LEFT_BEFORE_ANSWER, "token#1"))
    await watching
    assert recorder.events[-1].content == WaitEnded(Awaited.HANG_UP, True)


@pytest.mark.parametrize(("seconds_to_connect", "waited"), [(0.02, 1.0), (0.5, 1.5), (9.0, HANG_UP_SECONDS)])
def test_a_token_given_up_is_waited_for_as_long_as_the_relay_may_need(
    seconds_to_connect: float, waited: float
) -> None:
    async def watch() -> float:
        """Let the relay use one token after these seconds, and give the next one up; return the wait."""
        loop = asyncio.get_running_loop()
        recorder = RealTimeRecorder(clock_ns=lambda: round(loop.time() * 1e9))
        recorder.start(Dialogue().trace.header)
        assert recorder._header is not None
        recorder.emit(Lane.CONSOLE, "", TokenRequested("key#1", 60, 0.0, 200, "token#1"))
        await asyncio.sleep(seconds_to_connect)
        recorder.emit(Lane.UPSTREAM, "upstream-1", Opened("token#1"))
        recorder.emit(Lane.UPSTREAM, "upstream-1", Closed(False, 1000))
        recorder.emit(Lane.CONSOLE, "", TokenRequested("key#1", 60, 0.0, 200, "token#2"))
        began = loop.time()
        await watch_hang_ups(recorder, recorder._header, ["ann"])
        assert recorder.events[-1].content == WaitEnded(Awaited.HANG_UP, True)
        return loop.time() - began

    assert run_in_virtual_time(watch()) == pytest.approx(waited, abs=0.5)


def test_a_relay_that_waits_for_its_token_may_still_open_a_session() -> None:
    async def watch() -> None:
        """Let the token come 0.4 s late, and a session be opened with it that nobody closes."""
        loop = asyncio.get_running_loop()
        recorder = RealTimeRecorder(clock_ns=lambda: round(loop.time() * 1e9))
        recorder.start(Dialogue().trace.header)
        assert recorder._header is not None
        recorder.emit(Lane.DOWNSTREAM, "ann", Opened())
        recorder.emit(Lane.KIT, "", Injected("delay", Excuse.LATENESS, 0.4))
        watching = asyncio.create_task(watch_hang_ups(recorder, recorder._header, ["ann"]))
        await asyncio.sleep(0.4)
        recorder.emit(Lane.CONSOLE, "", TokenRequested("key#1", 60, 0.0, 200, "token#1"))
        recorder.emit(Lane.UPSTREAM, "upstream-1", Opened("token#1"))
        await watching
        assert recorder.events[-1].content == WaitEnded(Awaited.HANG_UP, False)

    run_in_virtual_time(watch())


def test_a_relay_that_hangs_up_at_once_costs_no_wait_for_the_five_seconds_it_has(tmp_path: Path) -> None:
    with Hearing(Suspect("relay", PlainRelay), 1, tmp_path) as hearing:
        assert hearing.of("U-HANGUP").verdict is Verdict.PASSED
        assert hearing.seconds < HANG_UP_SECONDS
