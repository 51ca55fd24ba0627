"""Several reports side by side: subjects or releases, and what changed from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from spatius_sim.reporting.harmless import one_line
from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Report
from spatius_sim.rules.findings import Verdict


@dataclass(frozen=True, slots=True)
class Column:
    """One subject of one report, called by its file's name, which it may share with others of the file."""

    name: str
    subject: JudgedSubject

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", one_line(self.name))


@dataclass(frozen=True, slots=True)
class Row:
    """One rule; a verdict for each column, None where it was not judged there."""

    rule: JudgedRule
    verdicts: tuple[Verdict | None, ...]

    @property
    def changed(self) -> bool:
        """Whether the verdicts differ."""
        return len({verdict for verdict in self.verdicts if verdict is not None}) > 1


@dataclass(frozen=True, slots=True)
class Change:
    """A rule whose verdict is another in column `after` than in column `before`, where it was judged last;
    `broken` where it fails now and did not, `mended` the other way round."""

    rule_id: str
    before: str
    was: Verdict
    after: str
    now: Verdict

    @property
    def broken(self) -> bool:
        return self.now is Verdict.FAILED

    @property
    def mended(self) -> bool:
        return self.was is Verdict.FAILED


@dataclass(frozen=True, slots=True)
class Matrix:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What changed from left to right, what fails now first."""
        found = [change for row in self.rows for change in _changes(row, self.columns)]
        return tuple(sorted(found, key=lambda change: (not change.broken, not change.mended)))


def matrix_of(reports: Sequence[tuple[str, Report]]) -> Matrix:
    """The reports, named, side by side in that order; a column for each subject."""
    columns = [
        (Column(name, subject), report.of(subject)) for name, report in reports for subject in report.subjects
    ]
    described = {judged.id: judged for _, judged_there in columns for judged in judged_there}
    verdicts = [{judged.id: judged.verdict for judged in judged_there} for _, judged_there in columns]
    rows = [
        Row(judged, tuple(there.get(rule_id) for there in verdicts)) for rule_id, judged in described.items()
    ]
    return Matrix(tuple(column for column, _ in columns), tuple(rows))


def _changes(row: Row, columns: Sequence[Column]) -> list[Change]:
    both = zip(columns, row.verdicts, strict=True)
    judged = [(column, verdict) for column, verdict in both if verdict is not None]
    return [
        Change(row.rule.id, before.name, was, after.name, now)
        for (before, was), (after, now) in pairwise(judged)
        if was is not now
    ]
