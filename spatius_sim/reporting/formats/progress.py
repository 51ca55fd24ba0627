"""Shows how far a run is while a subject is judged: by one live line on a terminal, by plain lines
elsewhere."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TextIO

from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict

if TYPE_CHECKING:
    from rich.live import Live

QUIET_SECONDS = 2.0
"""A run that takes less time shows no progress, and plain lines are at least so far apart."""

_REFRESH_PER_SECOND = 4
_ENOUGH_WORK = 0.1
"""After this share of the scenarios the time that is left can be guessed."""
_BAD_VERDICTS = (Verdict.FAILED, Verdict.ERRORED)


class ProgressLines:
    """Shows progress by calling `write_line` for each plain line. After `start_live` a live line takes the
    place of the plain lines, unless NO_COLOR is set in the environment."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        """Begin to show progress before the first rule of a run; `write_line` is called with each plain line.
        There is no live line yet."""
        self._write_line = write_line
        self._began = time.monotonic()
        self._last_line = -QUIET_SECONDS
        self._number_of_total = ""
        self._scenarios_by_rule: Mapping[str, int] = {}
        self._done, self._done_at = 0, self._began
        self._rule = ""
        self._reported: set[str] = set()
        self._live_display: Live | None = None

    def expect(self, scenarios: Mapping[str, int]) -> None:
        """Take for the estimate of the time that is left how many scenarios each rule adds to this run, by
        rule id, in the order in which the rules are judged."""
        self._scenarios_by_rule = scenarios

    def start_live(self, screen: TextIO) -> None:
        """Keep one line of progress on this terminal up to date until `stop` is called. With NO_COLOR in
        the environment, do nothing."""
        if os.environ.get("NO_COLOR"):
            return
        from rich.console import Console
        from rich.live import Live

        self._live_display = Live(
            get_renderable=self._describe_progress,
            console=Console(file=screen, force_terminal=True, highlight=False),
            transient=True,
            refresh_per_second=_REFRESH_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live_display.start()

    def stop(self) -> None:
        """Remove the live line."""
        if self._live_display is not None:
            self._live_display.stop()

    def rule_begins(self, rule_id: str, number: int, total: int) -> None:
        """Show as progress that a rule is being judged: `number` (from 1) of `total`, which is 0 if it is
        not known. A plain line is left out if the last one is less than QUIET_SECONDS old."""
        self._rule = rule_id
        self._done = sum(list(self._scenarios_by_rule.values())[: number - 1])
        self._done_at = time.monotonic()
        self._number_of_total = f"{min(number, total)} of {total}, " if total else ""
        if self._live_display is None and self._seconds_elapsed - self._last_line >= QUIET_SECONDS:
            self._last_line = self._seconds_elapsed
            self._write_line(self._describe_progress())

    def show_suspects(self, suspects: Mapping[str, str]) -> None:
        """Print at once a line of progress for each rule that a scenario has broken although it is not judged
        yet, with what happened. Each rule gets such a line only once in a run."""
        for rule_id, actual in suspects.items():
            if rule_id not in self._reported:
                self._reported.add(rule_id)
                self._print_progress(f"broken already, to be judged: {rule_id}: {actual}")

    def rule_ends(
        self, outcomes: Iterable[RuleOutcome], suspects: Mapping[str, str], complaint: str = ""
    ) -> None:
        """Show in the lines of progress which rules failed when one rule was judged. The explanations are
        printed at the end of the run.

        `suspects` are rules that were broken while another rule was judged, each with what happened; each is
        shown only once. `complaint` says why the test item of the judged rule failed; "" if it did not
        fail."""
        outcomes = list(outcomes)
        self._reported |= {outcome.rule_id for outcome in outcomes}
        self.show_suspects(suspects)
        if not complaint:
            return
        bad_outcomes = [
            outcome for outcome in outcomes if outcome.verdict in _BAD_VERDICTS or outcome.failure is not None
        ]
        for outcome in bad_outcomes:
            why = outcome.reason if outcome.failure is None else outcome.failure.actual
            self._print_progress(f"{outcome.verdict} {outcome.rule_id}: {why}")
        if not bad_outcomes:
            self._print_progress(f"FAILED {self._rule}: {complaint.splitlines()[-1]}")

    def _print_progress(self, text: str) -> None:
        """Write a line of progress that stays on the screen, with the seconds since the run began."""
        line = f"{text} ({self._seconds_elapsed:.0f} s)"
        if self._live_display is None:
            self._write_line(line)
        else:
            from rich.text import Text

            self._live_display.console.print(Text(line, style="bold red"))

    @property
    def _seconds_elapsed(self) -> float:
        return time.monotonic() - self._began

    def _describe_progress(self) -> str:
        """Return the text of the progress display, in one line: the rule that is being judged, its number
        among all, and the seconds that have passed and may be left. In the first seconds, the text of a live
        display (one line on a terminal that is drawn again and again) is ""."""
        if self._live_display is not None and self._seconds_elapsed < QUIET_SECONDS:
            return ""
        elapsed = self._seconds_elapsed
        total = sum(self._scenarios_by_rule.values())
        left = seconds_left(self._done, total, self._done_at - self._began, elapsed)
        rest = f", some {left:.0f} s left" if left else ""
        return (
            f"judging {self._rule} ({self._number_of_total}{elapsed:.0f} s{rest})"
            if self._rule
            else "judging"
        )


def seconds_left(done: int, total: int, seconds: float, elapsed: float) -> float:
    """Return how many seconds a run may still take, to be shown as progress: the other scenarios may take as
    long as those that are done. `done` of `total` scenarios took `seconds`; since then the run has gone on,
    and `elapsed` seconds have passed in all. 0 if too little is done to estimate this."""
    if done < _ENOUGH_WORK * total or done >= total:
        return 0.0
    return max(1.0, seconds / done * total - elapsed)
