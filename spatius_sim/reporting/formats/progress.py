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

_REFRESHES_PER_SECOND = 4
_SHARE_TO_ESTIMATE = 0.1
"""After this share of the scenarios the time that is left can be guessed."""
_BAD_VERDICTS = (Verdict.FAILED, Verdict.ERRORED)


class ProgressLines:
    """Shows progress by calling `write_line` for each plain line. After `start_live` a live line takes the
    place of the plain lines, unless NO_COLOR is set in the environment."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        """Begin to show the progress of a run, before its first rule; `write_line` is called with each plain
        line. There is no live line yet (a line on the terminal that is drawn again and again)."""
        self._write_line = write_line
        self._began_at = time.monotonic()
        self._last_line_at_seconds = -QUIET_SECONDS
        self._position_text = ""
        self._scenario_count_by_rule_id: Mapping[str, int] = {}
        self._done_count, self._done_at = 0, self._began_at
        self._rule_id = ""
        self._reported_rule_ids: set[str] = set()
        self._live_display: Live | None = None

    def set_scenario_counts(self, scenario_count_by_rule_id: Mapping[str, int]) -> None:
        """Set how many scenarios each rule adds to this run, by rule id, in the order in which the rules are
        judged. With these counts the time that is left is estimated."""
        self._scenario_count_by_rule_id = scenario_count_by_rule_id

    def start_live(self, screen: TextIO) -> None:
        """Show progress in one line of this terminal, and draw the line again and again until `stop` is
        called. With NO_COLOR in the environment, do nothing."""
        if os.environ.get("NO_COLOR"):
            return
        from rich.console import Console
        from rich.live import Live

        self._live_display = Live(
            get_renderable=self._describe_progress,
            console=Console(file=screen, force_terminal=True, highlight=False),
            transient=True,
            refresh_per_second=_REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live_display.start()

    def stop(self) -> None:
        """Remove the live line."""
        if self._live_display is not None:
            self._live_display.stop()

    def show_rule_start(self, rule_id: str, number: int, total: int) -> None:
        """Show as progress that a rule is being judged. It is the rule with this `number` (from 1) of `total`
        rules; `total` is 0 if it is not known. If there is no live line, which is drawn again and again,
        write a plain line, but at most one in QUIET_SECONDS."""
        self._rule_id = rule_id
        self._done_count = sum(list(self._scenario_count_by_rule_id.values())[: number - 1])
        self._done_at = time.monotonic()
        self._position_text = f"{min(number, total)} of {total}, " if total else ""
        if self._live_display is None and self._seconds_elapsed - self._last_line_at_seconds >= QUIET_SECONDS:
            self._last_line_at_seconds = self._seconds_elapsed
            self._write_line(self._describe_progress())

    def show_suspects(self, suspects: Mapping[str, str]) -> None:
        """Print a line of progress for each rule that a scenario of another rule has broken, before its own
        scenarios are run. `suspects` says by rule id what happened. Each rule gets only one such line in a
        run."""
        for rule_id, actual in suspects.items():
            if rule_id not in self._reported_rule_ids:
                self._reported_rule_ids.add(rule_id)
                self._print_progress(f"broken already, to be judged: {rule_id}: {actual}")

    def show_rule_end(
        self, outcomes: Iterable[RuleOutcome], suspects: Mapping[str, str], complaint: str = ""
    ) -> None:
        """Show in lines of progress which rules failed while one rule was judged. The explanations are
        printed only at the end of the run.

        `outcomes` are the results of the judging. `suspects` says by rule id which other rules look broken,
        and what happened. `complaint` is the error text of the judged rule; "" if there is none."""
        outcomes = list(outcomes)
        self._reported_rule_ids |= {outcome.rule_id for outcome in outcomes}
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
            self._print_progress(f"FAILED {self._rule_id}: {complaint.splitlines()[-1]}")

    def _print_progress(self, text: str) -> None:
        """Print a line of progress that stays on the screen, with the seconds since the run began. If there
        is a live line, the printed line is red, because it says that something failed."""
        line = f"{text} ({self._seconds_elapsed:.0f} s)"
        if self._live_display is None:
            self._write_line(line)
        else:
            from rich.text import Text

            self._live_display.console.print(Text(line, style="bold red"))

    @property
    def _seconds_elapsed(self) -> float:
        return time.monotonic() - self._began_at

    def _describe_progress(self) -> str:
        """Return the line that shows the progress of a run. It tells the rule that is being judged, its
        number among all, and the seconds that have passed and may be left. For a live line, which is drawn
        again and again, return "" in the first seconds."""
        if self._live_display is not None and self._seconds_elapsed < QUIET_SECONDS:
            return ""
        elapsed = self._seconds_elapsed
        total_count = sum(self._scenario_count_by_rule_id.values())
        done_seconds = self._done_at - self._began_at
        left = estimate_seconds_left(self._done_count, total_count, done_seconds, elapsed)
        left_text = f", some {left:.0f} s left" if left else ""
        return (
            f"judging {self._rule_id} ({self._position_text}{elapsed:.0f} s{left_text})"
            if self._rule_id
            else "judging"
        )


def estimate_seconds_left(
    done_count: int, total_count: int, done_seconds: float, elapsed_seconds: float
) -> float:
    """Return how many seconds a run may still take, to be shown as progress. `done_count` of `total_count`
    scenarios took `done_seconds`, and the others are taken to be as slow. `elapsed_seconds` have passed since
    the run began. Return 0 if too little is done to estimate this, or if all is done."""
    if done_count < _SHARE_TO_ESTIMATE * total_count or done_count >= total_count:
        return 0.0
    return max(1.0, done_seconds / done_count * total_count - elapsed_seconds)
