"""Writes the reports that the options of a run ask for."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spatius_sim.engine.option_table import REPORT_OPTIONS
from spatius_sim.net.steady_clock import SteadyClock
from spatius_sim.reporting.formats import write_report_files
from spatius_sim.reporting.report import Occasion, Report

_GIT_SECONDS = 5
_PREFIX = "report-"
_FOLDER = "dir"


def report_paths(values: Mapping[str, Any]) -> dict[str, Path]:
    """Return the file to write for each report that the user asked for, by format. `values` are options by
    name: `report-FORMAT` names a file for one format, and `report-dir` a folder for all formats."""
    path_by_format = {option.name.removeprefix(_PREFIX): values.get(option.name) for option in REPORT_OPTIONS}
    folder = path_by_format.pop(_FOLDER) or ""
    return write_report_files.choose_report_paths(
        {name: path for name, path in path_by_format.items() if path}, folder
    )


def make_occasion(clock: SteadyClock, command: str, typed_options: str) -> Occasion:
    """Return when and how a run was made, for its reports: when it began, how long it took until now, its
    command line, and the git commit. The run began when `clock` was started. `command` is such as
    `spatius-sim verify`; `typed_options` are the options after it, without secrets."""
    return Occasion(
        began=datetime.fromtimestamp(clock.started, UTC).isoformat(timespec="seconds"),
        seconds=round(clock.now() - clock.started, 1),
        command=f"{command} {typed_options}".strip(),
        commit=_find_commit_for_reports(),
    )


def _find_commit_for_reports() -> str:
    """Return what the reports of a run say of the git commit in the working directory: its hash, followed by
    "-dirty" if files differ from this commit. Return "" if there is no commit, or no git."""
    try:
        commit_hash = _ask_git("rev-parse", "HEAD")
        changed_files = _ask_git("status", "--porcelain", "-uno") if commit_hash else ""
        return f"{commit_hash}-dirty" if changed_files else commit_hash
    except (OSError, subprocess.SubprocessError):
        return ""


def _ask_git(*arguments: str) -> str:
    """Run git with these arguments, to learn the commit that the reports name. Return what git prints; "" if
    it ends with an error. Raises OSError if git cannot be started, and SubprocessError if it takes too
    long."""
    finished = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_GIT_SECONDS,
        check=False,
    )
    return finished.stdout.strip() if finished.returncode == 0 else ""


def write_run_reports(path_by_format: Mapping[str, Path], report: Report) -> list[str]:
    """Write the report of a run to a file in each format. Return a line that names the files that were
    written, if there are any, and a line for each file that could not be written."""
    error_by_format = write_report_files.write_reports(path_by_format, report)
    written = ", ".join(str(path) for name, path in path_by_format.items() if name not in error_by_format)
    return [*([f"written: {written}"] if written else []), *error_by_format.values()]
