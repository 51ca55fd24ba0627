"""Says where the reports of a pytest run go. Nothing heavy is imported before a report is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from spatius_sim.engine.option_table import REPORT_OPTIONS
from spatius_sim.pytest_plugin.session_options import get_option_values

if TYPE_CHECKING:
    import pytest

_PYTESTS_OWN_SUMMARY = "fE"
"""pytest's default for `-r`: it repeats failures and errors at the end, where the verdicts stand."""


def turn_off_failure_list(config: "pytest.Config") -> None:
    """Turn off the list of failures that pytest would print after our verdicts, unless the user chose a
    list."""
    if config.option.reportchars == _PYTESTS_OWN_SUMMARY:
        config.option.reportchars = ""


def prepare_reports(config: "pytest.Config") -> None:
    """Make the folders of those reports that the options of pytest ask for, and delete older reports there.
    Raises UsageError if a report cannot be written there."""
    paths = get_report_paths(config)
    if paths:
        from spatius_sim.reporting.formats.write_report_files import prepare_report_files

        prepare_report_files(paths)


def get_report_paths(config: "pytest.Config") -> dict[str, Path]:
    """Return the path of the report file for each format that the options of pytest ask for; empty if they
    ask for no report."""
    values = get_option_values(config)
    if not any(option.name in values for option in REPORT_OPTIONS):
        return {}
    from spatius_sim.engine.write_run_reports import report_paths

    return report_paths(values)
