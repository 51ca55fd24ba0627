"""Where reports go: what the options of the plugin say. Nothing heavy is imported before one is given."""

from pathlib import Path
from typing import TYPE_CHECKING

from spatius_sim.engine.options import REPORT_FORMATS

if TYPE_CHECKING:
    import pytest

    from spatius_sim.reporting.report import Report


_PYTESTS_OWN_SUMMARY = "fE"
"""What pytest repeats at its end where nobody asked for more: the verdicts stand there."""


def end_with_verdicts(config: "pytest.Config") -> None:
    """Take away what pytest would repeat behind the verdicts, where nobody asked for it."""
    if config.option.reportchars == _PYTESTS_OWN_SUMMARY:
        config.option.reportchars = ""


def check_reports(config: "pytest.Config") -> None:
    """Raises UsageError for a report that could not be written."""
    if _asked(config):
        from spatius_sim.reporting.formats.files import make_room

        make_room(_paths(config))


def write_reports(config: "pytest.Config", report: "Report") -> list[str]:
    """Write what is asked for; which files were written, in words, and which could not be."""
    if not _asked(config):
        return []
    from spatius_sim.reporting.formats import files

    paths = _paths(config)
    unwritten = files.write_reports(paths, report)
    written = ", ".join(str(path) for name, path in paths.items() if name not in unwritten)
    return [*([f"written: {written}"] if written else []), *unwritten.values()]


def report_folder(config: "pytest.Config") -> str:
    """The folder of all reports; "" where none is named."""
    return str(config.getoption("spatius_report_dir") or "")


def _asked(config: "pytest.Config") -> bool:
    return bool(report_folder(config) or _given(config))


def _given(config: "pytest.Config") -> dict[str, str]:
    named = {name: config.getoption(f"spatius_report_{name}") for name in REPORT_FORMATS}
    return {name: path for name, path in named.items() if path}


def _paths(config: "pytest.Config") -> dict[str, Path]:
    from spatius_sim.reporting.formats.files import paths_of

    return paths_of(_given(config), report_folder(config))
