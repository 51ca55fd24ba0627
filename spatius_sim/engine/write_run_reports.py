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
    """Return the file of each report, by format, that these options, by name, ask for."""
    paths = {option.name.removeprefix(_PREFIX): values.get(option.name) for option in REPORT_OPTIONS}
    folder = paths.pop(_FOLDER) or ""
    return write_report_files.choose_report_paths(
        {name: path for name, path in paths.items() if path}, folder
    )


def occasion_of(clock: SteadyClock, front: str, typed: str) -> Occasion:
    """Return when and how a run was made, for all reports of the run: when the run began (by its clock), how
    long it took until now, its command, and the git commit. `front` is the command that was called, such as
    `spatius-sim verify`; `typed` are its options without secrets."""
    return Occasion(
        began=datetime.fromtimestamp(clock.started, UTC).isoformat(timespec="seconds"),
        seconds=round(clock.now() - clock.started, 1),
        command=f"{front} {typed}".strip(),
        commit=_commit_here(),
    )


def _commit_here() -> str:
    """Return the git commit of the working directory, which the reports name; "-dirty" follows if files
    differ from the commit. Return "" if there is no commit, or no git."""
    try:
        head = _ask_git("rev-parse", "HEAD")
        return head and head + ("-dirty" if _ask_git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _ask_git(*arguments: str) -> str:
    """Run git with these arguments, for what the reports say of the commit, and return what git prints; "" if
    git refuses. Raises OSError or SubprocessError if git cannot be started or takes too long."""
    finished = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_GIT_SECONDS,
        check=False,
    )
    return finished.stdout.strip() if finished.returncode == 0 else ""


def write_run_reports(paths: Mapping[str, Path], report: Report) -> list[str]:
    """Write the report of a run in each format. Return a line that names the files that were written, and a
    line for each file that could not be written."""
    unwritten = write_report_files.write_reports(paths, report)
    written = ", ".join(str(path) for name, path in paths.items() if name not in unwritten)
    return [*([f"written: {written}"] if written else []), *unwritten.values()]
