"""Writes reports to files: one file for each format that is asked for, or all formats into one folder."""

from collections.abc import Callable, Mapping
from pathlib import Path

from spatius_sim.files.write_whole_file import write_file_atomically
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.formats.badge import badge_json
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
    "badge": ("badge.json", lambda report, _: badge_json(report)),
}
"""The formats by name: the usual name of the file, and the function that makes the text."""


def choose_report_paths(chosen_paths: Mapping[str, str], folder: str) -> dict[str, Path]:
    """Return the path of the file for each report format: from `chosen_paths`, or else in the `folder`
    under the usual name. If there is no folder (""), return the chosen paths only."""
    in_folder = {name: Path(folder) / file for name, (file, _) in WRITERS.items()} if folder else {}
    return in_folder | {name: Path(path) for name, path in chosen_paths.items()}


def prepare_report_files(paths: Mapping[str, Path]) -> None:
    """Make the folders for the report files at `paths`, by format, and delete report files that are there
    already. Such a file holds the verdict of an older run, and this run may be stopped before it writes its
    own. Raises UsageError if a file cannot be written."""
    for format_name, path in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            if path.is_file() and not path.is_symlink():  # not /dev/stdout
                path.unlink()
        except OSError as error:
            raise UsageError(
                f"--report-{format_name} {str(path)!r} cannot be written: {error.strerror}"
            ) from error


def write_reports(paths: Mapping[str, Path], report: Report) -> dict[str, str]:
    """Write the report to a file in each of these formats; `paths` are the files by format. Return by format
    why a file could not be written: the other files are written in any case. Each file is written whole or
    not at all."""
    reason_by_format: dict[str, str] = {}
    for format_name, path in paths.items():
        try:
            _, make_text = WRITERS[format_name]
            write_file_atomically(path, make_text(report, path.parent))
        except OSError as error:
            reason_by_format[format_name] = f"{path} cannot be written: {error.strerror}"
    return reason_by_format
