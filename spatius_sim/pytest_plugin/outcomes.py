"""The outcomes of a run, on their way from the item that judged a rule to the one report of the run. With
pytest-xdist the item runs in a worker, and the report is made in the controller."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.pytest_plugin.baseline import NEVER_RUN

if TYPE_CHECKING:
    from spatius_sim.engine.settings import Settings
    from spatius_sim.reporting.summary import RuleOutcome, Summary

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


def note_outcome(
    item: pytest.Item, subject: str, target: str, outcome: "RuleOutcome", wire: str = ""
) -> None:
    """What an item found out about a subject, and the wire that it speaks."""
    from spatius_sim.reporting.formats.json_report import outcome_to_json

    item.user_properties.append((_OUTCOME, json.dumps([subject, target, wire, outcome_to_json(outcome)])))


def note_suspects(item: pytest.Item, suspects: Mapping[str, str], judged: frozenset[str]) -> None:
    """The rules that were broken in a scenario so far, each with what happened, and are to be judged."""
    from spatius_sim.reporting.harmless import one_line

    told = {rule_id: one_line(actual) for rule_id, actual in suspects.items() if rule_id in judged}
    item.user_properties.append((_SUSPECTS, json.dumps(told)))


def suspects_of(report: pytest.TestReport) -> dict[str, str]:
    """What the item noted of them."""
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


class Outcomes:
    """Hears the report of every item, a worker's too, and what else becomes of the session. `interruption`,
    `usage_error` and `internal_error` are "" where there was none; `unwritten` says of each file that could
    not be written why."""

    def __init__(self) -> None:
        self.targets: dict[str, str] = {}
        self.wires: dict[str, str] = {}
        self.of: dict[str, dict[str, RuleOutcome]] = {}
        self.usage_error = self.internal_error = self.interruption = ""
        self.unwritten: list[str] = []
        self._others_failed: list[str] = []

    @property
    def count(self) -> int:
        """How many rules were judged."""
        return sum(map(len, self.of.values()))

    @property
    def others_failed(self) -> str:
        """Which tests failed that judge no rule, in words."""
        if not self._others_failed:
            return "pytest counts a failure beside the rules"
        more = len(self._others_failed) - 1
        first = self._others_failed[0].replace("::", ": ")  # A CI system obeys what begins with "::".
        return f"another test failed: {first}{f', and {more} more' if more else ''}"

    def pytest_keyboard_interrupt(self, excinfo: "pytest.ExceptionInfo[BaseException]") -> None:
        """Why the session ends early."""
        self.interruption = str(excinfo.value)

    def pytest_internalerror(self, excinfo: "pytest.ExceptionInfo[BaseException]") -> None:
        """The session is worth nothing."""
        self.internal_error = excinfo.exconly().strip().rpartition("\n")[2]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What could not be collected counts as failed."""
        if report.failed:
            self._others_failed.append(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """The worker that judged a rule died: that it is kept in another one later does not mend this."""
        from spatius_sim.reporting.summary import RuleOutcome
        from spatius_sim.rules.catalogue import RULES
        from spatius_sim.rules.findings import Verdict

        judged = RULES.get(rule_in(crashitem))
        if judged is not None:
            reason = f"the process that judged {judged.id} died"
            self._take(judged.subject, RuleOutcome(judged.id, Verdict.ERRORED, reason=reason))

    def note_end(self, config: pytest.Config) -> None:
        """What a worker has to tell at its end."""
        config.workeroutput[_END] = [self.unwritten, self.internal_error]  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What the worker told at its end, where it came so far."""
        unwritten, internal_error = getattr(node, "workeroutput", {}).get(_END, ([], ""))
        self.unwritten += unwritten
        self.internal_error = self.internal_error or internal_error

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what the item noted, before anything of it is told: an interrupt may come between."""
        if report.failed and not any(name == _OUTCOME for name, _ in report.user_properties):
            self._others_failed.append(report.nodeid)
        if report.when != "call":
            return
        self.usage_error = str(dict(report.user_properties).get(_USAGE, self.usage_error))
        for subject, target, wire, outcome in outcomes_of(report):
            self.targets[subject] = self.targets.get(subject) or target
            self.wires[subject] = wire or self.wires.get(subject, "")
            self._take(subject, outcome)

    def _take(self, subject: str, outcome: "RuleOutcome") -> None:
        """What is known of a rule: what the kit failed at stays so, unless the rule is broken."""
        from spatius_sim.rules.findings import Verdict

        known = self.of.setdefault(subject, {})
        before = known.get(outcome.rule_id)
        if before is None or before.verdict is not Verdict.ERRORED or outcome.verdict is Verdict.FAILED:
            known[outcome.rule_id] = outcome

    def summaries(
        self, named: Mapping[str, str], judged: frozenset[str], required: frozenset[str], options: "Settings"
    ) -> "list[Summary]":
        """One for each subject. Where it was named, every rule that was to be `judged` is in it."""
        from spatius_sim import __version__
        from spatius_sim.reporting.summary import RuleOutcome, Summary
        from spatius_sim.rules.catalogue import REVISION, rules_for
        from spatius_sim.rules.findings import Verdict

        summaries = []
        subjects = dict.fromkeys([*named, *self.of], "") | dict(named) | self.targets
        for subject, target in subjects.items():
            outcomes = self.of.get(subject, {})
            sought = [
                rule.id for rule in rules_for(subject) if rule.id in outcomes or (named and rule.id in judged)
            ]
            never = RuleOutcome("", Verdict.UNEXERCISED, reason=NEVER_RUN)
            summaries.append(
                Summary(
                    subject,
                    target,
                    options.seed,
                    __version__,
                    REVISION,
                    tuple(outcomes.get(rule_id) or replace(never, rule_id=rule_id) for rule_id in sought),
                    options.level,
                    options.profile,
                    required,
                    self.wires.get(subject, ""),
                )
            )
        return summaries
