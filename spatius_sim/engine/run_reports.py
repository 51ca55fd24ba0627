"""The reports that a run writes, by the values of its options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatius_sim.engine.options import REPORT_OPTIONS
from spatius_sim.reporting.formats import files
from spatius_sim.reporting.report import Report

_PREFIX = "report-"
_FOLDER = "dir"


def report_paths(values: Mapping[str, Any]) -> dict[str, Path]:
    """The file of each format that is asked for, by the values of options, by name."""
    asked = {option.name.removeprefix(_PREFIX): values.get(option.name) for option in REPORT_OPTIONS}
    folder = asked.pop(_FOLDER) or ""
    return files.paths_of({name: path for name, path in asked.items() if path}, folder)


def write_reports(paths: Mapping[str, Path], report: Report) -> list[str]:
    """Write the report in each format; say in a line which files were written, and in one line each which
    could not be."""
    unwritten = files.write_reports(paths, report)
    written = ", ".join(str(path) for name, path in paths.items() if name not in unwritten)
    return [*([f"written: {written}"] if written else []), *unwritten.values()]
