"""Prints figures as a table."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = tuple[str, float, str, str, bool]
"""One line of the table: name, value, unit, promise ("" if there is none), and whether it is kept."""


def print_figures(console: Console, rows: Iterable[Row]) -> None:
    """Print the figures of the benchmark as a table, one line for each. A promise (the limit for a figure) is
    green if it is kept, and red if it is not."""
    table = Table(title="spatius-sim bench", box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("promise")
    for name, value, unit, promise, is_kept in rows:
        verdict = Text(
            f"{promise}: {'kept' if is_kept else 'NOT KEPT'}", style="green" if is_kept else "bold red"
        )
        shown_value = f"{value:.2f}" if value < 100 else f"{value:,.0f}"
        table.add_row(name, shown_value, unit, verdict if promise else "")
    console.print(table)
