"""What was seen broken is repeated with all the patience that the user allows, and told in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis.strategies import just

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.miniatures.relay.wrong_with_faults import TellsNoFailure
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.draw_server_faults import FAILURES
from spatius_sim.plans.plan import Plan
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.kill_matrix import SUSPECTS, judged
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop

pytestmark = pytest.mark.long


@contextmanager
def trial_of(brain: type[PlainRelay], folder: Path) -> Iterator[Trial[Plan]]:
    loop = VirtualLoop()
    running = miniature_relay(brain)
    try:
        yield Trial(loop.run(running.__aenter__(), 10.0), loop, SEED, folder, 1, shrink_seconds=0.0)
    finally:
        loop.run(running.__aexit__(None, None, None), 10.0)
        loop.stop()


def test_a_relay_that_never_tells_is_failed_after_other_rules_have_waited_in_vain(tmp_path: Path) -> None:
    spoken, listening, later, *_ = FAILURES[1:]
    with trial_of(TellsNoFailure, tmp_path) as trial:
        assert trial.judge("R-RECOVER", just(spoken), (spoken, listening)).verdict is Verdict.PASSED
        outcome = trial.judge("R-ERROR-TOLD", just(later))
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failure is not None and outcome.failure.confirmed


def test_what_another_rule_s_scenarios_broke_never_becomes_unexercised(tmp_path: Path) -> None:
    failing = FAILURES[1]
    undisturbed = replace(failing, motion_server=replace(failing.motion_server, faults=()))
    with trial_of(TellsNoFailure, tmp_path) as trial:
        trial.judge("R-RECOVER", just(failing))
        assert trial.judge("R-ERROR-TOLD", just(undisturbed)).verdict is Verdict.FAILED


def test_a_whole_run_at_the_settings_of_users_tells_a_swallowed_error_by_its_rule_alone() -> None:
    number = next(number for number, suspect in enumerate(SUSPECTS) if suspect.brain is TellsNoFailure)
    assert judged(number, 1).named == ("R-ERROR-TOLD",)
