"""The outcomes of a run, on their way from the item that judged a rule to the one report of the run. With
pytest-xdist the item runs in a worker, and the report is made in the controller."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from spatius_sim.engine.rule_by_rule import RuleResult
    from spatius_sim.engine.run_outcomes import RunOutcomes
    from spatius_sim.reporting.summary import RuleOutcome

_OUTCOME = "spatius_sim_outcome"
_SUSPECTS = "spatius_sim_suspects"
_USAGE = "spatius_sim_usage"
_END = "spatius_sim_end"
WORKERS_SEED = "spatius_sim_seed"


def is_worker(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs this process to run tests."""
    return hasattr(config, "workerinput")


def is_distributed(config: pytest.Config) -> bool:
    """Whether the tests run in workers of pytest-xdist, and this process is none of them."""
    return not is_worker(config) and config.getoption("dist", "no") != "no"


def note_result(item: pytest.Item, result: "RuleResult") -> None:
    """Write what an item found out onto its report."""
    from spatius_sim.reporting.formats.json_report import outcome_to_json

    for outcome in result.outcomes:
        fact = [result.subject, result.target, result.wire, outcome_to_json(outcome)]
        item.user_properties.append((_OUTCOME, json.dumps(fact)))
    item.user_properties.append((_SUSPECTS, json.dumps(dict(result.suspects))))


def suspects_of(report: pytest.TestReport) -> dict[str, str]:
    """What was broken so far of rules that are to be judged, by rule."""
    return dict(json.loads(str(dict(report.user_properties).get(_SUSPECTS, "{}"))))


def note_usage_error(item: pytest.Item, text: str) -> None:
    """Why nothing can be judged, from a worker: it cannot end the run itself."""
    item.user_properties.append((_USAGE, text))


def rule_in(nodeid: str) -> str:
    """The id of the rule that an item judges, by the item's name."""
    return nodeid.rpartition("[")[2].removesuffix("]")


def outcomes_of(report: pytest.TestReport) -> "Iterator[tuple[str, str, str, RuleOutcome]]":
    """What the item noted: the kind of subject, the target, the wire, and the outcome."""
    for name, fact in report.user_properties:
        if name == _OUTCOME:
            from spatius_sim.reporting.formats.json_report import outcome_from_json

            subject, target, wire, plain = json.loads(str(fact))
            yield subject, target, wire, outcome_from_json(plain)


class SessionOutcomes:
    """Hears the report of every item, a worker's too, and what else becomes of the session."""

    def __init__(self) -> None:
        self._found: RunOutcomes | None = None
        self._others_failed: list[str] = []

    @property
    def found(self) -> "RunOutcomes":
        """What was found out so far."""
        if self._found is None:
            from spatius_sim.engine.run_outcomes import RunOutcomes

            self._found = RunOutcomes()
        return self._found

    @property
    def any(self) -> bool:
        """Whether any rule was judged."""
        return self._found is not None and self._found.count > 0

    @property
    def others_failed(self) -> str:
        """Which tests failed that judge no rule, in words."""
        if not self._others_failed:
            return "pytest counts a failure beside the rules"
        more = len(self._others_failed) - 1
        first = self._others_failed[0].replace("::", ": ")  # A CI system obeys what begins with "::".
        return f"another test failed: {first}{f', and {more} more' if more else ''}"

    def pytest_keyboard_interrupt(self, excinfo: "pytest.ExceptionInfo[BaseException]") -> None:
        """Remember why the session ends early."""
        self.found.interruption = str(excinfo.value)

    def pytest_internalerror(self, excinfo: "pytest.ExceptionInfo[BaseException]") -> None:
        """Remember why the session is worth nothing."""
        self.found.internal_error = excinfo.exconly().strip().rpartition("\n")[2]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count as failed what could not be collected."""
        if report.failed:
            self._others_failed.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Take in that the worker died that judged a rule: a later PASSED in another worker does not mend
        this."""
        from spatius_sim.reporting.summary import RuleOutcome
        from spatius_sim.rules.catalogue import RULES
        from spatius_sim.rules.findings import Verdict

        judged = RULES.get(rule_in(crashitem))
        if judged is not None:
            reason = f"the process that judged {judged.id} died"
            self.found.add_outcome(judged.subject, RuleOutcome(judged.id, Verdict.ERRORED, reason=reason))

    def note_end(self, config: pytest.Config) -> None:
        """Write what a worker has to tell at its end."""
        if self._found is not None:
            told = [self._found.unwritten, self._found.internal_error]
            config.workeroutput[_END] = told  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take in what the worker told at its end, if it came so far."""
        unwritten, internal_error = getattr(node, "workeroutput", {}).get(_END, ([], ""))
        if unwritten or internal_error:
            self.found.unwritten += unwritten
            self.found.internal_error = self.found.internal_error or internal_error

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what the item noted, before anything of it is told: an interrupt may come between."""
        facts = dict(report.user_properties)
        if report.failed and _OUTCOME not in facts:
            self._others_failed.append(report.nodeid)
        if report.when != "call":
            return
        if _USAGE in facts:
            self.found.usage_error = str(facts[_USAGE])
        for subject, target, wire, outcome in outcomes_of(report):
            self.found.add_outcome(subject, outcome, target, wire)
