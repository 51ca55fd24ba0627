"""The exit code that follows from the verdicts, and reports that stay harmless."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from spatius_sim.reporting.claim_of_summary import describe_claim
from spatius_sim.reporting.formats.json_report import json_report, read_report
from spatius_sim.reporting.formats.text_report import describe_failure, print_summary
from spatius_sim.reporting.make_text_harmless import make_harmless
from spatius_sim.reporting.report import report_of
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, Summary, exit_code
from spatius_sim.rules.findings import Verdict

PASSED, FAILED, UNEXERCISED = Verdict.PASSED, Verdict.FAILED, Verdict.UNEXERCISED
NOT_APPLICABLE, INCONCLUSIVE, ERRORED = (
    Verdict.NOT_APPLICABLE,
    Verdict.INCONCLUSIVE,
    Verdict.ERRORED,
)
IDS = ("U-TOKEN", "U-CONFIGURE", "U-AUDIO-END", "R-MOTION-VERBATIM")
HOSTILE = "\x1b[2J\x07::error::</script>\r"


def summary_of(*verdicts: Verdict) -> Summary:
    outcomes = tuple(RuleOutcome(rule_id, verdict) for rule_id, verdict in zip(IDS, verdicts, strict=False))
    return Summary("relay", "ws://127.0.0.1:1", 1, "0", 1, outcomes)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((PASSED, PASSED), ExitCode.PASSED),
        ((PASSED, NOT_APPLICABLE), ExitCode.PASSED),
        ((NOT_APPLICABLE, NOT_APPLICABLE), ExitCode.NOT_EXERCISED),
        ((), ExitCode.NOT_EXERCISED),
        ((PASSED, UNEXERCISED), ExitCode.NOT_EXERCISED),
        ((INCONCLUSIVE, UNEXERCISED), ExitCode.UNREACHABLE),
        ((INCONCLUSIVE, PASSED), ExitCode.UNREACHABLE),
        ((FAILED, INCONCLUSIVE, UNEXERCISED), ExitCode.RULE_FAILED),
        ((ERRORED, FAILED, INCONCLUSIVE, UNEXERCISED), ExitCode.KIT_FAILED),
    ],
)
def test_the_gravest_verdict_decides(verdicts: tuple[Verdict, ...], code: ExitCode) -> None:
    assert exit_code([summary_of(*verdicts)]) is code


@pytest.mark.parametrize("verdict", [UNEXERCISED, INCONCLUSIVE])
def test_what_was_not_required_may_stay_open_where_others_passed(verdict: Verdict) -> None:
    assert exit_code([replace(summary_of(PASSED, verdict), required=frozenset())]) is ExitCode.PASSED
    assert exit_code([replace(summary_of(verdict), required=frozenset())]) is not ExitCode.PASSED


def test_what_was_broken_once_is_never_green_though_nobody_required_it() -> None:
    once = RuleOutcome(IDS[1], INCONCLUSIVE, 1, 1, failure=Failure("a", "b", "c", "", confirmed=False))
    summary = summary_of(PASSED)
    summary = replace(summary, outcomes=(*summary.outcomes, once), required=frozenset())
    assert exit_code([summary]) is ExitCode.UNREACHABLE
    known = replace(summary, known={IDS[1]: "seldom"})
    assert exit_code([known]) is ExitCode.PASSED


def test_no_run_at_all_is_no_pass() -> None:
    assert exit_code([]) is ExitCode.NOT_EXERCISED


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        ((PASSED, PASSED), "2 of 2 rules were exercised"),
        ((FAILED, PASSED), "FAILED: U-TOKEN. 1 of 2 rules passed"),
        ((INCONCLUSIVE,), "INCONCLUSIVE"),
        ((ERRORED,), "says nothing of the subject"),
        ((UNEXERCISED, PASSED), "NOT EXERCISED: U-TOKEN"),
        ((), "nothing ran"),
    ],
)
def test_the_claim_says_what_the_run_shows(verdicts: tuple[Verdict, ...], word: str) -> None:
    assert word in describe_claim(summary_of(*verdicts))


@pytest.mark.parametrize("verdict", [PASSED, FAILED, INCONCLUSIVE])
def test_every_claim_says_what_was_not_understood(verdict: Verdict) -> None:
    summary = summary_of(PASSED, verdict)
    first, second = summary.outcomes
    misread = replace(second, not_understood=3, first_not_understood="type 'weather'")
    summary = replace(summary, outcomes=(first, misread))
    assert describe_claim(summary).endswith(" 3 messages were not understood, the first: type 'weather'.")
    one = replace(summary, outcomes=(first, replace(misread, not_understood=1)))
    assert describe_claim(one).endswith(" 1 message was not understood, the first: type 'weather'.")


def hostile_outcome() -> RuleOutcome:
    failure = Failure(HOSTILE, HOSTILE, HOSTILE, HOSTILE, confirmed=True)
    return RuleOutcome("U-TOKEN", FAILED, 1, 1, HOSTILE, failure)


def test_what_a_subject_says_cannot_steer_the_terminal() -> None:
    outcome = hostile_outcome()
    assert outcome.failure is not None
    page = StringIO()
    inconclusive = RuleOutcome("U-CONFIGURE", INCONCLUSIVE, reason=HOSTILE)
    summary = Summary("relay", HOSTILE, 1, "0", 1, (outcome, inconclusive))
    print_summary(Console(file=page, width=200), summary)
    for text in (page.getvalue(), describe_failure(outcome, outcome.failure), describe_claim(summary)):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\r" not in text


def test_harmless_text_stays_as_it_is() -> None:
    assert make_harmless("é — 字\n\tplain") == "é — 字\n\tplain"


def test_a_failure_takes_fourteen_lines_at_most() -> None:
    outcome = RuleOutcome(
        "R-CONVERSATION",
        FAILED,
        failure=Failure("a", "b", "c", "d", False, evidence=("e",) * 9, repeat="again"),
    )
    assert outcome.failure is not None
    lines = describe_failure(outcome, outcome.failure).splitlines()
    assert len(lines) <= 14
    assert "seed:" not in "".join(lines)
    assert any("not seen again" in line for line in lines)


def test_the_json_report_lists_every_rule() -> None:
    report = json.loads(json_report(report_of([summary_of(PASSED, FAILED)], ExitCode.RULE_FAILED)))
    assert report["exit_code"] == 1
    assert [(r["id"], r["level"], r["verdict"]) for r in report["rules"]] == [
        ("U-TOKEN", "MUST", "PASSED"),
        ("U-CONFIGURE", "MUST", "FAILED"),
    ]


def test_the_json_report_holds_all(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    summary = Summary("relay", "", 1, "0", 1, (hostile_outcome(),))
    report = report_of([summary], ExitCode.RULE_FAILED)
    path.write_text(json_report(report))
    assert read_report(path) == report
