"""Carries the outcomes of a run from the items that judged the rules to the one report of the run. With
pytest-xdist the items run in a worker, and the report is made in the controller."""

import json
import sys
from collections.abc import Iterator
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.net.steady_clock import SteadyClock

if TYPE_CHECKING:
    from spatius_sim.engine.judge_run import RuleResult
    from spatius_sim.engine.run_outcomes import RunOutcomes
    from spatius_sim.reporting.exit_code import ExitCode
    from spatius_sim.reporting.summary import RuleOutcome, StoppedEarly

_STATUSES_WITHOUT_STOP = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)
"""The exit statuses of a session that ran to its end."""

# The names of the user properties, and of what pytest-xdist passes between controller and worker.
_OUTCOME = "spatius_sim_outcome"
_SUSPECTS = "spatius_sim_suspects"
_USAGE = "spatius_sim_usage"
_END = "spatius_sim_end"
WORKERS_SEED = "spatius_sim_seed"


def is_worker(config: pytest.Config) -> bool:
    """Return whether pytest-xdist runs this process to run tests."""
    return hasattr(config, "workerinput")


def is_distributed(config: pytest.Config) -> bool:
    """Return whether this process is the controller of pytest-xdist, whose workers run the tests."""
    return not is_worker(config) and config.getoption("dist", "no") != "no"


def store_result(item: pytest.Item, result: "RuleResult") -> None:
    """Write the outcomes of a judged rule into the user properties of the pytest item, together with the
    other rules that look broken so far. pytest carries them to the item's report, also from a worker of
    pytest-xdist."""
    from spatius_sim.reporting.formats.json_report import outcome_to_json

    for outcome in result.outcomes:
        outcome_values = [result.subject, result.target, result.wire, outcome_to_json(outcome)]
        item.user_properties.append((_OUTCOME, json.dumps(outcome_values)))
    item.user_properties.append((_SUSPECTS, json.dumps(dict(result.suspects))))


def read_suspects(report: pytest.TestReport) -> dict[str, str]:
    """Return, from the report of a pytest item, the rules that look broken and are still to be judged, by id,
    each with what happened."""
    return dict(json.loads(str(dict(report.user_properties).get(_SUSPECTS, "{}"))))


def store_usage_error(item: pytest.Item, text: str) -> None:
    """Write the reason why nothing can be judged into the user properties of this pytest item. A worker of
    pytest-xdist does this because it cannot end the run itself."""
    item.user_properties.append((_USAGE, text))


def rule_id_in(nodeid: str) -> str:
    """Return the id of the rule that an item judges: the text in brackets at the end of its name."""
    return nodeid.rpartition("[")[2].removesuffix("]")


def read_outcomes(report: pytest.TestReport) -> "Iterator[tuple[str, str, str, RuleOutcome]]":
    """Yield each outcome that the report of a pytest item carries, as the kind of subject, the target, the
    wire (its message format), and the outcome."""
    for property_name, outcome_text in report.user_properties:
        if property_name == _OUTCOME:
            from spatius_sim.reporting.formats.json_report import outcome_from_json

            subject, target, wire, outcome_json = json.loads(str(outcome_text))
            yield subject, target, wire, outcome_from_json(outcome_json)


class SessionOutcomes:
    """A pytest plugin that collects the outcomes of all items, in workers too, and why the pytest session was
    stopped early, if it was."""

    def __init__(self) -> None:
        self.clock = SteadyClock()
        self._outcomes: RunOutcomes | None = None
        self._other_failed_tests: list[str] = []

    @property
    def outcomes(self) -> "RunOutcomes":
        """The outcomes of the rules that were collected in this pytest session so far."""
        if self._outcomes is None:
            from spatius_sim.engine.run_outcomes import RunOutcomes

            self._outcomes = RunOutcomes()
        return self._outcomes

    @property
    def any_rule_judged(self) -> bool:
        """Whether any rule was judged."""
        return self._outcomes is not None and self._outcomes.count > 0

    @property
    def other_failures_text(self) -> str:
        """A text for the end of a pytest run about the team's own tests that failed, which judge no rule: the
        name of the first, and how many more. If none is known, the text says only that pytest counts the
        failure of something that judges no rule."""
        if not self._other_failed_tests:
            return "pytest counts a failure beside the rules"
        more_count = len(self._other_failed_tests) - 1
        # A CI system runs what begins with "::" as a command.
        first_failed = self._other_failed_tests[0].replace("::", ": ")
        return f"another test failed: {first_failed}{f', and {more_count} more' if more_count else ''}"

    def note_early_stop(self, exit_status: int, code_of_verdicts: "ExitCode") -> "StoppedEarly | None":
        """Note in the outcomes why the pytest session was stopped early, as far as `exit_status`, pytest's
        exit status of the session, tells it. Return why it was stopped early; None if the verdicts alone say
        how it ended. `code_of_verdicts` is the exit code that follows from the verdicts."""
        from spatius_sim.engine.run_outcomes import BY_A_SIGNAL
        from spatius_sim.reporting.exit_code import ExitCode
        from spatius_sim.reporting.summary import StoppedEarly

        outcomes = self.outcomes
        if exit_status == pytest.ExitCode.INTERNAL_ERROR:
            outcomes.internal_error = outcomes.internal_error or "pytest had an internal error"
        elif exit_status == pytest.ExitCode.USAGE_ERROR:
            outcomes.usage_error = outcomes.usage_error or _find_usage_error_of_pytest()
        elif exit_status not in _STATUSES_WITHOUT_STOP:
            outcomes.interruption = outcomes.interruption or BY_A_SIGNAL
        else:
            outcomes.interruption = ""
        if (stop := outcomes.why_stopped_early()) is not None or code_of_verdicts is not ExitCode.PASSED:
            return stop
        match exit_status:
            case pytest.ExitCode.TESTS_FAILED:
                return StoppedEarly(ExitCode.RULE_FAILED, self.other_failures_text)
            case pytest.ExitCode.NO_TESTS_COLLECTED:
                return StoppedEarly(ExitCode.NOT_EXERCISED, "pytest collected nothing")
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: "pytest.ExceptionInfo[BaseException]") -> None:
        """Remember who interrupted the session.

        A signal may interrupt an instruction that belongs to no line of its file. pytest cannot show such a
        place: it raises TypeError, and the run would end without its own exit code. Then let pytest show only
        the place where the interruption was raised."""
        self.outcomes.interruption = str(excinfo.value)
        if any(line is None for _, line in walk_tb(excinfo.tb)):
            excinfo.traceback = excinfo.traceback[-1:]

    def pytest_internalerror(self, excinfo: "pytest.ExceptionInfo[BaseException]") -> None:
        """Remember the last line of the internal error."""
        self.outcomes.internal_error = excinfo.exconly().strip().rpartition("\n")[2]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a test as failed if it could not be collected."""
        if report.failed:
            self._other_failed_tests.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Collect the outcome ERRORED for a rule, because the worker of pytest-xdist that judged it died. If
        another worker judges the rule later, its PASSED does not replace this outcome. (A hook of
        pytest-xdist.)"""
        from spatius_sim.reporting.summary import RuleOutcome
        from spatius_sim.rules.catalogue import RULES
        from spatius_sim.rules.findings import Verdict

        rule = RULES.get(rule_id_in(crashitem))
        if rule is not None:
            reason = f"the process that judged {rule.id} died"
            self.outcomes.add_outcome(rule.subject, RuleOutcome(rule.id, Verdict.ERRORED, reason=reason))

    def hand_over_to_controller(self, config: pytest.Config) -> None:
        """Put what this worker of pytest-xdist has collected besides outcomes into its `workeroutput`, which
        the controller collects when the worker ends: the files that could not be written, and an internal
        error. Do nothing if it collected nothing."""
        if self._outcomes is not None:
            end_of_worker = [self._outcomes.unwritten, self._outcomes.internal_error]
            config.workeroutput[_END] = end_of_worker  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect from a worker of pytest-xdist that has ended the files that it could not write, and its
        internal error. A worker that died has sent us nothing. (A hook of pytest-xdist.)"""
        unwritten, internal_error = getattr(node, "workeroutput", {}).get(_END, ([], ""))
        if unwritten or internal_error:
            self.outcomes.unwritten += unwritten
            self.outcomes.internal_error = self.outcomes.internal_error or internal_error

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the outcomes and the usage error that the report of an item carries, and the name of each
        failed test that judges no rule. This comes before other plugins print the report, because Ctrl-C may
        come between. (A hook of pytest.)"""
        properties = dict(report.user_properties)
        if report.failed and _OUTCOME not in properties:
            self._other_failed_tests.append(report.nodeid)
        if report.when != "call":
            return
        if _USAGE in properties:
            self.outcomes.usage_error = str(properties[_USAGE])
        for subject, target, wire, outcome in read_outcomes(report):
            self.outcomes.add_outcome(subject, outcome, target, wire)


def _find_usage_error_of_pytest() -> str:
    """Return the text of the usage error with which the pytest session ends. pytest is handling this error at
    this moment, and prints it later. If it handles none, return a text that says only that the command of
    pytest was wrong."""
    error = sys.exception()
    if isinstance(error, pytest.UsageError):
        return "; ".join(map(str, error.args))
    return "pytest was asked for what cannot be"
