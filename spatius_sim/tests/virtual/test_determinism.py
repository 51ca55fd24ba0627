"""The same seed gives the same trace, byte for byte, whatever order Python's sets and dictionaries have."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.model.server.motion_answers import RequestMotion
from spatius_sim.plans.draw_server_faults import FAILURES
from spatius_sim.plans.plan import Plan, Sound, TurnPlan
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import Trace
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer

SILENT = TurnPlan(48_000, 3200, sound=Sound.SILENCE)
SPOKEN = TurnPlan(48_000, 3200)
CROWD = Plan(((SPOKEN, SPOKEN), (SPOKEN,)))

DIGEST_WITHOUT_SYNTHESIS = "f88ca658254fb92265a9a43157055e2c23803a4857d2f7e3a55ce673ce052d04"
"""Of the trace of two silent turns, which are answered without any synthesis: no floating-point arithmetic of
the machine is in it."""


class FixedAnswer(RequestMotion):
    """Answers each request with one keyframe at its end."""

    def __init__(self, connection_id: str, req_id: str, sample_rate: int) -> None:
        self._ids = connection_id, req_id

    def feed(self, samples: bytes) -> list[bytes]:
        return []

    def finish(self) -> list[bytes]:
        return [encode(MotionResponse(*self._ids, True, np.zeros((1, WIDTH), np.float32)))]


def trace_of(plan: Plan) -> Trace:
    async def run() -> Trace:
        async with miniature_relay(PlainRelay) as subject:
            return await subject.run(plan)

    return run_in_virtual_time(run())


def digest_of(trace: Trace, folder: Path) -> str:
    """The hash of the trace's tape, without the version of the kit."""
    path = folder / "trace.tape"
    header = TapeHeader("suite", 0, "", 1, (16_000,), ("secrets", "names"))
    write_traces(path, header, [replace(trace, header=replace(trace.header, kit_version=""))])
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("plan", [CROWD, FAILURES[0], FAILURES[-1]])
def test_the_same_seed_gives_the_same_trace(plan: Plan, tmp_path: Path) -> None:
    assert digest_of(trace_of(plan), tmp_path) == digest_of(trace_of(plan), tmp_path)


def test_the_order_of_sets_is_in_no_trace() -> None:
    code = (
        "import pathlib, tempfile\n"
        f"from {__name__} import CROWD, digest_of, trace_of\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    print(digest_of(trace_of(CROWD), pathlib.Path(folder)))\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(digests) == 1 and digests.pop().strip()


def test_a_trace_without_synthesis_is_the_same_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VirtualMotionServer, "_synthesize", lambda self, *ids: FixedAnswer(*ids))
    assert digest_of(trace_of(Plan(((SILENT, SILENT),))), tmp_path) == DIGEST_WITHOUT_SYNTHESIS
