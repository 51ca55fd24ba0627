"""Each fault of an egress that `serve --scenario` knows by name, shown once in a real room: its own E rule
accuses it. `python -m spatius_sim.tests.net.room.faults` does it by the commands that users type."""

import asyncio

import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.plans.room_plan import RoomPlan, RoomTurn
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.net.room.faults import RULES_OF_FAULTS
from spatius_sim.tests.net.room.livekit_server import LiveKitServer
from spatius_sim.tests.net.room.real_room import failed_rules, subject_in_room

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]

SECONDS = 50
ONE_TURN = RoomPlan((RoomTurn(1600),))
PLANS = {"egress-ignores-interrupt": RoomPlan((RoomTurn(1000), RoomTurn(4000, True)))}


@pytest.mark.parametrize("scenario", RULES_OF_FAULTS)
async def test_a_fault_in_a_real_room_is_named_by_its_own_rule(livekit: LiveKitServer, scenario: str) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    rule_id = RULES_OF_FAULTS[scenario]
    async with MotionServer(livekit=True, scenario=scenario) as server:
        subject, _, _ = subject_in_room(livekit, server)
        async with asyncio.timeout(SECONDS):
            judgements = judge(await subject.run(PLANS.get(scenario, ONE_TURN)))
            accused = failed_rules(judgements)
            if accused - {rule_id}:  # The judge, too, accuses only of what it has seen twice.
                judgements = judge(await subject.run(PLANS.get(scenario, ONE_TURN)))
                accused &= failed_rules(judgements)
    assert accused <= {rule_id}
    # A loaded machine loses frames and sound, and says that nothing is sure, or what else looked broken; it
    # never passes a fault.
    judged = judgements[rule_id]
    assert judged.verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE) or judged.blocked_by, judged
