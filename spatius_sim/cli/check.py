"""`spatius-sim check`: judges a tape."""

from pathlib import Path
from typing import Any

import click

from spatius_sim.cli.common import TAPE_OPTIONS, as_click, tape_argument
from spatius_sim.cli.print_output import print_lines, print_verdicts


def check_options(command: click.Command) -> click.Command:
    """Give a command every option that concerns tapes, and return it."""
    command.params.extend(as_click(option) for option in TAPE_OPTIONS)
    return command


@check_options
@click.command()
@tape_argument
def check(tape_path: Path, **given: Any) -> int:
    """Judge what is on TAPE by every rule that it can exercise.

    What is not said here stands in conformance.yaml, in the working directory. A tape is not a whole run: an
    entry of the baseline that passes here may stay.

    \b
    Exit codes:
      0  no rule was broken, and at least one was kept
      1  a rule was broken
      4  this is not a whole tape
      5  no rule was exercised, or none of those that were named
    """
    from spatius_sim.engine.tapes.check_tape import check_tape
    from spatius_sim.engine.tapes.tape_settings import settings_of_tapes
    from spatius_sim.engine.write_run_reports import report_paths
    from spatius_sim.reporting.formats.output_console import OutputConsole
    from spatius_sim.reporting.formats.text_report import failure_text, print_run
    from spatius_sim.reporting.formats.write_report_files import make_folders_for, write_reports
    from spatius_sim.reporting.report import report_of
    from spatius_sim.reporting.summary import exit_code

    settings = settings_of_tapes({option.name: given[option.field] for option in TAPE_OPTIONS}, Path.cwd())
    paths = report_paths(settings.reports)
    make_folders_for(paths)
    summaries = check_tape(tape_path, settings)
    code = exit_code(summaries)
    unwritten = write_reports(paths, report_of(summaries, code))

    def print_all() -> None:
        """Print what the command `check` found on the tape: the failures, the verdicts, and which reports
        could not be written."""
        for outcome in (outcome for summary in summaries for outcome in summary.new_failures):
            if outcome.failure is not None:
                print_lines(failure_text(outcome, outcome.failure))
        print_run(OutputConsole(), summaries, code)
        print_lines(*unwritten.values())

    print_verdicts(print_all)
    return int(code)
