"""Writes reports to files: one file for each format that is asked for, or all formats into one folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from spatius_sim.files.write_whole_file import write_whole
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.formats.badge import badge
from spatius_sim.reporting.formats.html_report import html_report
from spatius_sim.reporting.formats.json_report import json_report
from spatius_sim.reporting.formats.junit_report import junit_report
from spatius_sim.reporting.formats.markdown_report import markdown_report
from spatius_sim.reporting.report import Report

Writer = Callable[[Report, Path], str]
"""Returns the text of a report whose file will stand in this folder."""

WRITERS: dict[str, tuple[str, Writer]] = {
    "html": ("report.html", html_report),
    "json": ("report.json", lambda report, _: json_report(report)),
    "junit": ("junit.xml", lambda report, _: junit_report(report)),
    "markdown": ("summary.md", lambda report, _: markdown_report(report)),
    "badge": ("badge.json", lambda report, _: badge(report)),
}
"""The formats by name: the usual name of the file, and the function that makes the text."""


def paths_of(chosen_paths: Mapping[str, str], folder: str) -> dict[str, Path]:
    """Return the path of the file for each report format: from `chosen_paths`, or else in the `folder`
    under the usual name. If there is no folder (""), return the chosen paths only."""
    in_folder = {name: Path(folder) / file for name, (file, _) in WRITERS.items()} if folder else {}
    return in_folder | {name: Path(path) for name, path in chosen_paths.items()}


def make_folders_for(paths: Mapping[str, Path]) -> None:
    """Make the folders for the report files at `paths`, and delete report files that exist there: they hold
    the verdict of another run, and this run may be stopped early. Raises UsageError if a file cannot be
    written."""
    for name, path in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            if path.is_file() and not path.is_symlink():  # not /dev/stdout
                path.unlink()
        except OSError as error:
            raise UsageError(f"--report-{name} {str(path)!r} cannot be written: {error.strerror}") from error


def write_reports(paths: Mapping[str, Path], report: Report) -> dict[str, str]:
    """Write the report files: the report once in each of these formats. Return by format why a file could not
    be written; the other files are written in any case, and each file whole or not at all."""
    unwritten: dict[str, str] = {}
    for name, path in paths.items():
        try:
            _, make_text = WRITERS[name]
            write_whole(path, make_text(report, path.parent))
        except OSError as error:
            unwritten[name] = f"{path} cannot be written: {error.strerror}"
    return unwritten
