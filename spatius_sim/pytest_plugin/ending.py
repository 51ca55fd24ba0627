"""How a run ended. It is worked out once, when the session finishes; the exit status of the process, the text
at its end and every report follow from it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from spatius_sim.pytest_plugin.judging_run import doctor_command

if TYPE_CHECKING:
    from spatius_sim.pytest_plugin.outcomes import Outcomes
    from spatius_sim.reporting.summary import BrokenOff, ExitCode, Summary

_TOLD_BY_PYTEST = frozenset(pytest.ExitCode) - {pytest.ExitCode.INTERNAL_ERROR}
"""The statuses of a session after which pytest asks its plugins for their summaries."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The summaries, the exit code, what the run ended with beside the verdicts, and what became of files, a
    line for each."""

    summaries: "tuple[Summary, ...]"
    code: "ExitCode"
    broken_off: "BrokenOff | None" = None
    files: tuple[str, ...] = ()


def ending_of(summaries: "Sequence[Summary]", outcomes: "Outcomes", status: int) -> Ending:
    """The ending of a session to which pytest gave that status."""
    from spatius_sim.reporting.summary import exit_code

    broken_off = _broken_off(outcomes, status, exit_code(summaries))
    if broken_off is None:
        return Ending(tuple(summaries), exit_code(summaries))
    return Ending(tuple(replace(s, broken_off=broken_off) for s in summaries), broken_off.code, broken_off)


def print_ending(reporter: "pytest.TerminalReporter", ending: Ending) -> None:
    """The verdicts, what the run claims, and what to do next."""
    from rich.console import Console

    from spatius_sim.reporting.formats.text_report import print_run

    reporter.section("spatius-sim")
    page = StringIO()
    console = Console(file=page, width=reporter._tw.fullwidth, force_terminal=reporter.hasmarkup)
    print_run(console, ending.summaries, ending.code, doctor_command(reporter.config))
    reporter.write(page.getvalue())
    for line in ending.files:
        reporter.write_line(f"spatius-sim: {line}")


def is_told_by_pytest(status: int) -> bool:
    """Whether pytest asks for a summary after a session of that status."""
    return status in _TOLD_BY_PYTEST


def _broken_off(outcomes: "Outcomes", status: int, verdicts: "ExitCode") -> "BrokenOff | None":
    """What else than `verdicts` the run ended with; None where they alone say it."""
    from spatius_sim.reporting.summary import BrokenOff, ExitCode

    if outcomes.internal_error or status == pytest.ExitCode.INTERNAL_ERROR:
        return BrokenOff(ExitCode.KIT_FAILED, outcomes.internal_error or "pytest had an internal error")
    if outcomes.usage_error or status == pytest.ExitCode.USAGE_ERROR:
        return BrokenOff(ExitCode.USAGE, outcomes.usage_error or _usage_error_of_pytest())
    passed = verdicts is ExitCode.PASSED
    match status:
        case pytest.ExitCode.OK:
            return None
        case pytest.ExitCode.TESTS_FAILED:
            return BrokenOff(ExitCode.RULE_FAILED, outcomes.others_failed) if passed else None
        case pytest.ExitCode.NO_TESTS_COLLECTED:
            return BrokenOff(ExitCode.NOT_EXERCISED, "pytest collected nothing") if passed else None
    return BrokenOff(ExitCode.INTERRUPTED, outcomes.interruption or "by a signal")


def _usage_error_of_pytest() -> str:
    """What pytest tells once its plugins are done: it is under way while they hear that the session ends."""
    error = sys.exception()
    if isinstance(error, pytest.UsageError):
        return "; ".join(map(str, error.args))
    return "pytest was asked for what cannot be"
