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
_ANY_NUMBER = "0"
"""Stands for every number when a failure is compared with a pattern."""


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """One entry of a baseline. `fails_with` are patterns for the report's Actual: every number matches every
    other number, and `*` matches anything. A flaky rule may also pass. Lines are counted from 1."""

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
        """Return whether the Actual of a failure matches a pattern of this entry of the baseline."""
        without_numbers = _NUMBER.sub(_ANY_NUMBER, actual)
        patterns = (_NUMBER.sub(_ANY_NUMBER, pattern) for pattern in self.fails_with)
        return any(_matches(pattern, without_numbers) for pattern in patterns)

    def __str__(self) -> str:
        """Return the reason of the known failure and, if it is tracked, its issue."""
        return f"{self.reason} ({self.issue})" if self.issue else self.reason


@dataclass(frozen=True, slots=True)
class Baseline:
    """All entries of one baseline file: `known` by rule id. `place` is the file's name in messages."""

    place: str
    known: Mapping[str, KnownFailure]


@dataclass(frozen=True, slots=True)
class BaselineCheck:
    """What a baseline says of one outcome: why it is tolerated, or a complaint. Both are "" if the baseline
    says nothing."""

    tolerated: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """What a baseline says of a run: why each known failure is `tolerated`, by rule id, and the
    `complaints`."""

    tolerated: Mapping[str, str]
    complaints: tuple[str, ...]


def check_outcome(baseline: Baseline, outcome: RuleOutcome, today: date) -> BaselineCheck:
    """Return what the baseline (the list of known failures) says of one outcome on the day `today`. A failure
    that is listed is tolerated; if its entry is out of date, there is a complaint instead. `tolerated` and
    `complaint` are both empty if the rule is not listed, or if there is neither a failure nor a complaint."""
    entry = baseline.known.get(outcome.rule_id)
    if entry is None:
        return BaselineCheck()
    if entry.expires is not None and entry.expires < today:
        complaint = f"expired on {entry.expires}: mend it, or look at it again and write a later day here"
        return BaselineCheck(
            complaint=_add_place_to_complaint(baseline, entry.expires_line, entry, complaint)
        )
    if outcome.verdict is Verdict.PASSED and not entry.flaky:
        complaint = f"passes now: delete lines {entry.line} to {entry.last_line}"
        return BaselineCheck(complaint=_add_place_to_complaint(baseline, entry.line, entry, complaint))
    if outcome.failure is None:
        return BaselineCheck()
    if not entry.covers(outcome.failure.actual):
        complaint = f"fails otherwise than it says here: {outcome.failure.actual}"
        return BaselineCheck(
            complaint=_add_place_to_complaint(baseline, entry.fails_with_line, entry, complaint)
        )
    return BaselineCheck(tolerated=str(entry))


def compare_with_baseline(
    baseline: Baseline, outcomes: Iterable[RuleOutcome], today: date
) -> BaselineComparison:
    """Compare all outcomes of a run with the baseline on the day `today`. Return which failures are tolerated
    because the baseline lists them, and what is wrong with the baseline itself."""
    check_by_rule_id = {outcome.rule_id: check_outcome(baseline, outcome, today) for outcome in outcomes}
    return BaselineComparison(
        {rule_id: check.tolerated for rule_id, check in check_by_rule_id.items() if check.tolerated},
        tuple(check.complaint for check in check_by_rule_id.values() if check.complaint),
    )


def _add_place_to_complaint(baseline: Baseline, line: int, entry: KnownFailure, complaint: str) -> str:
    """Return a complaint about an entry of the baseline, with file, line and rule before it."""
    return f"{baseline.place}:{line}: {entry.rule_id} {complaint}"


def _matches(pattern: str, text: str) -> bool:
    """Return whether the whole `text` of a failure matches a pattern of the baseline. Each `*` in the pattern
    stands for any text. The time is linear in the length of the text."""
    prefix, *middle_parts = pattern.split("*")
    if not middle_parts:
        return text == prefix
    suffix = middle_parts.pop()
    if len(prefix) + len(suffix) > len(text) or not text.startswith(prefix) or not text.endswith(suffix):
        return False
    end = len(text) - len(suffix)
    searched_to = len(prefix)
    for part in middle_parts:
        index = text.find(part, searched_to, end)
        if index < 0:
            return False
        searched_to = index + len(part)
    return True
