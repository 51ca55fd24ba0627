"""Works out how a pytest session in which rules were judged ended, and prints the ending."""

import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from spatius_sim.pytest_plugin.session_options import request_in

if TYPE_CHECKING:
    from spatius_sim.engine.end_run import Ending
    from spatius_sim.pytest_plugin.collect_outcomes import SessionOutcomes
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import StoppedEarly

_SUMMARY_STATUSES = frozenset(pytest.ExitCode) - {pytest.ExitCode.INTERNAL_ERROR}
"""The exit statuses of a session after which pytest asks its plugins for their summaries."""

_NOT_INTERRUPTED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
"""The exit statuses of a session that ran to its end."""


def stopped_early(collected: "SessionOutcomes", status: int, verdicts: "ExitCode") -> "StoppedEarly | None":
    """Return why the pytest session was stopped early; None if the verdicts alone say how it ended.

    `status` is the exit status that pytest gave to the session, and `verdicts` the exit code that the
    verdicts mean. Before that, the reason that `status` tells is written into the collected outcomes."""
    from spatius_sim.engine.run_outcomes import BY_A_SIGNAL
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import StoppedEarly

    outcomes = collected.outcomes
    if status == pytest.ExitCode.INTERNAL_ERROR:
        outcomes.internal_error = outcomes.internal_error or "pytest had an internal error"
    elif status == pytest.ExitCode.USAGE_ERROR:
        outcomes.usage_error = outcomes.usage_error or _usage_error_of_pytest()
    elif status not in _NOT_INTERRUPTED:
        outcomes.interruption = outcomes.interruption or BY_A_SIGNAL
    else:
        outcomes.interruption = ""
    if (why := outcomes.stopped_early()) is not None or verdicts is not ExitCode.PASSED:
        return why
    match status:
        case pytest.ExitCode.TESTS_FAILED:
            return StoppedEarly(ExitCode.RULE_FAILED, collected.others_failed)
        case pytest.ExitCode.NO_TESTS_COLLECTED:
            return StoppedEarly(ExitCode.NOT_EXERCISED, "pytest collected nothing")
    return None


def print_ending(reporter: "pytest.TerminalReporter", ending: "Ending") -> None:
    """Print the ending of a pytest session: the verdicts, what the run claims, what to do next, and the
    files."""
    from rich.console import Console

    from spatius_sim.reporting.formats.text_report import print_run

    reporter.section("spatius-sim")
    page = StringIO()
    console = Console(file=page, width=reporter._tw.fullwidth, force_terminal=reporter.hasmarkup)
    print_run(console, ending.summaries, ending.code, request_in(reporter.config).doctor_command())
    reporter.write(page.getvalue())
    for line in ending.files:
        reporter.write_line(f"spatius-sim: {line}")


def is_summary_asked_for(status: int) -> bool:
    """Return whether pytest asks its plugins for a summary after a session with this exit status."""
    return status in _SUMMARY_STATUSES


def _usage_error_of_pytest() -> str:
    """Return the text of the usage error with which the pytest session ends. pytest calls its plugins while
    it handles this error, and prints the error only after that."""
    error = sys.exception()
    if isinstance(error, pytest.UsageError):
        return "; ".join(map(str, error.args))
    return "pytest was asked for what cannot be"
