"""What `spatius-sim verify` prints: the header, the progress, the failures and the verdicts."""

import sys
from collections.abc import Mapping

from rich.text import Text

from spatius_sim.engine.end_run import Ending
from spatius_sim.engine.judge_run import RuleResult
from spatius_sim.engine.run_header import header_lines
from spatius_sim.engine.run_request import RunRequest
from spatius_sim.reporting.formats.output_console import OutputConsole
from spatius_sim.reporting.formats.progress import ProgressLines
from spatius_sim.reporting.formats.text_report import print_run
from spatius_sim.reporting.lost_output import OUTPUT_LOST


class VerifyView:
    """Prints what happens while `verify` judges a subject, and how the run ended."""

    def __init__(self, request: RunRequest) -> None:
        """Prepare to print the run of `spatius-sim verify` that this request asks for. Nothing is printed
        yet."""
        self._request = request
        self._console = OutputConsole()
        self._progress = ProgressLines(self._print)
        self._failure_texts: dict[str, tuple[str, ...]] = {}
        self._output_error: OSError | None = None

    def run_begins(self, environment: Mapping[str, str], inspector: str) -> None:
        """Print the header of the run, and on a terminal start a live line that shows the progress.
        `environment`: the variables that the relay needs. `inspector`: the URL of the page with the
        sessions."""
        self._progress.set_scenario_counts(self._request.scenario_counts(self._request.rules))
        self._print(*header_lines(self._request, environment, inspector))
        if self._console.is_terminal:
            self._progress.start_live(sys.stdout)

    def show_rule_start(self, rule_id: str, number: int, total: int) -> None:
        """Print in the progress of `verify` which rule is judged next."""
        self._progress.show_rule_start(rule_id, number, total)

    def suspects_grow(self, suspects: Mapping[str, str]) -> None:
        """Print at once, in the progress of `verify`, which rules a scenario has broken."""
        self._progress.show_suspects(suspects)

    def show_rule_end(self, result: RuleResult) -> None:
        """Print how a rule was judged, in the progress of `verify`. If it failed, keep the text of the
        failure for the end of the run."""
        failure_text = "\n".join(result.complaints)
        self._progress.show_rule_end(result.outcomes, result.suspects, failure_text)
        if failure_text:
            self._failure_texts[result.outcomes[0].rule_id] = result.complaints

    def stop(self) -> None:
        """Remove the live line of progress that `verify` prints."""
        self._progress.stop()

    def print_ending(self, ending: Ending) -> None:
        """Print how the run of `verify` ended: the text of each failure, the verdicts and what follows from
        them, and which files were written. Raises OSError if this output, or an earlier line of the run,
        could not be written."""
        if self._output_error is not None:
            raise self._output_error
        if self._failure_texts:
            self._console.rule("FAILURES", characters="=", style="")
        for rule_id, texts in self._failure_texts.items():
            self._console.rule(Text(rule_id, style="bold red"), characters="_", style="red")
            self._print(*texts)
        self._console.rule("spatius-sim", characters="=", style="")
        print_run(self._console, ending.summaries, ending.code, self._request.doctor_command())
        self._print(*(f"spatius-sim: {line}" for line in ending.files))

    def _print(self, *lines: str) -> None:
        """Print these lines at once, without changes. If the output cannot be written any more, keep the
        error for `print_ending`, and print nothing from then on. An OSError for another reason is raised."""
        if self._output_error is not None:
            return
        try:
            for line in lines:
                self._console.out(line, highlight=False)
            sys.stdout.flush()
        except OSError as error:
            if error.errno not in OUTPUT_LOST:
                raise
            self._output_error = error
