"""Ends a run. The ending is worked out once: the exit code, the text at the end and every report follow from
it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spatius_sim.engine.run_baseline import RunBaseline
from spatius_sim.engine.write_run_reports import write_run_reports
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.reporting.report import Occasion, report_of
from spatius_sim.reporting.summary import StoppedEarly, Summary, exit_code


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: its summaries, its exit code, and a line about each file that was or was not
    written."""

    summaries: tuple[Summary, ...]
    code: ExitCode
    files: tuple[str, ...] = ()


def end_run(
    summaries: Sequence[Summary],
    find_early_end: Callable[[ExitCode], StoppedEarly | None],
    baseline: RunBaseline | None,
    path_by_format: Mapping[str, Path],
    unwritten: Sequence[str] = (),
    make_occasion: Callable[[], Occasion] = Occasion,
) -> Ending:
    """End a run: write its reports to `path_by_format`, and return its ending. First update the baseline (the
    list of known failures) if the user asks for that and the run was not stopped early.

    `find_early_end` is called with the exit code that follows from the verdicts. It returns why the run was
    stopped early; None if it was not. `unwritten` are lines about files that could not be written.
    `make_occasion` returns when and how the run was made; it is called only if reports are written."""
    lines_about_files = list(dict.fromkeys(unwritten))
    if baseline is not None:
        if find_early_end(exit_code(summaries)) is None:
            lines_about_files.append(baseline.update(summaries[0]))  # Only the first subject has a baseline.
        summaries = baseline.review(summaries)
    early_end = find_early_end(exit_code(summaries))
    if early_end is not None:
        summaries = [replace(summary, stopped_early=early_end) for summary in summaries]
    code = exit_code(summaries) if early_end is None else early_end.code
    if path_by_format:
        lines_about_files += write_run_reports(path_by_format, report_of(summaries, code, make_occasion()))
    return Ending(tuple(summaries), code, tuple(filter(None, lines_about_files)))
