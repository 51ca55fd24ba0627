"""Holds one immutable summary of a run, and derives the exit code of the run from it.

Every text is made harmless and short when it enters the summary.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spatius_sim.reporting.exit_code import ExitCode as ExitCode
from spatius_sim.reporting.make_text_harmless import harmless_line, harmless_lines
from spatius_sim.reporting.timeline.timeline import Timeline
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level

MUST_RULES = frozenset(rule_id for rule_id, rule in RULES.items() if rule.level is Level.MUST)


_BASE64 = re.compile("[A-Za-z0-9+/]*={0,2}")

LONGEST_COMMAND = 8_000
"""Characters: more than other texts may have, because a command that is cut cannot be run."""


def _base64_or_empty(text: str) -> str:
    """Return the packed data of a player, a text of base64, as it is; "" for any other text."""
    return text if _BASE64.fullmatch(text) else ""


@dataclass(frozen=True, slots=True)
class LongerFailure:
    """The same failure in a scenario of ordinary length, so that a mouth can be seen moving: the scenario in
    words, and the data of its player, packed."""

    scenario: str
    player: str

    def __post_init__(self) -> None:
        """Make every text of this failure harmless and short."""
        # `object.__setattr__`, because the dataclass is frozen.
        object.__setattr__(self, "scenario", harmless_line(self.scenario))
        object.__setattr__(self, "player", _base64_or_empty(self.player))


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken rule: what was expected and what happened, in the smallest scenario found.

    `trace` is the path of the tape, `evidence` the guilty events in words, `repeat` the command that runs
    this scenario again. `silence`: whether the kit waited for something that never came. For a client there
    is also the whole `dialogue`, one call in a line. `player` is the data of its picture, packed; "" if there
    is none."""

    expected: str
    actual: str
    scenario: str
    trace: str
    confirmed: bool
    dialogue: str = ""
    evidence: tuple[str, ...] = ()
    timeline: Timeline | None = None
    repeat: str = ""
    silence: bool = False
    player: str = ""
    longer: LongerFailure | None = None

    def __post_init__(self) -> None:
        """Make every text of this failure harmless and short, because the subject wrote parts of them."""
        # `object.__setattr__`, because the dataclass is frozen.
        object.__setattr__(self, "player", _base64_or_empty(self.player))
        for field_name in ("expected", "actual", "scenario", "trace"):
            object.__setattr__(self, field_name, harmless_line(getattr(self, field_name)))
        object.__setattr__(self, "repeat", harmless_line(self.repeat, LONGEST_COMMAND))
        object.__setattr__(self, "dialogue", harmless_lines(self.dialogue))
        object.__setattr__(self, "evidence", tuple(harmless_line(line) for line in self.evidence))


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """The outcome of one rule over a whole run: how often it was exercised, over how many scenarios, and the
    `reason` if the verdict alone does not tell it. `measurements` are in `unit` if the rule measures.
    `blocked_by`: the failed rules without which it could not be judged. Judging it took `seconds`.
    `not_understood`: how many messages of the subject were not understood so far in the run, with the reason
    for the first."""

    rule_id: str
    verdict: Verdict
    exercised: int = 0
    scenarios: int = 0
    reason: str = ""
    failure: Failure | None = None
    measurements: tuple[float, ...] = ()
    unit: str = ""
    blocked_by: tuple[str, ...] = ()
    seconds: float = 0.0
    not_understood: int = 0
    first_not_understood: str = ""

    def __post_init__(self) -> None:
        """Turn the reasons of this outcome into harmless, short lines."""
        # `object.__setattr__`, because the dataclass is frozen.
        for field_name in ("reason", "first_not_understood"):
            object.__setattr__(self, field_name, harmless_line(getattr(self, field_name)))


@dataclass(frozen=True, slots=True)
class StoppedEarly:
    """Why a run was stopped early, and with which exit code it ends therefore."""

    code: ExitCode
    why: str

    def __post_init__(self) -> None:
        """Make the reason why the run was stopped harmless and short, before it enters the summary."""
        object.__setattr__(self, "why", harmless_line(self.why))


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a run.

    `outcomes` come in the order of the catalogue. `level` and `profile` are those that the user chose; "" if
    none applies. `required`: the rules that the run promised to exercise; if nobody chose, every MUST. `wire`
    is "" if there is none. `known` says why a baseline tolerates a failure, by rule id, and `complaints` what
    is wrong with the baseline. `stopped_early` is None if the verdicts alone say how the run ended."""

    subject: str
    target: str
    seed: int
    kit_version: str
    catalogue_revision: int
    outcomes: tuple[RuleOutcome, ...]
    level: str = ""
    profile: str = ""
    required: frozenset[str] = MUST_RULES
    wire: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    stopped_early: StoppedEarly | None = None

    def __post_init__(self) -> None:
        """Turn every text of this summary into one harmless line, because the subject wrote parts of them."""
        # `object.__setattr__`, because the dataclass is frozen.
        object.__setattr__(
            self, "known", {rule_id: harmless_line(why) for rule_id, why in self.known.items()}
        )
        object.__setattr__(self, "complaints", tuple(map(harmless_line, self.complaints)))
        for field_name in ("subject", "target", "kit_version", "wire", "level", "profile"):
            object.__setattr__(self, field_name, harmless_line(getattr(self, field_name)))

    def outcomes_with_verdict(self, verdict: Verdict) -> list[RuleOutcome]:
        """Return the outcomes with this verdict."""
        return [outcome for outcome in self.outcomes if outcome.verdict is verdict]

    @property
    def unexercised_required_outcomes(self) -> list[RuleOutcome]:
        """The outcomes of rules that the run promised to exercise and that nothing exercised. Rules that only
        known failures block are left out."""
        return [
            outcome
            for outcome in self.outcomes_with_verdict(Verdict.UNEXERCISED)
            if outcome.rule_id in self.required and outcome not in self.outcomes_blocked_by_known_failures
        ]

    @property
    def new_failures(self) -> list[RuleOutcome]:
        """The outcomes of failed rules that no baseline tolerates."""
        return [
            outcome
            for outcome in self.outcomes_with_verdict(Verdict.FAILED)
            if outcome.rule_id not in self.known
        ]

    @property
    def known_failures(self) -> list[RuleOutcome]:
        """The outcomes of failed rules that a baseline tolerates."""
        return [
            outcome for outcome in self.outcomes_with_verdict(Verdict.FAILED) if outcome.rule_id in self.known
        ]

    def tolerates(self, outcome: RuleOutcome) -> bool:
        """Return whether this summary, which holds the failures that a baseline knows (`known`), tolerates
        the outcome: the rule was broken, and it is among these. A rule was broken if its verdict is FAILED.
        It was also broken if the verdict is INCONCLUSIVE with a failure: it was broken once, but not again
        when the scenario was repeated."""
        was_broken = outcome.verdict is Verdict.FAILED or (
            outcome.verdict is Verdict.INCONCLUSIVE and outcome.failure is not None
        )
        return was_broken and outcome.rule_id in self.known

    @property
    def has_decided_rule(self) -> bool:
        """Whether any rule passed, or failed in a way that the baseline tolerates."""
        return bool(self.outcomes_with_verdict(Verdict.PASSED) or self.known_failures)

    @property
    def outcomes_blocked_by_known_failures(self) -> list[RuleOutcome]:
        """The outcomes of rules that this run could not judge because other rules failed (`blocked_by`), if
        the baseline lists all of these failures."""
        unexercised_outcomes = self.outcomes_with_verdict(Verdict.UNEXERCISED)
        return [
            outcome
            for outcome in unexercised_outcomes
            if outcome.blocked_by and self.known.keys() >= set(outcome.blocked_by)
        ]

    @property
    def undecided_outcomes(self) -> list[RuleOutcome]:
        """The INCONCLUSIVE outcomes that make the run end with the exit code UNREACHABLE. Failures that a
        baseline tolerates are left out. If any rule of the run was decided (it passed, or failed as the
        baseline says), only the outcomes of required rules, and of rules with a failure that was not
        confirmed, are returned."""
        inconclusive_outcomes = [
            outcome
            for outcome in self.outcomes_with_verdict(Verdict.INCONCLUSIVE)
            if outcome.failure is None or outcome.rule_id not in self.known
        ]
        if self.has_decided_rule:
            return [
                outcome
                for outcome in inconclusive_outcomes
                if outcome.rule_id in self.required or outcome.failure is not None
            ]
        return inconclusive_outcomes

    @property
    def has_no_answer(self) -> bool:
        """Whether the run has no verdict on any rule because the subject did not answer. Then some outcomes
        are undecided, none of these saw a scenario, and every outcome of the run is INCONCLUSIVE or
        UNEXERCISED."""
        no_result = (Verdict.INCONCLUSIVE, Verdict.UNEXERCISED)
        undecided_outcomes = self.undecided_outcomes
        # If there was a scenario, the subject is alive, and the kit itself was late.
        is_alive = any(outcome.scenarios for outcome in undecided_outcomes)
        return (
            bool(undecided_outcomes)
            and not is_alive
            and all(outcome.verdict in no_result for outcome in self.outcomes)
        )


def exit_code(summaries: Sequence[Summary]) -> ExitCode:
    """Return the exit code of a run that follows from its summaries, one for each subject. If the run was
    stopped early, the code of this stop counts. Otherwise the first that applies counts: kit failed; rule
    failed, or a baseline out of date (`complaints`); unreachable, if an outcome is undecided; not exercised;
    passed."""
    for summary in summaries:
        if summary.stopped_early is not None:
            return summary.stopped_early.code
    if any(summary.outcomes_with_verdict(Verdict.ERRORED) for summary in summaries):
        return ExitCode.KIT_FAILED
    if any(summary.new_failures or summary.complaints for summary in summaries):
        return ExitCode.RULE_FAILED
    if any(summary.undecided_outcomes for summary in summaries):
        return ExitCode.UNREACHABLE
    nothing_was_decided = not any(summary.has_decided_rule for summary in summaries)
    if nothing_was_decided or any(summary.unexercised_required_outcomes for summary in summaries):
        return ExitCode.NOT_EXERCISED
    return ExitCode.PASSED
