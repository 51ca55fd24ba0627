"""The outcomes of a run, on their way from the item that judged a rule to the one report of the run. With
pytest-xdist the item runs in a worker, and the report is made in the controller."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from spatius_sim.kit.baseline_options import NEVER_RUN

if TYPE_CHECKING:
    from spatius_sim.kit.bench import Options
    from spatius_sim.reporting.summary import RuleOutcome, Summary

_OUTCOME = "spatius_sim_outcome"
_SUSPECTS = "spatius_sim_suspects"
_USAGE = "spatius_sim_usage"
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
    from spatius_sim.reporting.json_report import outcome_to_json

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


def outcomes_of(report: pytest.TestReport) -> "Iterator[tuple[str, str, str, RuleOutcome]]":
    """What the item noted: the kind of subject, the target, the wire, and the outcome."""
    for name, fact in report.user_properties:
        if name == _OUTCOME:
            from spatius_sim.reporting.json_report import outcome_from_json

            subject, target, wire, plain = json.loads(str(fact))
            yield subject, target, wire, outcome_from_json(plain)


class Outcomes:
    """Hears the report of every item, a worker's too."""

    def __init__(self) -> None:
        self.targets: dict[str, str] = {}
        self.wires: dict[str, str] = {}
        self.of: dict[str, dict[str, RuleOutcome]] = {}
        self.usage_error = ""

    @property
    def count(self) -> int:
        """How many rules were judged."""
        return sum(map(len, self.of.values()))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes in what the item noted."""
        if report.when != "call":
            return
        self.usage_error = str(dict(report.user_properties).get(_USAGE, self.usage_error))
        for subject, target, wire, outcome in outcomes_of(report):
            self.targets[subject] = self.targets.get(subject) or target
            self.wires[subject] = wire or self.wires.get(subject, "")
            self.of.setdefault(subject, {})[outcome.rule_id] = outcome

    def summaries(
        self, named: Mapping[str, str], judged: frozenset[str], required: frozenset[str], options: "Options"
    ) -> "list[Summary]":
        """One for each subject. Where it was named, every rule that was to be `judged` is in it."""
        from spatius_sim import __version__
        from spatius_sim.reporting.summary import RuleOutcome, Summary
        from spatius_sim.rules.catalogue import REVISION, Verdict, rules_for

        summaries = []
        for subject, target in (dict(named) | self.targets).items():
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
