"""The pace of Motion Server, found again on a tape."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from spatius_sim.files.wire_file import find_wire
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.model.server.response_pace import Pace
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.protocol.errors import UsageError
from spatius_sim.study.calibrate_pace import fit_pace
from spatius_sim.subjects.relay.connect_to_relay import RelayInMemory
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import Patience, canary_key
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import Trace
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_relay import VirtualRelay


async def converse(pace: Pace, turns: int) -> Trace:
    """Turns of 12 s at twice the pace of speech, over a Motion Server with this pace."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    wire = find_wire("json-envelope")
    recorder = RealTimeRecorder(clock_ns=loop.time_ns, wire=wire)
    server = VirtualMotionServer(loop, 1, recorder, pace=pace)
    numbers = count(1)
    brain = PlainRelay(canary_key(1), lambda: f"request-{next(numbers)}")
    subject = RelaySubject(
        RelayAddress("ws://relay.invalid"),
        wire,
        recorder,
        1,
        Patience(settle=60.0),
        server,
        access=RelayInMemory(loop, VirtualRelay(loop, brain, wire, server)),
    )
    await subject.attach()
    turn = TurnPlan(12 * PLAN_SAMPLE_RATE, 3200, chunk_pause_ms=50)
    return await subject.run(Plan(((turn,) * turns,)), patient=True)


def taped(folder: Path, pace: Pace, turns: int) -> Path:
    path = folder / "day.tape"
    header = TapeHeader("test", 0, "", 0, (PLAN_SAMPLE_RATE,), ("secrets",))
    write_traces(path, header, [run_in_virtual_time(converse(pace, turns))])
    return path


def test_the_pace_on_a_tape_is_the_one_that_was_set(tmp_path: Path) -> None:
    fitted = fit_pace(taped(tmp_path, Pace(0.4, 0.2, None), 25))
    assert fitted.requests == 25
    assert fitted.latency == pytest.approx(0.4, abs=0.05)
    assert fitted.jitter == pytest.approx(0.2, abs=0.06)
    assert fitted.lead == -1


def test_a_server_that_keeps_motion_back_shows_its_lead(tmp_path: Path) -> None:
    fitted = fit_pace(taped(tmp_path, Pace(0.3, 0.0, 1.0), 5))
    assert fitted.lead == pytest.approx(1.0, abs=0.1)


def test_a_tape_with_too_few_turns_fits_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 requests were answered; 3 are needed"):
        fit_pace(taped(tmp_path, Pace(), 2))
