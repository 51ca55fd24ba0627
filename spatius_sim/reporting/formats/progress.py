"""What is going on while a subject is judged: one live line on a terminal, plain lines elsewhere."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TextIO

from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict

if TYPE_CHECKING:
    from rich.live import Live

QUIET_SECONDS = 2.0
"""What takes no longer is not worth a word, and plain lines come no closer to each other."""

_REFRESH_PER_SECOND = 4
_WRONG = (Verdict.FAILED, Verdict.ERRORED)


class ProgressLines:
    """`write_line` writes a plain line. A live line needs a `start_live` with a terminal, and no NO_COLOR in
    the environment."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._began = time.monotonic()
        self._last_line = -QUIET_SECONDS
        self._place = ""
        self._rule = ""
        self._settled: set[str] = set()
        self._live: Live | None = None

    def start_live(self, screen: TextIO) -> None:
        """Keep one line on this terminal up to date, until `stop`."""
        if os.environ.get("NO_COLOR"):
            return
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            get_renderable=self._progress_line,
            console=Console(file=screen, force_terminal=True, highlight=False),
            transient=True,
            refresh_per_second=_REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def stop(self) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()

    def rule_begins(self, rule_id: str, number: int, total: int) -> None:
        """Say that a rule is under way: `number` (from 1) of `total`, which is 0 if it is not known."""
        self._rule = rule_id
        self._place = f"{min(number, total)} of {total}, " if total else ""
        if self._live is None and self._seconds_elapsed - self._last_line >= QUIET_SECONDS:
            self._last_line = self._seconds_elapsed
            self._write_line(self._progress_line())

    def rule_ends(
        self, outcomes: Iterable[RuleOutcome], suspects: Mapping[str, str], complaint: str = ""
    ) -> None:
        """Tell at once what failed; it is explained at the end. What was broken under another rule's turn
        (`suspects`) waits for its own, and is told before. `complaint` is why the item of the rule failed, ""
        if it did not."""
        outcomes = list(outcomes)
        self._settled |= {outcome.rule_id for outcome in outcomes}
        for rule_id, actual in suspects.items():
            if rule_id not in self._settled:
                self._settled.add(rule_id)
                self._print_progress(f"broken already, to be judged: {rule_id}: {actual}")
        if not complaint:
            return
        wrong = [outcome for outcome in outcomes if outcome.verdict in _WRONG or outcome.failure is not None]
        for outcome in wrong:
            why = outcome.reason if outcome.failure is None else outcome.failure.actual
            self._print_progress(f"{outcome.verdict} {outcome.rule_id}: {why}")
        if not wrong:
            self._print_progress(f"FAILED {self._rule}: {complaint.splitlines()[-1]}")

    def _print_progress(self, told: str) -> None:
        """Write a line that stays, with the time."""
        line = f"{told} ({self._seconds_elapsed:.0f} s)"
        if self._live is None:
            self._write_line(line)
        else:
            from rich.text import Text

            self._live.console.print(Text(line, style="bold red"))

    @property
    def _seconds_elapsed(self) -> float:
        return time.monotonic() - self._began

    def _progress_line(self) -> str:
        if self._live is not None and self._seconds_elapsed < QUIET_SECONDS:
            return ""
        return (
            f"judging {self._rule} ({self._place}{self._seconds_elapsed:.0f} s)" if self._rule else "judging"
        )
