"""One immutable summary of a run, and the exit code that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from spatius_sim.rules.catalogue import RULES, Level, Verdict, rule

MUST_RULES = frozenset(rule_id for rule_id, described in RULES.items() if described.level is Level.MUST)


class ExitCode(IntEnum):
    """What the process says; the same from pytest and from `spatius-sim verify`."""

    PASSED = 0
    RULE_FAILED = 1
    INTERRUPTED = 2
    KIT_FAILED = 3
    USAGE = 4
    NOT_EXERCISED = 5
    UNREACHABLE = 6


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken rule: what was expected, what happened, in the smallest scenario found; for a client also the
    whole dialogue, one call in a line."""

    expected: str
    actual: str
    scenario: str
    trace: str
    confirmed: bool
    dialogue: str = ""


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule over a whole run: instances exercised over so many scenarios, and why where it is not
    plain."""

    rule_id: str
    verdict: Verdict
    exercised: int = 0
    scenarios: int = 0
    reason: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run. `outcomes` in the catalogue's order; `level` and `profile` as they were chosen, "" where neither
    applies. `required` are the rules that the run promised to exercise: where nobody chose, every MUST."""

    subject: str
    target: str
    seed: int
    kit_version: str
    catalogue_revision: int
    outcomes: tuple[RuleOutcome, ...]
    level: str = ""
    profile: str = ""
    required: frozenset[str] = MUST_RULES

    def with_verdict(self, verdict: Verdict) -> list[RuleOutcome]:
        """The rules with that verdict."""
        return [outcome for outcome in self.outcomes if outcome.verdict is verdict]

    @property
    def required_unexercised(self) -> list[RuleOutcome]:
        """The required rules that nothing exercised."""
        return [o for o in self.with_verdict(Verdict.UNEXERCISED) if o.rule_id in self.required]

    @property
    def undecided(self) -> list[RuleOutcome]:
        """The inconclusive rules, unless others passed and none of them is required."""
        inconclusive = self.with_verdict(Verdict.INCONCLUSIVE)
        if self.with_verdict(Verdict.PASSED):
            return [outcome for outcome in inconclusive if outcome.rule_id in self.required]
        return inconclusive


def exit_code(summaries: Sequence[Summary]) -> ExitCode:
    """Where several apply: kit failed, rule failed, unreachable, not exercised, in this order."""
    if any(summary.with_verdict(Verdict.ERRORED) for summary in summaries):
        return ExitCode.KIT_FAILED
    if any(summary.with_verdict(Verdict.FAILED) for summary in summaries):
        return ExitCode.RULE_FAILED
    if any(summary.undecided for summary in summaries):
        return ExitCode.UNREACHABLE
    passed = any(summary.with_verdict(Verdict.PASSED) for summary in summaries)
    if not passed or any(summary.required_unexercised for summary in summaries):
        return ExitCode.NOT_EXERCISED
    return ExitCode.PASSED


def outcome_to_json(outcome: RuleOutcome) -> dict[str, object]:
    """An outcome as plain JSON values."""
    described = rule(outcome.rule_id)
    failure = outcome.failure
    return {
        "id": outcome.rule_id,
        "level": str(described.level),
        "verdict": str(outcome.verdict),
        "sentence": described.sentence,
        "source": described.source,
        "provenance": str(described.provenance),
        "exercised": outcome.exercised,
        "scenarios": outcome.scenarios,
        "reason": outcome.reason,
        "failure": None
        if failure is None
        else {
            "expected": failure.expected,
            "actual": failure.actual,
            "scenario": failure.scenario,
            "trace": failure.trace,
            "confirmed": failure.confirmed,
        },
    }
