"""Puts several reports side by side: subjects or releases, and what changed from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Report
from spatius_sim.rules.findings import Verdict


@dataclass(frozen=True, slots=True)
class Column:
    """One subject of one report. `name` is the name of the report's file, which several subjects may
    share."""

    name: str
    subject: JudgedSubject

    def __post_init__(self) -> None:
        """Make the name of the column one harmless line."""
        object.__setattr__(self, "name", harmless_line(self.name))


@dataclass(frozen=True, slots=True)
class Row:
    """One rule, with a verdict for each column; None if the rule was not judged there."""

    rule: JudgedRule
    verdicts: tuple[Verdict | None, ...]

    @property
    def changed(self) -> bool:
        """Whether the verdicts differ."""
        return len({verdict for verdict in self.verdicts if verdict is not None}) > 1


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one rule: the verdict was `was` in column `before`, and is `now` in column `after`."""

    rule_id: str
    before: str
    was: Verdict
    after: str
    now: Verdict

    @property
    def broken(self) -> bool:
        """Whether the rule fails now and did not before."""
        return self.now is Verdict.FAILED

    @property
    def mended(self) -> bool:
        """Whether the rule failed before and does not now."""
        return self.was is Verdict.FAILED


@dataclass(frozen=True, slots=True)
class Matrix:
    """Several reports side by side: a column for each subject, a row for each rule."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes from left to right. Rules that fail now come first, then rules that failed before."""
        changes = [change for row in self.rows for change in _find_changes(row, self.columns)]
        return tuple(sorted(changes, key=lambda change: (not change.broken, not change.mended)))


def matrix_of(reports: Sequence[tuple[str, Report]]) -> Matrix:
    """Return a matrix of these reports, each given with its name. The matrix has a column for each subject of
    each report, in this order, and a row for each rule that any report judged."""
    columns_with_rules = [
        (Column(name, subject), report.rules_for(subject))
        for name, report in reports
        for subject in report.subjects
    ]
    rule_by_id = {rule.id: rule for _, rules in columns_with_rules for rule in rules}
    verdict_maps = [{rule.id: rule.verdict for rule in rules} for _, rules in columns_with_rules]
    rows = [
        Row(rule, tuple(verdict_by_rule_id.get(rule_id) for verdict_by_rule_id in verdict_maps))
        for rule_id, rule in rule_by_id.items()
    ]
    return Matrix(tuple(column for column, _ in columns_with_rules), tuple(rows))


def _find_changes(row: Row, columns: Sequence[Column]) -> list[Change]:
    """Return the changes of one rule's verdict in the matrix of reports, from left to right. Each column in
    which the rule was judged is compared with the next column in which it was judged."""
    cells = zip(columns, row.verdicts, strict=True)
    judged_cells = [(column, verdict) for column, verdict in cells if verdict is not None]
    return [
        Change(row.rule.id, old_column.name, old_verdict, new_column.name, new_verdict)
        for (old_column, old_verdict), (new_column, new_verdict) in pairwise(judged_cells)
        if old_verdict is not new_verdict
    ]
