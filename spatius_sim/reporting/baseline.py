"""A baseline: the failures that a team knows of, and what a run says of each.

A new failure fails. A listed one is tolerated as long as it fails in the way that is written there and has
not expired; one that passes, fails otherwise or has expired is a complaint, so that the list never outlives
the truth.
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
    """One entry: `fails_with` are the ways in which it may fail, as the report's Actual has them; numbers are
    alike, and `*` is anything. A flaky one may pass, too. The lines are those of the file, counted from 1."""

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
        """Whether this is one of the ways in which it may fail."""
        return any(_pattern(way).fullmatch(_NUMBER.sub("0", actual)) for way in self.fails_with)

    def __str__(self) -> str:
        return f"{self.reason} ({self.issue})" if self.issue else self.reason


@dataclass(frozen=True, slots=True)
class Baseline:
    """All entries of one file, by rule id."""

    place: str
    known: Mapping[str, KnownFailure]


@dataclass(frozen=True, slots=True)
class BaselineCheck:
    """What a baseline says of one outcome: the reason why it is tolerated, or the complaint, or neither."""

    tolerated: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What a baseline says of a run: the reason for each tolerated failure, and the complaints."""

    tolerated: Mapping[str, str]
    complaints: tuple[str, ...]


def remark(baseline: Baseline, outcome: RuleOutcome, today: date) -> BaselineCheck:
    """What the baseline says of one outcome on that day."""
    known = baseline.known.get(outcome.rule_id)
    if known is None:
        return BaselineCheck()
    if known.expires is not None and known.expires < today:
        told = f"expired on {known.expires}: mend it, or look at it again and write a later day here"
        return BaselineCheck(complaint=_at(baseline, known.expires_line, known, told))
    if outcome.verdict is Verdict.PASSED and not known.flaky:
        told = f"passes now: delete lines {known.line} to {known.last_line}"
        return BaselineCheck(complaint=_at(baseline, known.line, known, told))
    if outcome.failure is None:
        return BaselineCheck()
    if not known.covers(outcome.failure.actual):
        told = f"fails otherwise than it says here: {outcome.failure.actual}"
        return BaselineCheck(complaint=_at(baseline, known.fails_with_line, known, told))
    return BaselineCheck(tolerated=str(known))


def review(baseline: Baseline, outcomes: Iterable[RuleOutcome], today: date) -> Review:
    """What the baseline says of the outcomes of a run on that day."""
    remarks = {outcome.rule_id: remark(baseline, outcome, today) for outcome in outcomes}
    return Review(
        {rule_id: said.tolerated for rule_id, said in remarks.items() if said.tolerated},
        tuple(said.complaint for said in remarks.values() if said.complaint),
    )


def _at(baseline: Baseline, line: int, known: KnownFailure, told: str) -> str:
    return f"{baseline.place}:{line}: {known.rule_id} {told}"


def _pattern(way: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in _NUMBER.sub("0", way).split("*")))
