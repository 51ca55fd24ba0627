"""A relay that sends its messages as data packets of a room is named by E-LIMIT if one is too large."""

import pytest

from spatius_sim.miniatures.relay.wrong_relays import SendsInDataPackets
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop


def judged_turn(seconds: int, relay: type[SendsInDataPackets] = SendsInDataPackets) -> dict[str, Judgement]:
    """Judge one turn of the json-envelope relay, whose messages travel as data packets."""
    loop = VirtualLoop()

    async def run() -> dict[str, Judgement]:
        async with miniature_relay(relay) as subject:
            await subject.attach()
            return judge(await subject.run(Plan(((TurnPlan(seconds * PLAN_SAMPLE_RATE, 100_000),),))))

    try:
        return loop.run(run(), 600.0)
    finally:
        loop.stop()


def test_a_turn_of_six_seconds_is_too_large_for_data_packets() -> None:
    judgements = judged_turn(6)
    (broken,) = judgements["E-LIMIT"].broken
    assert broken.expected == "data packets below 64,000 bytes"
    assert broken.actual.startswith("a payload of 49,8")
    # One fault, one accusation.
    assert [name for name, one in judgements.items() if one.verdict is Verdict.FAILED] == ["E-LIMIT"]
    assert judgements["R-MOTION-COMPLETE"].blocked_by == ("E-LIMIT",)


@pytest.mark.parametrize("seconds", [2, 4])
def test_a_shorter_turn_fits_with_all_its_chunks(seconds: int) -> None:
    judgements = judged_turn(seconds)
    assert judgements["E-LIMIT"].verdict is Verdict.PASSED
    assert judgements["R-MOTION-COMPLETE"].verdict is Verdict.PASSED


def test_a_relay_that_loses_all_motion_is_told_by_its_payloads_alone() -> None:
    class SaysNothing(SendsInDataPackets):
        def on_server_frame(self, *said: object) -> list[object]:  # type: ignore[override]
            return []

    judgements = judged_turn(6, SaysNothing)
    # 49.8 kB would fit, if nothing shows that the wire makes them larger.
    assert judgements["E-LIMIT"].verdict is not Verdict.FAILED
