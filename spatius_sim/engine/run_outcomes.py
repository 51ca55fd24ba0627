"""Collects the outcomes of a run, and what broke the run off."""

from dataclasses import dataclass, field, replace

from spatius_sim import __version__
from spatius_sim.engine.run_request import RunRequest
from spatius_sim.net.steady_clock import SteadyClock
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.reporting.summary import RuleOutcome, StoppedEarly, Summary
from spatius_sim.rules.catalogue import REVISION, rules_for
from spatius_sim.rules.findings import Verdict

NEVER_RUN = "it was never run"

BY_A_SIGNAL = "by a signal"
"""Who interrupted a run, if nothing more is known."""


@dataclass(slots=True)
class RunOutcomes:
    """The outcomes of a run so far, by subject and rule. `interruption`, `usage_error` and `internal_error`
    are "" if there was none. `unwritten` are lines about files that could not be written.
    `never_run` is the reason of a rule that was to be judged and was not: it is UNEXERCISED.
    The run began when its `clock` started."""

    usage_error: str = ""
    internal_error: str = ""
    interruption: str = ""
    unwritten: list[str] = field(default_factory=list)
    never_run: str = NEVER_RUN
    clock: SteadyClock = field(default_factory=SteadyClock)
    _targets: dict[str, str] = field(default_factory=dict)
    _wires: dict[str, str] = field(default_factory=dict)
    _by_subject: dict[str, dict[str, RuleOutcome]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many rules were judged."""
        return sum(map(len, self._by_subject.values()))

    def add_outcome(self, subject: str, outcome: RuleOutcome, target: str = "", wire: str = "") -> None:
        """Add the outcome of a rule to the outcomes of the run, for a subject of the kind `subject`. The
        outcome replaces an earlier outcome of the rule; but only a FAILED outcome replaces an ERRORED one."""
        self._targets[subject] = self._targets.get(subject) or target
        self._wires[subject] = wire or self._wires.get(subject, "")
        known_outcomes = self._by_subject.setdefault(subject, {})
        earlier_outcome = known_outcomes.get(outcome.rule_id)
        if (
            earlier_outcome is None
            or earlier_outcome.verdict is not Verdict.ERRORED
            or outcome.verdict is Verdict.FAILED
        ):
            known_outcomes[outcome.rule_id] = outcome

    def stopped_early(self) -> StoppedEarly | None:
        """Return what broke the run off before all outcomes were there: an internal error, else a usage
        error, else an interruption; None if the run came to its end."""
        if self.internal_error:
            return StoppedEarly(ExitCode.KIT_FAILED, self.internal_error)
        if self.usage_error:
            return StoppedEarly(ExitCode.USAGE, self.usage_error)
        if self.interruption:
            return StoppedEarly(ExitCode.INTERRUPTED, self.interruption)
        return None

    def summaries(self, request: RunRequest) -> list[Summary]:
        """Return a summary for each subject that was judged or named."""
        subjects = {**dict.fromkeys([*request.subject, *self._by_subject], ""), **request.subject}
        subjects |= {kind: target for kind, target in self._targets.items() if target}
        return [self._make_summary(request, kind, target) for kind, target in subjects.items()]

    def _make_summary(self, request: RunRequest, kind: str, target: str) -> Summary:
        """Return the summary of this run's outcomes for one kind of subject. If the request names a subject,
        the summary also has the rules that were to be judged and were never run."""
        outcomes = self._by_subject.get(kind, {})
        rules_to_judge = request.judged_rules if request.subject else frozenset()
        never_run_outcome = RuleOutcome("", Verdict.UNEXERCISED, reason=self.never_run)
        return Summary(
            kind,
            target,
            request.settings.seed,
            __version__,
            REVISION,
            tuple(
                outcomes.get(rule.id) or replace(never_run_outcome, rule_id=rule.id)
                for rule in rules_for(kind)
                if rule.id in outcomes or rule.id in rules_to_judge
            ),
            request.settings.level,
            request.settings.profile,
            request.required_rules,
            self._wires.get(kind, ""),
        )
