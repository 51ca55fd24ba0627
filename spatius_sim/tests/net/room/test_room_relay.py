"""The json-envelope relay in a real room: data packets lose the motion of a longer turn, streams do not."""

import shlex
import sys
from pathlib import Path

import pytest

from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.plan_token import token_of
from spatius_sim.tests.net.room.livekit_server import LiveKitServer
from spatius_sim.tests.net.room.verifying import run_verify, verdicts_in

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(
    ("carrier", "seconds", "rule_id", "verdict"),
    [
        ("packets", 6, "E-LIMIT", "FAILED"),
        ("packets", 2, "E-LIMIT", "PASSED"),
        ("streams", 6, "R-MOTION-COMPLETE", "PASSED"),
    ],
)
def test_a_relay_that_publishes_by_itself_is_judged_in_its_room(
    livekit: LiveKitServer, tmp_path: Path, carrier: str, seconds: int, rule_id: str, verdict: str
) -> None:
    command = shlex.join([sys.executable, "-m", "spatius_sim.tests.net.room.room_relay", carrier])
    (tmp_path / "conformance.yaml").write_text(
        f"target: {carrier}:demo-room\nroom: {livekit.url}\nwire: json-envelope\ntarget-cmd: {command}\n"
    )
    token = token_of(Plan(((TurnPlan(seconds * PLAN_SAMPLE_RATE, 3200),),)))
    _, output = run_verify(tmp_path, livekit, [f"--rule={rule_id}", f"--plan={token}"])
    # A loaded machine may be too late for a turn, and then says so.
    assert verdicts_in(tmp_path)[rule_id] in (verdict, "INCONCLUSIVE"), output
