"""Says where the reports of a pytest run go. Nothing heavy is imported before a report is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from spatius_sim.engine.option_table import REPORT_OPTIONS
from spatius_sim.pytest_plugin.session_options import values_in

if TYPE_CHECKING:
    import pytest

_PYTESTS_OWN_SUMMARY = "fE"
"""pytest's default for `-r`: it repeats failures and errors at the end, where the verdicts stand."""


def end_with_verdicts(config: "pytest.Config") -> None:
    """Turn off the list of failures that pytest would print after our verdicts, unless the user chose a
    list."""
    if config.option.reportchars == _PYTESTS_OWN_SUMMARY:
        config.option.reportchars = ""


def check_reports(config: "pytest.Config") -> None:
    """Make the folders for those reports that the options of pytest ask for, and delete older reports there.
    Raises UsageError if a report could not be written."""
    paths = reports_asked(config)
    if paths:
        from spatius_sim.reporting.formats.write_report_files import make_folders_for

        make_folders_for(paths)


def reports_asked(config: "pytest.Config") -> dict[str, Path]:
    """Return the file of each report format that the options of pytest ask for."""
    values = values_in(config)
    if not any(option.name in values for option in REPORT_OPTIONS):
        return {}
    from spatius_sim.engine.write_run_reports import report_paths

    return report_paths(values)
