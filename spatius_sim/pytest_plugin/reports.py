"""Where the reports of a pytest run go. Nothing heavy is imported before one is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from spatius_sim.engine.options import REPORT_OPTIONS
from spatius_sim.pytest_plugin.session_state import values_in

if TYPE_CHECKING:
    import pytest

_PYTESTS_OWN_SUMMARY = "fE"
"""What pytest repeats at its end if nobody asked for more: the verdicts stand there."""


def end_with_verdicts(config: "pytest.Config") -> None:
    """Take away what pytest would repeat after the verdicts, if nobody asked for it."""
    if config.option.reportchars == _PYTESTS_OWN_SUMMARY:
        config.option.reportchars = ""


def check_reports(config: "pytest.Config") -> None:
    """Raises UsageError for a report that could not be written."""
    paths = reports_asked(config)
    if paths:
        from spatius_sim.reporting.formats.files import make_room

        make_room(paths)


def reports_asked(config: "pytest.Config") -> dict[str, Path]:
    """The file of each format that is asked for."""
    values = values_in(config)
    if not any(option.name in values for option in REPORT_OPTIONS):
        return {}
    from spatius_sim.engine.run_reports import report_paths

    return report_paths(values)
