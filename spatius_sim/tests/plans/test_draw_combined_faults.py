"""Tortures mix everything that may go wrong, and an honest relay survives them."""

from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis.strategies import SearchStrategy

from spatius_sim.engine.run_profiles import profile_named
from spatius_sim.engine.search_failing_plan import smallest_failing
from spatius_sim.miniatures.relay.honest_relays import KEEPS_ITS_SESSION, PLAIN
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.draw_combined_faults import combined_faults
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.plans.turn_behaviour import Behaviour, MalformedInput
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.tests.virtual_time import run_in_virtual_time

TORTURES = combined_faults()


def drawn(seed: int, examples: int, strategy: SearchStrategy[Plan] = TORTURES) -> list[Plan]:
    plans: list[Plan] = []

    def look(plan: Plan) -> bool:
        plans.append(plan)
        return False

    smallest_failing(strategy, look, examples=examples, from_seed=seed)
    return plans


def turns(plans: Iterable[Plan]) -> list[TurnPlan]:
    return [turn for plan in plans for client in plan.clients for turn in client]


def test_they_mix_everything() -> None:
    plans = [plan for seed in range(4) for plan in drawn(seed, 40)]
    acts = {turn.act for turn in turns(plans)}
    assert acts >= set(Behaviour)
    assert acts & set(MalformedInput)
    assert not all(turn.reads for turn in turns(plans))
    assert not all(turn.asks_for_motion for turn in turns(plans))
    mixed = [plan for plan in plans if len(plan.clients) > 1 and len(plan.motion_server.faults) > 1]
    assert mixed
    assert all(plan.step for plan in plans if not all(turn.reads for turn in turns([plan])))


def test_nightly_runs_draw_them_and_others_do_not() -> None:
    def faults(*, thorough: bool) -> int:
        plans = drawn(1, 60, exercise_of("R-MOTION-COMPLETE", thorough=thorough).plans)
        return max(len(plan.motion_server.faults) for plan in plans)

    assert profile_named("nightly").thorough
    assert not profile_named("ci").thorough
    assert faults(thorough=True) > 2 >= faults(thorough=False)


@pytest.mark.parametrize("policy", [PLAIN, KEEPS_ITS_SESSION], ids=["plain", "keeps its session"])
def test_an_honest_relay_survives_them(policy: RelayPolicy) -> None:
    async def accusations() -> list[tuple[str, str]]:
        async with miniature_relay(partial(PlainRelay, policy=policy)) as subject:
            judged = [(plan, judge(await subject.run(plan))) for plan in drawn(1, 6)]
        passed = {rule_id for _, rules in judged for rule_id in rules if rules[rule_id].exercised}
        assert {"R-CONVERSATION", "R-MOTION-COMPLETE", "R-AUDIO-COMPLETE"} <= passed
        return [
            (rule_id, str(plan))
            for plan, rules in judged
            for rule_id, judgement in rules.items()
            if judgement.verdict is Verdict.FAILED
        ]

    assert run_in_virtual_time(accusations()) == []
