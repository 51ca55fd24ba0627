"""A rule whose scenarios all break what it presumes is not run on, and says what is in its way."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis.strategies import integers

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.miniatures.relay.wrong_relays import LosesLastPayload, NeverMarksAudioEnd
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop

EXAMPLES = 5
SHORT = Plan(((TurnPlan(8_000, 3_200),),))
LONG = tuple(Plan(((TurnPlan(80_000 + number, 6_400),),)) for number in range(4))


def judged(rule_id: str, brain: type[PlainRelay], folder: Path, sure: Sequence[Plan]) -> RuleOutcome:
    loop = VirtualLoop()
    running = miniature_relay(brain)
    trial = Trial(loop.run(running.__aenter__(), 10.0), loop, SEED, folder, EXAMPLES, shrink_seconds=0.0)
    try:
        drawn = integers(8_000, 16_000).map(lambda samples: Plan(((TurnPlan(samples, 3_200),),)))
        return trial.judge(rule_id, drawn, sure)
    finally:
        loop.run(running.__aexit__(None, None, None), 10.0)
        loop.stop()


@pytest.mark.parametrize("sure", [(), LONG], ids=["drawn", "sure"])
def test_after_three_scenarios_it_says_what_is_in_its_way(sure: Sequence[Plan], tmp_path: Path) -> None:
    outcome = judged("R-CONVERSATION", NeverMarksAudioEnd, tmp_path, sure)
    assert (outcome.verdict, outcome.scenarios) == (Verdict.UNEXERCISED, 3)
    assert outcome.blocked_by == ("R-END-AUDIO",)


def test_one_that_was_judged_once_is_judged_by_all_that_follow(tmp_path: Path) -> None:
    outcome = judged("R-CONVERSATION", LosesLastPayload, tmp_path, (SHORT, *LONG))
    assert outcome.verdict is Verdict.PASSED
    assert outcome.scenarios > 1 + len(LONG)


def test_one_that_is_broken_itself_is_not_blocked(tmp_path: Path) -> None:
    outcome = judged("R-END-AUDIO", NeverMarksAudioEnd, tmp_path, LONG)
    assert (outcome.verdict, outcome.scenarios) == (Verdict.FAILED, 1)
