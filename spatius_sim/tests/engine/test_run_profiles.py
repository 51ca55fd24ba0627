"""What a run sets out to do: its level, its profile and its time budget."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from spatius_sim.engine.run_profiles import PROFILES, profile_named
from spatius_sim.engine.select_rules import levels_judged_at
from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee

PLANS = client_plans_exercising("C-ID")


def test_a_level_takes_in_all_that_binds_more() -> None:
    assert levels_judged_at("must") == (Level.MUST,)
    assert levels_judged_at("should") == (Level.MUST, Level.SHOULD)
    assert set(levels_judged_at("may")) == set(Level)


def test_ci_promises_every_must_and_leaves_nothing_out() -> None:
    ci = profile_named("ci")
    assert {rule_id for rule_id in RULES if ci.requires(rule_id)} == {
        rule.id for rule in RULES.values() if rule.level is Level.MUST
    }
    assert not any(map(ci.why_left_out, RULES))


def test_smoke_says_why_it_leaves_a_rule_out_and_does_not_require_it() -> None:
    smoke = profile_named("smoke")
    assert "a token has to expire" in smoke.why_left_out("S-TOKEN-EXPIRY")
    assert not smoke.requires("S-TOKEN-EXPIRY")
    assert smoke.requires("S-CONFIRM")


def test_nightly_promises_every_rule_from_a_seed_of_its_own() -> None:
    nightly = profile_named("nightly")
    assert all(map(nightly.requires, RULES))
    assert len({nightly.seed() for _ in range(8)}) > 1
    assert {PROFILES[name].seed() for name in ("smoke", "ci")} == {1}


@pytest.mark.parametrize("named", [profile_named, levels_judged_at])
def test_there_are_no_others(named: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match="there are"):
        named("dawn")


@pytest.mark.parametrize(
    ("scenarios", "told"),
    [(0, "out of time: it was not reached"), (3, "out of time after 3 of ")],
)
def test_what_the_time_budget_cuts_short_is_no_pass(scenarios: int, told: str, tmp_path: Path) -> None:
    loop = BackgroundLoop()
    subject = ClientSubject(InProcessTestee(), "ours", 1)
    trial = Trial(subject, loop, 1, tmp_path, 20, deadline=math.inf if scenarios else 0.0)
    runs = 0

    def ran(trace: object) -> None:
        nonlocal runs
        runs += 1
        if runs == scenarios:
            trial.deadline = 0.0

    trial.on_trace = ran
    outcome = trial.judge("C-ID", PLANS)
    loop.stop()
    assert outcome.verdict is Verdict.UNEXERCISED
    assert outcome.reason.startswith(told)
    assert runs == scenarios
