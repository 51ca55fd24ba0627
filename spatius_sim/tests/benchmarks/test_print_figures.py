"""Figures as a table."""

from io import StringIO

from rich.console import Console

from spatius_sim.benchmarks.print_figures import print_figures


def test_a_promise_is_shown_with_whether_it_is_kept() -> None:
    page = StringIO()
    rows = [("speed", 21.5, "x", "at least 20", True), ("weight", 12345.0, "KiB", "at most 2", False)]
    print_figures(Console(file=page, width=100), [*rows, ("time", 1.0, "ms", "", True)])
    lines = [line.split() for line in page.getvalue().splitlines()]
    assert ["speed", "21.50", "x", "at", "least", "20:", "kept"] in lines
    assert ["weight", "12,345", "KiB", "at", "most", "2:", "NOT", "KEPT"] in lines
    assert ["time", "1.00", "ms"] in lines
