"""`spatius-sim simulate`: how an avatar behaves over modelled networks, before it is built."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spatius_sim.cli.common import seed_option
from spatius_sim.cli.print_output import print_lines
from spatius_sim.reporting.exit_code import ExitCode

if TYPE_CHECKING:
    from spatius_sim.study.run_study import Outcome
    from spatius_sim.study.study_definition import Study


@click.command()
@click.argument("study_path", metavar="FILE", required=False, type=click.Path(path_type=Path))
@click.option("--example", is_flag=True, help="Print a study to begin with.")
@click.option("--turns", type=click.IntRange(1, 100_000), help="Turns in each cell; default: the study's.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that share the turns.",
)
@click.option(
    "--calibrate",
    metavar="TAPE",
    type=click.Path(path_type=Path),
    help="Take Motion Server's pace from a tape.",
)
@click.option("--report-dir", type=click.Path(path_type=Path), help="Write study.json and study.html there.")
@seed_option
def simulate(
    study_path: Path | None,
    example: bool,
    turns: int | None,
    jobs: int,
    calibrate: Path | None,
    report_dir: Path | None,
    seed: int,
) -> int:
    """Simulate the study in FILE: turns over networks, with TCP, in seconds.

    Ends with 1 if a budget is exceeded or a rule broken, 6 if the turns do not decide a budget."""
    from dataclasses import replace

    from spatius_sim.protocol.errors import UsageError
    from spatius_sim.study.run_study import run_study
    from spatius_sim.study.study_file import EXAMPLE, read_study

    if example:
        sys.stdout.write(EXAMPLE.read_text(encoding="utf-8"))
        return ExitCode.PASSED
    if study_path is None:
        raise UsageError("FILE is missing: spatius-sim simulate --example > study.yaml writes one")
    study = read_study(study_path)
    if turns is not None:
        study = replace(study, turns=turns)
    if calibrate is not None:
        study = _use_pace_of_tape(study, calibrate)
    if report_dir is not None:
        try:
            report_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--report-dir {str(report_dir)!r} cannot be made: {error.strerror}") from error
    outcome = run_study(study, seed, jobs, _make_progress_printer())
    _print_tables(outcome)
    if report_dir is not None:
        print_lines("", *_write_study_files(outcome, report_dir))
    return exit_code(outcome)


def _use_pace_of_tape(study: "Study", tape_path: Path) -> "Study":
    """Read from a tape how fast its Motion Server answered, and print this pace. Its `lead`: motion was sent
    at most so many seconds before its playback was due; negative if no motion was held back. Return the study
    with this pace in all its policies (the ways to set up an avatar that it compares)."""
    from dataclasses import replace

    from spatius_sim.study.calibrate_pace import fit_pace

    pace = fit_pace(tape_path)
    lead_in_words = f"{pace.lead:g} s ahead at most" if pace.lead >= 0 else "never kept back"
    print_lines(
        f"Motion Server on the tape: first response after {pace.latency:g} s, up to {pace.jitter:g} s more, "
        f"{lead_in_words} ({pace.requests} requests)"
    )
    policies = {
        name: replace(pipeline, motion_latency=pace.latency, motion_jitter=pace.jitter, motion_lead=pace.lead)
        for name, pipeline in study.policies.items()
    }
    return replace(study, policies=policies)


def exit_code(outcome: "Outcome") -> ExitCode:
    """Return the exit code of `spatius-sim simulate` for this outcome of a study: INTERRUPTED before its end;
    RULE_FAILED if a budget (a limit) was exceeded or a rule broken; UNREACHABLE, whose number 6 stands here
    for "inconclusive", if the turns do not decide whether a budget was kept; otherwise PASSED."""
    from spatius_sim.study.study_definition import BudgetVerdict

    if not outcome.complete:
        return ExitCode.INTERRUPTED
    if BudgetVerdict.FAILED in outcome.verdicts or any(judged.broken for judged in outcome.judged):
        return ExitCode.RULE_FAILED
    if BudgetVerdict.INCONCLUSIVE in outcome.verdicts:
        return ExitCode.UNREACHABLE
    return ExitCode.PASSED


def _write_study_files(outcome: "Outcome", folder: Path) -> list[str]:
    """Write what a study found into a folder: as JSON to study.json, and as a page to study.html. Return a
    line for each of the two files: its path, or why it could not be written. No file is left half written."""
    from spatius_sim.files.write_whole_file import write_file_atomically
    from spatius_sim.study.study_json import json_report
    from spatius_sim.study.study_page import make_study_page

    lines = []
    for name, text in (("study.json", json_report(outcome)), ("study.html", make_study_page(outcome))):
        path = folder / name
        try:
            write_file_atomically(path, text)
            lines.append(str(path))
        except OSError as error:
            lines.append(f"{path} cannot be written: {error.strerror}")
    return lines


def _make_progress_printer() -> Callable[[int, int], None]:
    """Return a function that prints the progress of the simulation on stderr; it takes the number of
    simulated turns and the number of all turns. If stderr is no terminal, the function does nothing."""
    if not sys.stderr.isatty():
        return lambda done_count, total_count: None
    started_at = time.monotonic()

    def print_progress(done_count: int, total_count: int) -> None:
        """Overwrite the line of progress: how many turns are simulated, and how many seconds the others will
        take. After the last turn, clear the line."""
        seconds_per_turn = (time.monotonic() - started_at) / done_count
        seconds_left = seconds_per_turn * (total_count - done_count)
        line = f"{done_count} of {total_count} turns, {seconds_left:.0f} s to go"
        shown_line = line if done_count < total_count else ""
        sys.stderr.write(f"\r{shown_line:60}\r")
        sys.stderr.flush()

    return print_progress


def _print_tables(outcome: "Outcome") -> None:
    """Print what the simulation found: first the answer in words, then a table of the figures. After it print
    what would help, the budgets that are not kept, and the rules that turns broke."""
    from rich.table import Table

    from spatius_sim.reporting.formats.output_console import OutputConsole
    from spatius_sim.study.answer_in_words import (
        SHOWN,
        describe_budgets_not_kept,
        format_amount,
        summarize_outcome,
    )
    from spatius_sim.study.study_figures import FIGURES

    console = OutputConsole(highlight=False, width=None if sys.stdout.isatty() else 160)
    print_lines(summarize_outcome(outcome), "")
    table = Table(box=None, pad_edge=False)
    table.add_column("network", no_wrap=True)
    table.add_column("policy", no_wrap=True)
    for key in SHOWN:
        table.add_column(FIGURES[key].title, justify="right")
    for simulated in outcome.cells:
        figures = (format_amount(simulated.figures[key].value, FIGURES[key].unit) for key in SHOWN)
        table.add_row(simulated.cell.network.name, simulated.cell.name, *figures)
    console.print(table)
    first_policy = next(iter(outcome.study.policies))
    for network, helps in outcome.helps.items():
        heading = f"What would help {first_policy} on {network}, by the seconds of trouble saved in a turn:"
        print_lines("", heading)
        for help_ in helps:
            print_lines(f"  {help_.saved.value:+6.2f} s  {help_.change}")
    print_lines(*(line for line in ("", *describe_budgets_not_kept(outcome))))
    if outcome.judged:
        turn_count = sum(len(judged.turns) for judged in outcome.judged)
        broken = [line for judged in outcome.judged for line in judged.broken]
        print_lines(f"{turn_count} turns were also judged whole; rules broken: {len(broken)}", *broken[:20])
    if not outcome.complete:
        print_lines("Interrupted: the figures are those of the turns that were simulated by then.")
