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
    stopped_early: Callable[[ExitCode], StoppedEarly | None],
    baseline: RunBaseline | None,
    reports: Mapping[str, Path],
    unwritten: Sequence[str] = (),
    occasion: Callable[[], Occasion] = Occasion,
) -> Ending:
    """End a run: write its reports, and return its ending. The baseline is updated first, if the user asks
    for that and the run was not stopped early.

    `stopped_early` takes the exit code that the verdicts mean, and returns why the run was stopped early, or
    None. `unwritten` are lines about files that could not be written. `occasion` returns when and how the run
    was made; it is called only if reports are written."""
    files = list(dict.fromkeys(unwritten))
    if baseline is not None:
        if stopped_early(exit_code(summaries)) is None:
            files.append(baseline.update(summaries[0]))  # What else was judged has no baseline.
        summaries = baseline.review(summaries)
    early_end = stopped_early(exit_code(summaries))
    if early_end is not None:
        summaries = [replace(summary, stopped_early=early_end) for summary in summaries]
    code = exit_code(summaries) if early_end is None else early_end.code
    if reports:
        files += write_run_reports(reports, report_of(summaries, code, occasion()))
    return Ending(tuple(summaries), code, tuple(filter(None, files)))
