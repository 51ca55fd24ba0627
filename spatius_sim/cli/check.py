"""`spatius-sim check`: judges a tape."""

from pathlib import Path
from typing import Any

import click

from spatius_sim.cli.common import TAPE_OPTIONS, make_click_option, tape_argument
from spatius_sim.cli.print_output import print_lines, print_verdicts


def add_tape_options(command: click.Command) -> click.Command:
    """Add to a command every option of the commands that judge a tape, and return the command."""
    command.params.extend(make_click_option(option) for option in TAPE_OPTIONS)
    return command


@add_tape_options
@click.command()
@tape_argument
def check(tape_path: Path, **option_values: Any) -> int:
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
    from spatius_sim.reporting.formats.text_report import describe_failure, print_run
    from spatius_sim.reporting.formats.write_report_files import prepare_report_files, write_reports
    from spatius_sim.reporting.report import report_of
    from spatius_sim.reporting.summary import exit_code

    values = {option.name: option_values[option.field] for option in TAPE_OPTIONS}
    settings = settings_of_tapes(values, Path.cwd())
    paths = report_paths(settings.reports)
    prepare_report_files(paths)
    summaries = check_tape(tape_path, settings)
    code = exit_code(summaries)
    write_errors = write_reports(paths, report_of(summaries, code))

    def print_judgement() -> None:
        """Print what the judgement of the tape found: each failure, then the verdicts, then the reports that
        could not be written."""
        for outcome in (outcome for summary in summaries for outcome in summary.new_failures):
            if outcome.failure is not None:
                print_lines(describe_failure(outcome, outcome.failure))
        print_run(OutputConsole(), summaries, code)
        print_lines(*write_errors.values())

    print_verdicts(print_judgement)
    return int(code)
