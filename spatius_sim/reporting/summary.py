"""One immutable summary of a run, and the exit code and the claim that follow from it.

All text in it is harmless and bounded from the moment that it enters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spatius_sim.reporting.exit_code import ExitCode as ExitCode
from spatius_sim.reporting.harmless import one_line, some_lines
from spatius_sim.reporting.timeline.timeline import Timeline
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level

MUST_RULES = frozenset(rule_id for rule_id, described in RULES.items() if described.level is Level.MUST)


_LONGEST_COMMAND = 8_000
"""Characters: a command that is cut off repeats nothing."""


_BROKEN_OFF = {
    ExitCode.RULE_FAILED: "NO PASS",
    ExitCode.INTERRUPTED: "INTERRUPTED",
    ExitCode.KIT_FAILED: "ERRORED",
    ExitCode.USAGE: "NOT RUN",
    ExitCode.NOT_EXERCISED: "NOT EXERCISED",
}
"""How the claim of a run begins that ended with something else than verdicts."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken rule: what was expected, what happened, in the smallest scenario found; `trace` is the tape's
    path, `evidence` the guilty events in words, `repeat` the command that runs this scenario again,
    `silence` whether something was waited for in vain. For a client also the whole dialogue, one call in a
    line."""

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

    def __post_init__(self) -> None:
        for name in ("expected", "actual", "scenario", "trace"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        object.__setattr__(self, "repeat", one_line(self.repeat, _LONGEST_COMMAND))
        object.__setattr__(self, "dialogue", some_lines(self.dialogue))
        object.__setattr__(self, "evidence", tuple(one_line(line) for line in self.evidence))


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule over a whole run: instances exercised over so many scenarios, and why where it is not
    plain; `measurements` in `unit` for a rule that measures; `blocked_by` the failed rules without which it
    could not be judged."""

    rule_id: str
    verdict: Verdict
    exercised: int = 0
    scenarios: int = 0
    reason: str = ""
    failure: Failure | None = None
    measurements: tuple[float, ...] = ()
    unit: str = ""
    blocked_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """What a run ended with beside the verdicts: the exit code that it has then, and why."""

    code: ExitCode
    why: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", one_line(self.why))


@dataclass(frozen=True, slots=True)
class Summary:
    """A run, and what it claims. `outcomes` in the catalogue's order; `level` and `profile` as they were
    chosen, "" where neither applies. `required` are the rules that the run promised to exercise: where nobody
    chose, every MUST. `wire` is "" where there is none. `known` says why a baseline tolerates a failure, by
    rule id, and `complaints` what is wrong with the baseline. `broken_off` is None where the verdicts alone
    say how the run ended."""

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
    broken_off: BrokenOff | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", {rule_id: one_line(why) for rule_id, why in self.known.items()})
        object.__setattr__(self, "complaints", tuple(map(one_line, self.complaints)))
        for name in ("subject", "target", "kit_version", "wire", "level", "profile"):
            object.__setattr__(self, name, one_line(getattr(self, name)))

    def with_verdict(self, verdict: Verdict) -> list[RuleOutcome]:
        """The rules with that verdict."""
        return [outcome for outcome in self.outcomes if outcome.verdict is verdict]

    @property
    def required_unexercised(self) -> list[RuleOutcome]:
        """The required rules that nothing exercised, but for those that only known failures stand before."""
        return [
            outcome
            for outcome in self.with_verdict(Verdict.UNEXERCISED)
            if outcome.rule_id in self.required and outcome not in self.behind_known_failures
        ]

    @property
    def new_failures(self) -> list[RuleOutcome]:
        """The failed rules that no baseline tolerates."""
        return [outcome for outcome in self.with_verdict(Verdict.FAILED) if outcome.rule_id not in self.known]

    @property
    def known_failures(self) -> list[RuleOutcome]:
        """The failed rules that a baseline tolerates."""
        return [outcome for outcome in self.with_verdict(Verdict.FAILED) if outcome.rule_id in self.known]

    @property
    def decided(self) -> bool:
        """Whether anything was found out of the subject that does not fail the run: a rule that it kept, or a
        failure that was known."""
        return bool(self.with_verdict(Verdict.PASSED) or self.known_failures)

    @property
    def behind_known_failures(self) -> list[RuleOutcome]:
        """The rules that could not be judged, for known failures alone."""
        unexercised = self.with_verdict(Verdict.UNEXERCISED)
        return [o for o in unexercised if o.blocked_by and self.known.keys() >= set(o.blocked_by)]

    @property
    def undecided(self) -> list[RuleOutcome]:
        """The inconclusive rules, unless others were decided and they are neither required nor were broken
        once. A known failure that was seen but once is none of them."""
        inconclusive = [
            outcome
            for outcome in self.with_verdict(Verdict.INCONCLUSIVE)
            if outcome.failure is None or outcome.rule_id not in self.known
        ]
        if self.decided:
            return [o for o in inconclusive if o.rule_id in self.required or o.failure is not None]
        return inconclusive

    @property
    def never_judged(self) -> bool:
        """Whether the subject was not there to be judged."""
        open_still = (Verdict.INCONCLUSIVE, Verdict.UNEXERCISED)
        undecided = self.undecided
        alive = any(outcome.scenarios for outcome in undecided)  # The kit itself was late.
        return bool(undecided) and not alive and all(o.verdict in open_still for o in self.outcomes)


def exit_code(summaries: Sequence[Summary]) -> ExitCode:
    """Where several apply: what broke the run off, kit failed, rule failed, unreachable, not exercised, in
    this order."""
    for summary in summaries:
        if summary.broken_off is not None:
            return summary.broken_off.code
    if any(summary.with_verdict(Verdict.ERRORED) for summary in summaries):
        return ExitCode.KIT_FAILED
    if any(summary.new_failures or summary.complaints for summary in summaries):
        return ExitCode.RULE_FAILED
    if any(summary.undecided for summary in summaries):
        return ExitCode.UNREACHABLE
    if not any(summary.decided for summary in summaries) or any(
        summary.required_unexercised for summary in summaries
    ):
        return ExitCode.NOT_EXERCISED
    return ExitCode.PASSED


def claim(summary: Summary) -> str:
    """What the run claims, in one sentence."""
    passed = len(summary.with_verdict(Verdict.PASSED))
    total = len(summary.outcomes)
    if summary.broken_off is not None:
        return _claim_of_broken_off(summary, summary.broken_off)
    match exit_code([summary]):
        case ExitCode.PASSED if not passed:
            known = ", ".join(outcome.rule_id for outcome in summary.known_failures)
            return f"PASSED: nothing failed but what is known: {known}{_behind_known(summary)}."
        case ExitCode.PASSED:
            if summary.known:
                return f"PASSED: {passed} of {total} rules were exercised and kept{_but_known(summary)}."
            return f"PASSED: {passed} of {total} rules were exercised, and all were kept."
        case ExitCode.RULE_FAILED:
            names = ", ".join(outcome.rule_id for outcome in summary.new_failures)
            stale = f"the baseline is out of date ({len(summary.complaints)})" if summary.complaints else ""
            failed = "; ".join(filter(None, (names, stale)))
            return f"FAILED: {failed}. {passed} of {total} rules passed{_but_known(summary)}."
        case ExitCode.UNREACHABLE:
            told = {o.reason for o in summary.undecided}
            reasons = sorted(r for r in told if not any(other.startswith(r) for other in told - {r}))
            judged = f"{passed} of {total} rules passed" if summary.decided else "No rule was judged"
            return f"INCONCLUSIVE: {'; '.join(reasons)}. {judged}."
        case ExitCode.KIT_FAILED:
            reasons = sorted({o.reason for o in summary.with_verdict(Verdict.ERRORED)})
            return f"ERRORED: {'; '.join(reasons)}. This says nothing of the subject."
        case ExitCode.INTERRUPTED:
            names = ", ".join(outcome.rule_id for outcome in summary.new_failures)
            failed = f"{names} failed so far; " if names else ""
            return f"INTERRUPTED: no verdict. {failed}{passed} of {total} rules passed."
        case _:
            names = ", ".join(outcome.rule_id for outcome in summary.required_unexercised)
            return f"NOT EXERCISED: {names or 'nothing ran'}; this is no pass."


def _claim_of_broken_off(summary: Summary, broken_off: BrokenOff) -> str:
    passed = f"{len(summary.with_verdict(Verdict.PASSED))} of {len(summary.outcomes)} rules passed"
    failed = ", ".join(outcome.rule_id for outcome in summary.new_failures)
    told = f"{passed}; failed by then: {failed}" if failed else passed
    return f"{_BROKEN_OFF[broken_off.code]}: {broken_off.why}. {told}{_but_known(summary)}."


def _but_known(summary: Summary) -> str:
    told = f"; known to fail: {', '.join(summary.known)}" if summary.known else ""
    return told + _behind_known(summary)


def _behind_known(summary: Summary) -> str:
    behind = ", ".join(outcome.rule_id for outcome in summary.behind_known_failures)
    return f"; not judged behind them: {behind}" if behind else ""
