"""Holds the outcomes of a run, and why the run was stopped early, if it was."""

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
    """The outcomes by kind of subject, and then by rule id."""

    @property
    def count(self) -> int:
        """How many rules were judged."""
        return sum(map(len, self._by_subject.values()))

    def add_outcome(self, subject_kind: str, outcome: RuleOutcome, target: str = "", wire: str = "") -> None:
        """Add the outcome of a rule, for this kind of subject, to the outcomes of the run. It replaces an
        earlier outcome of the rule. But only FAILED replaces ERRORED, which says that the kit failed: a later
        PASSED must not hide that. Also remember the first `target` (the address of the subject) and the last
        `wire` (the name of its message format) that are not ""."""
        self._targets[subject_kind] = self._targets.get(subject_kind) or target
        self._wires[subject_kind] = wire or self._wires.get(subject_kind, "")
        outcome_by_rule = self._by_subject.setdefault(subject_kind, {})
        earlier_outcome = outcome_by_rule.get(outcome.rule_id)
        if (
            earlier_outcome is None
            or earlier_outcome.verdict is not Verdict.ERRORED
            or outcome.verdict is Verdict.FAILED
        ):
            outcome_by_rule[outcome.rule_id] = outcome

    def why_stopped_early(self) -> StoppedEarly | None:
        """Return why the run was stopped before all rules were judged, with the exit code of the run: an
        internal error, else a usage error, else an interruption. Return None if the run came to its end."""
        if self.internal_error:
            return StoppedEarly(ExitCode.KIT_FAILED, self.internal_error)
        if self.usage_error:
            return StoppedEarly(ExitCode.USAGE, self.usage_error)
        if self.interruption:
            return StoppedEarly(ExitCode.INTERRUPTED, self.interruption)
        return None

    def summaries(self, request: RunRequest) -> list[Summary]:
        """Return a summary for each subject that was judged, or that the options of the run name."""
        target_by_kind = {
            **dict.fromkeys([*request.subject_by_kind, *self._by_subject], ""),
            **request.subject_by_kind,
        }
        target_by_kind |= {kind: target for kind, target in self._targets.items() if target}
        return [self._make_summary(request, kind, target) for kind, target in target_by_kind.items()]

    def _make_summary(self, request: RunRequest, kind: str, target: str) -> Summary:
        """Return the summary of this run's outcomes for one kind of subject; `target` is its address or
        command. If the request names a subject, the summary also has the rules that were to be judged and
        never ran, as UNEXERCISED."""
        outcome_by_rule = self._by_subject.get(kind, {})
        rules_to_judge = request.judged_rules if request.subject_by_kind else frozenset()
        never_run_outcome = RuleOutcome("", Verdict.UNEXERCISED, reason=self.never_run)
        return Summary(
            kind,
            target,
            request.settings.seed,
            __version__,
            REVISION,
            tuple(
                outcome_by_rule.get(rule.id) or replace(never_run_outcome, rule_id=rule.id)
                for rule in rules_for(kind)
                if rule.id in outcome_by_rule or rule.id in rules_to_judge
            ),
            request.settings.level,
            request.settings.profile,
            request.required_rules,
            self._wires.get(kind, ""),
        )
