"""Prints reports side by side, for a person at a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spatius_sim.reporting.report_matrix import Matrix
from spatius_sim.reporting.verdict_labels import VERDICTS
from spatius_sim.rules.findings import Verdict

_STYLES = {"good": "green", "bad": "bold red", "open": "yellow", "none": "dim"}


def print_matrix(console: Console, matrix: Matrix) -> None:
    """Print several reports side by side, for a person at a terminal. A table with a row for each rule and a
    column for each subject comes first, then what changed."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("rule", no_wrap=True)
    for column in matrix.columns:
        table.add_column(Text(f"{column.name}\n{column.subject.subject} {column.subject.target}"))
    for row in matrix.rows:
        style = "bold" if row.changed else ""
        table.add_row(Text(row.rule.id, style=style), *(_colour_verdict(verdict) for verdict in row.verdicts))
    console.print(table)
    changes = matrix.changes
    console.print(Text(f"{len(changes)} changed" if changes else "nothing changed", style="bold"))
    for change in changes:
        line = Text(f"  {change.rule_id}: ")
        line.append(_colour_verdict(change.was)).append(f" in {change.before}, ")
        console.print(line.append(_colour_verdict(change.now)).append(f" in {change.after}"))


def _colour_verdict(verdict: Verdict | None) -> Text:
    """Return the words for a verdict in its colour, for the table in which reports stand side by side. If
    `verdict` is None, return "not judged"."""
    if verdict is None:
        return Text("not judged", style="dim")
    tone, _, words, _ = VERDICTS[verdict]
    return Text(words, style=_STYLES[tone])
