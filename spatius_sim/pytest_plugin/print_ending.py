"""Prints the ending of a pytest session in which rules were judged."""

from io import StringIO
from typing import TYPE_CHECKING

import pytest

from spatius_sim.pytest_plugin.print_at_once import printing_at_once
from spatius_sim.pytest_plugin.session_options import get_run_request

if TYPE_CHECKING:
    from spatius_sim.engine.end_run import Ending

_STATUSES_WITH_SUMMARY = frozenset(pytest.ExitCode) - {pytest.ExitCode.INTERNAL_ERROR}
"""The exit statuses of a session after which pytest asks its plugins for their summaries."""


def print_ending(reporter: "pytest.TerminalReporter", ending: "Ending") -> None:
    """Print the end of a pytest session. It tells the verdicts, what the run claims of the subject, what the
    user can do next, and where the reports are."""
    from rich.console import Console

    from spatius_sim.reporting.formats.text_report import print_run

    text = StringIO()
    console = Console(file=text, width=reporter._tw.fullwidth, force_terminal=reporter.hasmarkup)
    print_run(console, ending.summaries, ending.code, get_run_request(reporter.config).doctor_command())
    with printing_at_once(reporter):
        reporter.section("spatius-sim")
        reporter.write(text.getvalue())
        for line in ending.files:
            reporter.write_line(f"spatius-sim: {line}")


def is_summary_asked_for(status: int) -> bool:
    """Return whether pytest asks its plugins for a summary after a session with this exit status."""
    return status in _STATUSES_WITH_SUMMARY
