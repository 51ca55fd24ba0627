"""Shows how far a run is, while pytest judges a subject."""

import os
from typing import TYPE_CHECKING, TextIO

import pytest

from spatius_sim.pytest_plugin.print_at_once import printing_at_once
from spatius_sim.pytest_plugin.pytest_outcomes import read_outcomes, read_suspects, rule_id_in
from spatius_sim.pytest_plugin.session_options import get_run_request

if TYPE_CHECKING:
    from spatius_sim.reporting.formats.progress import ProgressLines


class Progress:
    """A pytest plugin that shows progress in place of pytest's dots, if every item judges a rule."""

    def __init__(self, reporter: "pytest.TerminalReporter", lines: "ProgressLines") -> None:
        self._reporter, self._lines = reporter, lines
        self._total_count = self._judged_count = 0
        self._screen: TextIO | None = None
        reporter.showfspath = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many rules will be judged, and over how many scenarios each, to show progress. (A hook of
        pytest.)"""
        from spatius_sim.rules.catalogue import RULES

        self._total_count = len(session.items)
        rule_ids = [rule_id_in(item.nodeid) for item in session.items]
        rules = [RULES[rule_id] for rule_id in rule_ids if rule_id in RULES]
        self._lines.set_scenario_counts(get_run_request(session.config).scenario_counts(rules))

    def pytest_runtestloop(self) -> None:
        """If this is a terminal, start to show progress in one line that is drawn again and again. (A hook of
        pytest.)"""
        if self._reporter.isatty:
            # pytest captures what an item writes, but nothing through a file descriptor of our own.
            self._screen = os.fdopen(os.dup(self._reporter._tw._file.fileno()), "w", encoding="utf-8")
            self._lines.start_live(self._screen)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show that a rule is being judged."""
        self._lines.show_rule_start(rule_id_in(nodeid), self._judged_count + 1, self._total_count)

    def pytest_runtest_logfinish(self) -> None:
        """Count a rule that was judged."""
        self._judged_count += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show at once which rules failed, when the item of a rule has been run."""
        if report.when == "call":
            outcomes = [outcome for *_, outcome in read_outcomes(report)]
            self._lines.show_rule_end(
                outcomes, read_suspects(report), report.longreprtext if report.failed else ""
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Return the status of an item that has been run, without the letter or dot that pytest would print
        for it. Our line of progress is shown instead. The status is "xfailed" if the item failed as was
        expected, because a baseline tolerates it. Return None for the setup and the teardown of an item:
        pytest then shows them as usual. (A hook of pytest.)"""
        if report.when != "call" or hasattr(report, "wasxfail"):
            is_xfailed = report.when == "call" and report.skipped
            return ("xfailed", "", "") if is_xfailed else None
        return report.outcome, "", ""

    def pytest_sessionfinish(self) -> None:
        """Take away the live line of progress."""
        self._lines.stop()
        if self._screen is not None:
            self._screen.close()


def show_progress(config: pytest.Config) -> None:
    """Show the progress of a run in place of pytest's dots, by a plugin that is registered here. Do nothing
    if the user asks pytest for more words (`-v`) or for fewer (`-q`), or if pytest's terminal reporter is
    turned off."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and config.get_verbosity() == 0:
        from spatius_sim.reporting.formats.progress import ProgressLines

        def write_at_once(line: str) -> None:
            with printing_at_once(reporter):
                reporter.write_line(line)

        config.pluginmanager.register(Progress(reporter, ProgressLines(write_at_once)))
