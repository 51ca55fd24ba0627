"""Works out how a pytest session in which rules were judged ended, and prints the ending."""

import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from spatius_sim.pytest_plugin.session_options import get_run_request

if TYPE_CHECKING:
    from spatius_sim.engine.end_run import Ending
    from spatius_sim.pytest_plugin.collect_outcomes import SessionOutcomes
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import StoppedEarly

_STATUSES_WITH_SUMMARY = frozenset(pytest.ExitCode) - {pytest.ExitCode.INTERNAL_ERROR}
"""The exit statuses of a session after which pytest asks its plugins for their summaries."""

_STATUSES_WITHOUT_STOP = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)
"""The exit statuses of a session that ran to its end."""


def find_early_stop(
    session_outcomes: "SessionOutcomes", exit_status: int, code_of_verdicts: "ExitCode"
) -> "StoppedEarly | None":
    """Return why the pytest session was stopped early; None if the verdicts alone say how it ended.

    `exit_status` is pytest's exit status of the session, and `code_of_verdicts` the exit code that the
    verdicts mean. The reason that the exit status tells is also written into `session_outcomes`."""
    from spatius_sim.engine.run_outcomes import BY_A_SIGNAL
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import StoppedEarly

    outcomes = session_outcomes.outcomes
    if exit_status == pytest.ExitCode.INTERNAL_ERROR:
        outcomes.internal_error = outcomes.internal_error or "pytest had an internal error"
    elif exit_status == pytest.ExitCode.USAGE_ERROR:
        outcomes.usage_error = outcomes.usage_error or _find_usage_error_of_pytest()
    elif exit_status not in _STATUSES_WITHOUT_STOP:
        outcomes.interruption = outcomes.interruption or BY_A_SIGNAL
    else:
        outcomes.interruption = ""
    if (stop := outcomes.why_stopped_early()) is not None or code_of_verdicts is not ExitCode.PASSED:
        return stop
    match exit_status:
        case pytest.ExitCode.TESTS_FAILED:
            return StoppedEarly(ExitCode.RULE_FAILED, session_outcomes.other_failures_text)
        case pytest.ExitCode.NO_TESTS_COLLECTED:
            return StoppedEarly(ExitCode.NOT_EXERCISED, "pytest collected nothing")
    return None


def print_ending(reporter: "pytest.TerminalReporter", ending: "Ending") -> None:
    """Print the end of a pytest session. It tells the verdicts, what the run claims of the subject, what the
    user can do next, and where the reports are."""
    from rich.console import Console

    from spatius_sim.reporting.formats.text_report import print_run

    reporter.section("spatius-sim")
    text = StringIO()
    console = Console(file=text, width=reporter._tw.fullwidth, force_terminal=reporter.hasmarkup)
    print_run(console, ending.summaries, ending.code, get_run_request(reporter.config).doctor_command())
    reporter.write(text.getvalue())
    for line in ending.files:
        reporter.write_line(f"spatius-sim: {line}")


def is_summary_asked_for(status: int) -> bool:
    """Return whether pytest asks its plugins for a summary after a session with this exit status."""
    return status in _STATUSES_WITH_SUMMARY


def _find_usage_error_of_pytest() -> str:
    """Return the text of the usage error with which the pytest session ends. pytest is handling this error at
    this moment, and prints it later. If there is none, return a general text."""
    error = sys.exception()
    if isinstance(error, pytest.UsageError):
        return "; ".join(map(str, error.args))
    return "pytest was asked for what cannot be"
