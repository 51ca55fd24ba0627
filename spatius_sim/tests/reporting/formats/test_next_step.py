"""What is to be done after a run, by its exit code."""

import pytest

from spatius_sim.reporting.claim_of_summary import describe_claim
from spatius_sim.reporting.formats.text_report import describe_next_step
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, StoppedEarly, Summary, exit_code
from spatius_sim.rules.findings import Verdict

IDS = ("U-TOKEN", "U-CONFIGURE", "U-AUDIO-END")
PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def step_after(*verdicts: Verdict, subject: str = "relay", doctor: str = "", complaint: str = "") -> str:
    outcomes = tuple(RuleOutcome(rule_id, verdict) for rule_id, verdict in zip(IDS, verdicts, strict=False))
    summary = Summary(subject, "t", 1, "0", 1, outcomes, complaints=(complaint,) * bool(complaint))
    return describe_next_step([summary], exit_code([summary]), doctor)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (step_after(PASSED), ""),
        (step_after(FAILED, PASSED), "Exit code 1. Next: mend U-TOKEN, then run again"),
        (step_after(FAILED, FAILED), "Exit code 1. Next: mend U-TOKEN first, then run again"),
        (
            step_after(PASSED, complaint="x passes"),
            "Exit code 1. Next: mend the lines of the baseline that are named above",
        ),
        (step_after(Verdict.ERRORED), "Exit code 3. Next: mend the shim if"),
        (step_after(Verdict.UNEXERCISED), "Exit code 5. Next: beside each rule"),
        (step_after(INCONCLUSIVE, doctor="spatius-sim doctor"), "Exit code 6. Next: spatius-sim doctor  ("),
        (step_after(INCONCLUSIVE, subject="server"), "Exit code 6. Next: start the Motion Server"),
        (step_after(INCONCLUSIVE, subject="client"), "Exit code 6. Next: start the client's testee"),
        (
            step_after(PASSED, INCONCLUSIVE, doctor="spatius-sim doctor"),
            "Exit code 6. Next: run it again, on a machine that is less busy",
        ),
    ],
)
def test_every_exit_code_comes_with_the_next_step(step: str, told: str) -> None:
    assert step.startswith(told) and bool(step) is bool(told)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_what_broke_a_run_off_is_the_first_to_be_mended(code: int) -> None:
    outcomes = (RuleOutcome("U-TOKEN", FAILED),)
    stopped_early = StoppedEarly(ExitCode(code), "why")
    summary = Summary("relay", "t", 1, "0", 1, outcomes, stopped_early=stopped_early)
    assert exit_code([summary]) == code
    assert describe_next_step([summary], exit_code([summary])).startswith(f"Exit code {code}. Next: ")
    assert describe_claim(summary).endswith(": why. 0 of 1 rules passed; failed by then: U-TOKEN.")


def test_an_interrupted_run_in_which_a_rule_failed_says_to_mend_it() -> None:
    early_end = StoppedEarly(ExitCode.INTERRUPTED, "by a signal")
    for verdict, told in ((FAILED, "mend U-TOKEN, then run again"), (PASSED, "run it again")):
        summary = Summary(
            "relay", "t", 1, "0", 1, (RuleOutcome("U-TOKEN", verdict),), stopped_early=early_end
        )
        assert describe_next_step([summary], exit_code([summary])) == f"Exit code 2. Next: {told}"


def test_where_the_kit_was_late_nobody_is_ill() -> None:
    late = RuleOutcome("R-FALLBACK", INCONCLUSIVE, 0, 2, reason="the kit itself was late by 2.0 s")
    summary = Summary("relay", "t", 1, "0", 1, (late,), required=frozenset({"R-FALLBACK"}))
    assert "less busy" in describe_next_step([summary], exit_code([summary]), "spatius-sim doctor")


def test_what_was_broken_once_is_to_be_repeated() -> None:
    failure = Failure("a", "b", "c", "", confirmed=False)
    once = RuleOutcome("U-CONFIGURE", INCONCLUSIVE, 1, 1, failure=failure)
    summary = Summary("relay", "t", 1, "0", 1, (RuleOutcome("U-TOKEN", PASSED, 1, 1), once))
    step = describe_next_step([summary], exit_code([summary]), "spatius-sim doctor")
    assert step.startswith("Exit code 6. Next: repeat the scenario of U-CONFIGURE, which broke it once")
