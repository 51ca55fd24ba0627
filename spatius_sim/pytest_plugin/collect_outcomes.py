"""Carries the outcomes of a run from the items that judged the rules to the one report of the run. With
pytest-xdist the items run in a worker, and the report is made in the controller."""

import json
from collections.abc import Iterator
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.net.steady_clock import SteadyClock

if TYPE_CHECKING:
    from spatius_sim.engine.judge_run import RuleResult
    from spatius_sim.engine.run_outcomes import RunOutcomes
    from spatius_sim.reporting.summary import RuleOutcome

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
    """Write the outcomes of a judged rule into the user properties of the pytest item, and what is suspected
    of other rules. pytest carries them to the item's report, also from a worker of pytest-xdist."""
    from spatius_sim.reporting.formats.json_report import outcome_to_json

    for outcome in result.outcomes:
        outcome_values = [result.subject, result.target, result.wire, outcome_to_json(outcome)]
        item.user_properties.append((_OUTCOME, json.dumps(outcome_values)))
    item.user_properties.append((_SUSPECTS, json.dumps(dict(result.suspects))))


def read_suspects(report: pytest.TestReport) -> dict[str, str]:
    """Return, from the report of a pytest item, the suspected failures of rules that are still to be judged:
    what happened, by rule id."""
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
    """A pytest plugin that collects the outcomes of all items, in workers too, and what breaks the session
    off."""

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
        name of the first, and how many more. If none is known, the text says only that pytest counts a
        failure."""
        if not self._other_failed_tests:
            return "pytest counts a failure beside the rules"
        more_count = len(self._other_failed_tests) - 1
        first_failed = self._other_failed_tests[0].replace(
            "::", ": "
        )  # A CI system obeys what begins with "::".
        return f"another test failed: {first_failed}{f', and {more_count} more' if more_count else ''}"

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
        """A hook of pytest-xdist: a worker died while it judged a rule. Collect the outcome ERRORED for this
        rule. If another worker judges the rule later, its PASSED does not replace this outcome."""
        from spatius_sim.reporting.summary import RuleOutcome
        from spatius_sim.rules.catalogue import RULES
        from spatius_sim.rules.findings import Verdict

        rule = RULES.get(rule_id_in(crashitem))
        if rule is not None:
            reason = f"the process that judged {rule.id} died"
            self.outcomes.add_outcome(rule.subject, RuleOutcome(rule.id, Verdict.ERRORED, reason=reason))

    def hand_over_to_controller(self, config: pytest.Config) -> None:
        """At the end of a worker of pytest-xdist, put what it collected besides outcomes into its
        `workeroutput`: the files that could not be written, and an internal error. Do nothing if it collected
        nothing."""
        if self._outcomes is not None:
            end_of_worker = [self._outcomes.unwritten, self._outcomes.internal_error]
            config.workeroutput[_END] = end_of_worker  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A hook of pytest-xdist: a worker has ended. Collect the files that it could not write, and its
        internal error. A worker that died has handed nothing over."""
        unwritten, internal_error = getattr(node, "workeroutput", {}).get(_END, ([], ""))
        if unwritten or internal_error:
            self.outcomes.unwritten += unwritten
            self.outcomes.internal_error = self.outcomes.internal_error or internal_error

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A hook of pytest: collect the outcomes and the usage error that the report of an item carries, and
        the name of each failed test that judges no rule. This comes before other plugins print the report,
        because Ctrl-C may come between."""
        properties = dict(report.user_properties)
        if report.failed and _OUTCOME not in properties:
            self._other_failed_tests.append(report.nodeid)
        if report.when != "call":
            return
        if _USAGE in properties:
            self.outcomes.usage_error = str(properties[_USAGE])
        for subject, target, wire, outcome in read_outcomes(report):
            self.outcomes.add_outcome(subject, outcome, target, wire)
