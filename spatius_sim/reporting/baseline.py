"""Compares a run with a baseline: the failures that a team knows of.

A new failure fails the run. A listed failure is tolerated as long as it fails in the listed way and has not
expired. If it passes, fails in another way or has expired, this is a complaint, so that the list stays true.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """One entry of a baseline. `fails_with`: the ways in which the rule may fail, as the report's Actual has
    them; all numbers are alike, and `*` stands for anything. A flaky rule may also pass. The lines are those
    of the file, counted from 1."""

    rule_id: str
    reason: str
    fails_with: tuple[str, ...]
    issue: str = ""
    expires: date | None = None
    flaky: bool = False
    line: int = 0
    last_line: int = 0
    fails_with_line: int = 0
    expires_line: int = 0

    def covers(self, actual: str) -> bool:
        """Whether the rule may fail in this way."""
        return any(_compile_pattern(way).fullmatch(_NUMBER.sub("0", actual)) for way in self.fails_with)

    def __str__(self) -> str:
        return f"{self.reason} ({self.issue})" if self.issue else self.reason


@dataclass(frozen=True, slots=True)
class Baseline:
    """All entries of one baseline file, by rule id."""

    place: str
    known: Mapping[str, KnownFailure]


@dataclass(frozen=True, slots=True)
class BaselineCheck:
    """Why a baseline tolerates one outcome, or its complaint, or neither."""

    tolerated: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """Why a baseline tolerates each known failure of a run, by rule id, and its complaints."""

    tolerated: Mapping[str, str]
    complaints: tuple[str, ...]


def check_outcome(baseline: Baseline, outcome: RuleOutcome, today: date) -> BaselineCheck:
    """Check one outcome against the baseline on this day."""
    known = baseline.known.get(outcome.rule_id)
    if known is None:
        return BaselineCheck()
    if known.expires is not None and known.expires < today:
        complaint = f"expired on {known.expires}: mend it, or look at it again and write a later day here"
        return BaselineCheck(complaint=_at_line(baseline, known.expires_line, known, complaint))
    if outcome.verdict is Verdict.PASSED and not known.flaky:
        complaint = f"passes now: delete lines {known.line} to {known.last_line}"
        return BaselineCheck(complaint=_at_line(baseline, known.line, known, complaint))
    if outcome.failure is None:
        return BaselineCheck()
    if not known.covers(outcome.failure.actual):
        complaint = f"fails otherwise than it says here: {outcome.failure.actual}"
        return BaselineCheck(complaint=_at_line(baseline, known.fails_with_line, known, complaint))
    return BaselineCheck(tolerated=str(known))


def review(baseline: Baseline, outcomes: Iterable[RuleOutcome], today: date) -> Review:
    """Check the outcomes of a run against the baseline on this day."""
    checks = {outcome.rule_id: check_outcome(baseline, outcome, today) for outcome in outcomes}
    return Review(
        {rule_id: check.tolerated for rule_id, check in checks.items() if check.tolerated},
        tuple(check.complaint for check in checks.values() if check.complaint),
    )


def _at_line(baseline: Baseline, line: int, known: KnownFailure, complaint: str) -> str:
    return f"{baseline.place}:{line}: {known.rule_id} {complaint}"


def _compile_pattern(way: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in _NUMBER.sub("0", way).split("*")))
