"""Writes the reports that the options of a run ask for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatius_sim.engine.options import REPORT_OPTIONS
from spatius_sim.reporting.formats import files
from spatius_sim.reporting.report import Report

_PREFIX = "report-"
_FOLDER = "dir"


def report_paths(values: Mapping[str, Any]) -> dict[str, Path]:
    """Return the file of each report format that these values, by option name, ask for."""
    paths = {option.name.removeprefix(_PREFIX): values.get(option.name) for option in REPORT_OPTIONS}
    folder = paths.pop(_FOLDER) or ""
    return files.paths_of({name: path for name, path in paths.items() if path}, folder)


def write_reports(paths: Mapping[str, Path], report: Report) -> list[str]:
    """Write the report in each format. Return a line that names the files that were written, and a line for
    each file that could not be written."""
    unwritten = files.write_reports(paths, report)
    written = ", ".join(str(path) for name, path in paths.items() if name not in unwritten)
    return [*([f"written: {written}"] if written else []), *unwritten.values()]
