"""Annotations for GitHub: few, ranked, and nothing that a subject says is a command."""

import re

import pytest
from hypothesis import given

from spatius_sim.reporting.formats.annotations import MAX_COMMANDS, github_annotations
from spatius_sim.reporting.report import report_of
from spatius_sim.reporting.summary import Failure, RuleOutcome, Summary, exit_code
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.reporting.hostile import ATTACKS, HUGE, report_saying, texts

LINE = re.compile(r"::(?:error|warning) title=([^:,]*)::(.*)")
COMMAND = re.compile(r"::[A-Za-z]|##[\[A-Za-z]")


def told_of(text: str) -> list[str]:
    lines = github_annotations(report_saying(text))
    assert 0 < len(lines) <= MAX_COMMANDS
    for line in lines:
        found = LINE.fullmatch(line)
        assert found is not None
        assert not COMMAND.search(found[2])
        assert len(line) < 1000
    return lines


@pytest.mark.parametrize("text", [*ATTACKS, HUGE], ids=range(len(ATTACKS) + 1))
def test_a_hostile_subject_gives_no_command(text: str) -> None:
    told_of(text)


@given(texts)
def test_whatever_is_said_stays_in_its_line(text: str) -> None:
    told_of(text)


def outcome(rule_id: str, verdict: Verdict, confirmed: bool = True) -> RuleOutcome:
    failure = Failure("100 %", "less", "a turn", "", confirmed) if verdict is Verdict.FAILED else None
    return RuleOutcome(rule_id, verdict, reason="why", failure=failure)


def annotations_of(*outcomes: RuleOutcome, known: dict[str, str] | None = None) -> list[str]:
    required = frozenset(one.rule_id for one in outcomes)
    summary = Summary("relay", "ws://r", 1, "0", 1, outcomes, required=required, known=known or {})
    return github_annotations(report_of([summary], exit_code([summary])))


def test_the_worst_comes_first_and_what_is_known_is_not_told() -> None:
    lines = annotations_of(
        outcome("U-CONFIGURE", Verdict.UNEXERCISED),
        outcome("R-TURNS", Verdict.FAILED, confirmed=False),
        outcome("R-MOTION-ORDER", Verdict.FAILED),
        outcome("R-END-AUDIO", Verdict.FAILED),
        outcome("U-TOKEN", Verdict.PASSED),
        known={"R-END-AUDIO": "ours"},
    )
    assert lines == [
        "::error title=R-MOTION-ORDER (MUST)::Expected 100 %25. Actual: less",
        "::error title=R-TURNS (MUST)::Expected 100 %25. Actual: less",
        "::warning title=U-CONFIGURE::unexercised: why",
    ]


def test_what_does_not_fit_is_counted() -> None:
    lines = annotations_of(*(outcome(rule.id, Verdict.FAILED) for rule in rules_for("relay")[:13]))
    assert len(lines) == MAX_COMMANDS
    assert lines[-1] == "::warning title=spatius-sim::4 more findings are in the report"
