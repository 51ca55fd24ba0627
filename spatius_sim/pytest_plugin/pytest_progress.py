"""Shows how far a run is, while pytest judges a subject."""

import os
from typing import TYPE_CHECKING, TextIO

import pytest

from spatius_sim.pytest_plugin.collect_outcomes import outcomes_of, rule_in, suspects_of
from spatius_sim.pytest_plugin.session_options import request_in

if TYPE_CHECKING:
    from spatius_sim.reporting.formats.progress import ProgressLines


class Progress:
    """A pytest plugin that shows progress in place of pytest's dots, if every item judges a rule."""

    def __init__(self, reporter: "pytest.TerminalReporter", lines: "ProgressLines") -> None:
        self._reporter, self._lines = reporter, lines
        self._total = self._done = 0
        self._screen: TextIO | None = None
        reporter.showfspath = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember how many rules are to be judged, and over how many scenarios."""
        from spatius_sim.rules.catalogue import RULES

        self._total = len(session.items)
        names = [rule_in(item.nodeid) for item in session.items]
        rules = [RULES[name] for name in names if name in RULES]
        self._lines.expect(request_in(session.config).scenario_counts(rules))

    def pytest_runtestloop(self) -> None:
        """Start the live line of progress, if this is a terminal."""
        if self._reporter.isatty:
            # pytest captures what is written while an item runs: a descriptor of our own is not caught.
            self._screen = os.fdopen(os.dup(self._reporter._tw._file.fileno()), "w", encoding="utf-8")
            self._lines.start_live(self._screen)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show that a rule is being judged."""
        self._lines.rule_begins(rule_in(nodeid), self._done + 1, self._total)

    def pytest_runtest_logfinish(self) -> None:
        """Count a rule that was judged."""
        self._done += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show at once which rules failed, when the item of a rule has been run."""
        if report.when == "call":
            outcomes = [outcome for *_, outcome in outcomes_of(report)]
            self._lines.rule_ends(outcomes, suspects_of(report), report.longreprtext if report.failed else "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Return the status of an item without the letter or dot that pytest would print for it: our line of
        progress shows how far the run is. None for the setup and the teardown of an item, which pytest shows
        as usual."""
        if report.when != "call" or hasattr(report, "wasxfail"):
            return ("xfailed", "", "") if report.when == "call" and report.skipped else None
        return report.outcome, "", ""

    def pytest_sessionfinish(self) -> None:
        """Take away the live line of progress."""
        self._lines.stop()
        if self._screen is not None:
            self._screen.close()


def show_progress(config: pytest.Config) -> None:
    """Register the plugin that shows the progress of a run in place of pytest's dots, unless the user asks
    pytest for more words (`-v`) or for fewer (`-q`)."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and config.get_verbosity() == 0:
        from spatius_sim.reporting.formats.progress import ProgressLines

        config.pluginmanager.register(Progress(reporter, ProgressLines(reporter.write_line)))
