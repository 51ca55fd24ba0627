"""What `spatius-sim verify` prints: the header, the progress, the failures and the verdicts."""

import sys
from collections.abc import Mapping

from rich.text import Text

from spatius_sim.cli.common import OUTPUT_LOST
from spatius_sim.engine.end_run import Ending
from spatius_sim.engine.judge_run import RuleResult
from spatius_sim.engine.run_header import header_lines
from spatius_sim.engine.run_request import RunRequest
from spatius_sim.reporting.formats.output_console import OutputConsole
from spatius_sim.reporting.formats.progress import ProgressLines
from spatius_sim.reporting.formats.text_report import print_run


class VerifyView:
    """Prints what happens while `verify` judges a subject, and how the run ended."""

    def __init__(self, request: RunRequest) -> None:
        """Prepare to print what `verify` shows of this run."""
        self._request = request
        self._console = OutputConsole()
        self._progress = ProgressLines(self._print)
        self._complaints: dict[str, tuple[str, ...]] = {}
        self._output_lost: OSError | None = None

    def run_begins(self, environment: Mapping[str, str], inspector: str) -> None:
        """Print the header of the run, and start the live line of progress if this is a terminal."""
        self._progress.expect(self._request.scenario_counts(self._request.rules))
        self._print(*header_lines(self._request, environment, inspector))
        if self._console.is_terminal:
            self._progress.start_live(sys.stdout)

    def rule_begins(self, rule_id: str, number: int, total: int) -> None:
        """Print in the progress of `verify` which rule is judged next."""
        self._progress.rule_begins(rule_id, number, total)

    def suspects_grow(self, suspects: Mapping[str, str]) -> None:
        """Print at once, in the progress of `verify`, which rules a scenario has broken."""
        self._progress.show_suspects(suspects)

    def rule_ends(self, result: RuleResult) -> None:
        """Print the outcome of a rule in the progress of `verify`, and keep the text of its failure until the
        end of the run."""
        complaint = "\n".join(result.complaints)
        self._progress.rule_ends(result.outcomes, result.suspects, complaint)
        if complaint:
            self._complaints[result.outcomes[0].rule_id] = result.complaints

    def stop(self) -> None:
        """Remove the live line of progress that `verify` prints."""
        self._progress.stop()

    def print_ending(self, ending: Ending) -> None:
        """Print at the end of `verify` the failures, the verdicts, what the run claims, what to do next,
        and the files. Raises OSError if they cannot be printed."""
        if self._output_lost is not None:
            raise self._output_lost
        if self._complaints:
            self._console.rule("FAILURES", characters="=", style="")
        for rule_id, complaints in self._complaints.items():
            self._console.rule(Text(rule_id, style="bold red"), characters="_", style="red")
            self._print(*complaints)
        self._console.rule("spatius-sim", characters="=", style="")
        print_run(self._console, ending.summaries, ending.code, self._request.doctor_command())
        self._print(*(f"spatius-sim: {line}" for line in ending.files))

    def _print(self, *lines: str) -> None:
        """Print these lines of `verify` at once, and change nothing in them. If nobody can read the output
        any more, print nothing more, and remember the error for `print_ending`."""
        if self._output_lost is not None:
            return
        try:
            for line in lines:
                self._console.out(line, highlight=False)
            sys.stdout.flush()
        except OSError as error:
            if error.errno not in OUTPUT_LOST:
                raise
            self._output_lost = error
