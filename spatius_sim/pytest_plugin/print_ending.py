"""How a pytest session in which rules were judged ends."""

import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from spatius_sim.pytest_plugin.session_state import request_in

if TYPE_CHECKING:
    from spatius_sim.engine.run_ending import Ending
    from spatius_sim.pytest_plugin.collect_outcomes import SessionOutcomes
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import BrokenOff

_TOLD_BY_PYTEST = frozenset(pytest.ExitCode) - {pytest.ExitCode.INTERNAL_ERROR}
"""The statuses of a session after which pytest asks its plugins for their summaries."""


def broken_off(outcomes: "SessionOutcomes", status: int, verdicts: "ExitCode") -> "BrokenOff | None":
    """What a session to which pytest gave that status ended with, beside verdicts that mean this exit code;
    None if they alone say it."""
    from spatius_sim.engine.run_outcomes import BY_A_SIGNAL
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import BrokenOff

    found = outcomes.found
    if status == pytest.ExitCode.INTERNAL_ERROR:
        found.internal_error = found.internal_error or "pytest had an internal error"
    elif status == pytest.ExitCode.USAGE_ERROR:
        found.usage_error = found.usage_error or _usage_error_of_pytest()
    elif status not in _NOT_INTERRUPTED:
        found.interruption = found.interruption or BY_A_SIGNAL
    else:
        found.interruption = ""
    if (why := found.broken_off()) is not None or verdicts is not ExitCode.PASSED:
        return why
    match status:
        case pytest.ExitCode.TESTS_FAILED:
            return BrokenOff(ExitCode.RULE_FAILED, outcomes.others_failed)
        case pytest.ExitCode.NO_TESTS_COLLECTED:
            return BrokenOff(ExitCode.NOT_EXERCISED, "pytest collected nothing")
    return None


def print_ending(reporter: "pytest.TerminalReporter", ending: "Ending") -> None:
    """Print the verdicts, what the run claims, and what to do next."""
    from rich.console import Console

    from spatius_sim.reporting.formats.text_report import print_run

    reporter.section("spatius-sim")
    page = StringIO()
    console = Console(file=page, width=reporter._tw.fullwidth, force_terminal=reporter.hasmarkup)
    print_run(console, ending.summaries, ending.code, request_in(reporter.config).doctor_command())
    reporter.write(page.getvalue())
    for line in ending.files:
        reporter.write_line(f"spatius-sim: {line}")


def is_told_by_pytest(status: int) -> bool:
    """Whether pytest asks for a summary after a session of that status."""
    return status in _TOLD_BY_PYTEST


_NOT_INTERRUPTED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def _usage_error_of_pytest() -> str:
    """What pytest tells once its plugins are done: it is raised while they hear that the session ends."""
    error = sys.exception()
    if isinstance(error, pytest.UsageError):
        return "; ".join(map(str, error.args))
    return "pytest was asked for what cannot be"
