"""What is going on, while a subject is judged: one live line on a terminal, plain lines elsewhere."""

import os
import time
from typing import TYPE_CHECKING, TextIO

import pytest

from spatius_sim.pytest_plugin.outcomes import outcomes_of, rule_in, suspects_of

if TYPE_CHECKING:
    from rich.live import Live

    from spatius_sim.reporting.summary import RuleOutcome

QUIET_SECONDS = 2.0
"""What takes no longer is not worth a word, and plain lines come no closer to each other."""

_REFRESH_PER_SECOND = 4
_WRONG = ("FAILED", "ERRORED")


class Progress:
    """Takes the place of pytest's dots where every item judges a rule. A live line wants a terminal, and no
    NO_COLOR in the environment."""

    def __init__(self, reporter: "pytest.TerminalReporter") -> None:
        self._reporter = reporter
        self._began = time.monotonic()
        self._told = -QUIET_SECONDS
        self._total = self._done = 0
        self._rule = ""
        self._settled: set[str] = set()
        self._live: Live | None = None
        self._screen: TextIO | None = None
        reporter.showfspath = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How many rules there are."""
        self._total = len(session.items)

    def pytest_runtestloop(self) -> None:
        """The first line."""
        if self._reporter.isatty and not os.environ.get("NO_COLOR"):
            from rich.console import Console
            from rich.live import Live

            # pytest captures what is written while an item runs: a descriptor of our own is not caught.
            self._screen = os.fdopen(os.dup(self._reporter._tw._file.fileno()), "w", encoding="utf-8")
            console = Console(file=self._screen, force_terminal=True, highlight=False)
            self._live = Live(
                get_renderable=self._line,
                console=console,
                transient=True,
                refresh_per_second=_REFRESH_PER_SECOND,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A rule is under way."""
        self._rule = rule_in(nodeid)
        if self._live is None and self._seconds - self._told >= QUIET_SECONDS:
            self._told = self._seconds
            self._reporter.write_line(self._line())

    def pytest_runtest_logfinish(self) -> None:
        """A rule was judged."""
        self._done += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What failed is told at once, and explained at the end; what was broken under another rule's turn
        waits for its own, and is told before."""
        if report.when != "call":
            return
        judged = [outcome for *_, outcome in outcomes_of(report)]
        self._settled |= {outcome.rule_id for outcome in judged}
        for rule_id, actual in suspects_of(report).items():
            if rule_id not in self._settled:
                self._settled.add(rule_id)
                self._tell(f"broken already, to be judged: {rule_id}: {actual} ({self._seconds:.0f} s)")
        if report.failed:
            self._tell_failures(report, judged)

    def _tell_failures(self, report: pytest.TestReport, judged: "list[RuleOutcome]") -> None:
        wrong = [outcome for outcome in judged if outcome.verdict in _WRONG or outcome.failure is not None]
        for outcome in wrong:
            told = outcome.reason if outcome.failure is None else outcome.failure.actual
            self._tell(f"{outcome.verdict} {outcome.rule_id}: {told} ({self._seconds:.0f} s)")
        if not wrong:
            self._tell(f"FAILED {self._rule}: {report.longreprtext.splitlines()[-1]}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots: the verdicts follow at the end."""
        if report.when != "call" or hasattr(report, "wasxfail"):
            return ("xfailed", "", "") if report.when == "call" and report.skipped else None
        return report.outcome, "", ""

    def pytest_sessionfinish(self) -> None:
        """The live line goes."""
        if self._live is not None:
            self._live.stop()
        if self._screen is not None:
            self._screen.close()

    def _tell(self, line: str) -> None:
        """A line that stays."""
        if self._live is None:
            self._reporter.write_line(line)
        else:
            from rich.text import Text

            self._live.console.print(Text(line, style="bold red"))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _line(self) -> str:
        if self._live is not None and self._seconds < QUIET_SECONDS:
            return ""
        place = f"{min(self._done + 1, self._total)} of {self._total}, " if self._total else ""
        return f"judging {self._rule} ({place}{self._seconds:.0f} s)" if self._rule else "judging"


def show_progress(config: pytest.Config) -> None:
    """Let a run in which every item judges a rule tell how far it is. Who wants words for each item, or
    silence, gets these."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and config.get_verbosity() == 0:
        config.pluginmanager.register(Progress(reporter))
