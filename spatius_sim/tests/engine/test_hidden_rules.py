"""What a failed rule hides has not passed, whichever of the two was judged first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis.strategies import just

from spatius_sim.miniatures.relay.wrong_relays import SendsEmptyFrames
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.plans.plan import Plan
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.engine.test_newly_broken import (
    DISTURBED,
    UNDISTURBED,
    LosesBehindAnInterrupt,
    trial_of,
)

CAUSE, HIDDEN = "R-MOTION-COMPLETE", "R-CONVERSATION"
ORDERS = [(CAUSE, HIDDEN), (HIDDEN, CAUSE)]


class LosesAndSendsEmptyFrames(LosesBehindAnInterrupt):
    """After an interrupt its motion is lost, and an empty list comes before the rest of it."""

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        commands = super().send_motion_to_client(turn, raw, message)
        began = self.lossy and turn.payload_count <= 1 and not message.end
        return [self.tell_motion(turn, last=False), *commands] if began else commands


def judged(
    brain: type[PlainRelay], order: Sequence[str], plans: Mapping[str, Sequence[Plan]], folder: Path
) -> dict[str, RuleOutcome]:
    """Return the outcome of each rule, judged in this order over its own plans, at the end of the run."""
    outcomes: dict[str, RuleOutcome] = {}
    with trial_of(brain, folder) as trial:
        for rule_id in order:
            outcome = outcomes[rule_id] = trial.judge(rule_id, just(plans[rule_id][0]), plans[rule_id])
            outcomes |= {changed.rule_id: changed for changed in trial.update_earlier_outcomes(outcome)}
    return outcomes


@pytest.mark.parametrize("order", ORDERS)
def test_what_a_failed_rule_hides_in_one_of_its_scenarios_has_not_passed(
    order: Sequence[str], tmp_path: Path
) -> None:
    plans = {CAUSE: (DISTURBED,), HIDDEN: (UNDISTURBED, DISTURBED)}
    outcomes = judged(LosesBehindAnInterrupt, order, plans, tmp_path)
    assert outcomes[CAUSE].verdict is Verdict.FAILED
    assert (outcomes[HIDDEN].verdict, outcomes[HIDDEN].blocked_by) == (Verdict.UNEXERCISED, (CAUSE,))
    assert f"{CAUSE} failed" in outcomes[HIDDEN].reason


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("brain", "verdict"),
    [(LosesAndSendsEmptyFrames, Verdict.UNEXERCISED), (LosesBehindAnInterrupt, Verdict.PASSED)],
)
def test_what_looks_broken_in_a_scenario_of_another_rule_has_not_passed(
    brain: type[PlainRelay], verdict: Verdict, order: Sequence[str], tmp_path: Path
) -> None:
    plans = {CAUSE: (DISTURBED,), HIDDEN: (UNDISTURBED,)}
    outcomes = judged(brain, order, plans, tmp_path)
    assert outcomes[CAUSE].verdict is Verdict.FAILED
    assert outcomes[HIDDEN].verdict is verdict


@pytest.mark.parametrize("order", ORDERS)
def test_a_rule_that_is_broken_where_nothing_hides_it_fails(order: Sequence[str], tmp_path: Path) -> None:
    class LosesAndSendsEmptyFramesAlways(SendsEmptyFrames, LosesBehindAnInterrupt):
        """Has two faults."""

    plans = {CAUSE: (DISTURBED,), HIDDEN: (UNDISTURBED,)}
    outcomes = judged(LosesAndSendsEmptyFramesAlways, order, plans, tmp_path)
    assert [outcomes[rule_id].verdict for rule_id in (CAUSE, HIDDEN)] == [Verdict.FAILED, Verdict.FAILED]
