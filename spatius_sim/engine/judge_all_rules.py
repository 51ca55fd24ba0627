"""Judges the rules of one run, one at a time, for each front."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spatius_sim.engine.compare_with_baseline import RunBaseline
from spatius_sim.engine.interruption import INTERRUPTION
from spatius_sim.engine.merge_options import RunRequest
from spatius_sim.engine.options import as_typed
from spatius_sim.engine.run_environment import Run
from spatius_sim.engine.run_outcomes import BY_A_SIGNAL, RunOutcomes
from spatius_sim.engine.trial import Trial
from spatius_sim.engine.write_reports import report_paths
from spatius_sim.plans.plan_token import token_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.formats.text_report import failure_text, overturned_text
from spatius_sim.reporting.harmless_text import one_line
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Rule

LONGEST_COMPLAINT = 100_000
"""Characters. A complaint may hold several failures, each with its dialogue."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What judging one rule found out about a subject of the kind `subject`.

    `outcomes`: that of the rule, then those of rules judged before that its scenarios broke. `complaints`:
    texts for people. `tolerated`: why a baseline tolerates failures. `suspects`: what was broken so far of
    each rule that is to be judged.
    """

    subject: str
    outcomes: tuple[RuleOutcome, ...]
    target: str = ""
    wire: str = ""
    complaints: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()
    suspects: Mapping[str, str] = field(default_factory=dict)


def errored_result(rule: Rule, reason: str) -> RuleResult:
    """Return the result of a rule that could not be judged because the kit failed, for this reason."""
    return RuleResult(rule.subject, (RuleOutcome(rule.id, Verdict.ERRORED, reason=reason),))


class Judging:
    """Judges the rules of one run: call `open` before the first rule, and `close` at the end. `baseline` is
    None if no subject is named. `front` is the command that judges, and `type_out` writes options, by name,
    as the user would type them after it."""

    def __init__(
        self,
        request: RunRequest,
        baseline: RunBaseline | None,
        front: str,
        type_out: Callable[[Mapping[str, Any]], str] = as_typed,
    ) -> None:
        """Prepare to judge the rules of this request. No subject is started or attached yet."""
        self.request = request
        self._baseline, self._front, self._type_out = baseline, front, type_out
        self.run = Run(
            request.settings,
            shows_pictures="html" in report_paths(request.values),
            plan_is_named=bool(request.plan_token),
        )
        self.on_suspects: Callable[[Mapping[str, str]], None] = lambda suspects: None
        """Is called with what was broken so far of each rule that is to be judged, as soon as that grows."""

    def open(self) -> dict[str, str]:
        """Start our Motion Server if the run needs one, and return the environment that points a relay
        there. Raises UsageError if something cannot be started; what was started before is then ended."""
        try:
            return self.run.open()
        except UsageError:
            self.run.close()
            raise

    def judge(self, rule: Rule) -> RuleResult:
        """Judge one rule, and return what was found out.

        Raises UsageError if nothing can be judged, KeyboardInterrupt if the user ends the run, and any other
        exception if the kit itself fails: see `errored_result`.
        """
        began = time.monotonic()
        trial = self.run.trial_for(rule.subject)
        trial.on_suspects = lambda suspects: self.on_suspects(self._show_suspects(suspects))
        left_out = self.run.profile.leaves_out(rule.id)
        if left_out:
            outcome = trial.left_open(rule.id, left_out)
        else:
            outcome = trial.judge(rule.id, *self.request.exercise_for(rule))
        outcome = replace(
            outcome,
            seconds=round(time.monotonic() - began, 3),
            not_understood=trial.not_understood,
            first_not_understood=trial.first_not_understood,
        )
        newly_broken = trial.find_newly_broken(outcome)
        INTERRUPTION.check()
        outcomes = [self._with_command(trial, judged) for judged in (outcome, *newly_broken)]
        complaints: list[str] = []
        tolerated: list[str] = []
        for judged in outcomes:
            head = "" if judged is outcomes[0] else overturned_text(judged, outcomes[0])
            remark = self._baseline.remark_on(judged) if self._baseline is not None else None
            if remark is not None and remark.tolerated:
                tolerated.append(remark.tolerated)
                continue
            if judged.failure is not None:
                complaints.append(head + failure_text(judged, judged.failure))
            if remark is not None and remark.complaint:
                complaints.append(remark.complaint)
        return RuleResult(
            rule.subject,
            tuple(outcomes),
            trial.subject.target,
            trial.subject.wire,
            tuple(complaints),
            tuple(tolerated),
            self._show_suspects(trial.suspects()),
        )

    def _show_suspects(self, suspects: Mapping[str, str]) -> dict[str, str]:
        """Return the suspects as they may be shown: for each rule that this run judges and that was broken
        so far, what happened instead, in one line without secrets."""
        return {
            rule_id: one_line(self.run.secrets.redact_text(actual))
            for rule_id, actual in suspects.items()
            if rule_id in self.request.judged_rules
        }

    def close(self, outcomes: RunOutcomes) -> bool:
        """End everything that the run has started, and return whether a signal interrupted this. Add an
        interruption, a failure of the kit, and files that could not be written, to the outcomes."""
        interrupted = False
        try:
            self.run.close()
        except KeyboardInterrupt:
            interrupted = True
            outcomes.interruption = outcomes.interruption or BY_A_SIGNAL
        except Exception as error:
            outcomes.internal_error = f"the kit could not end what it had started: {error!r}"
        outcomes.unwritten += self.run.unwritten
        return interrupted

    def _with_command(self, trial: Trial[Any], outcome: RuleOutcome) -> RuleOutcome:
        """Return the outcome of a rule; if it is a failure, with the command that repeats its scenario."""
        if outcome.failure is None:
            return outcome
        smallest = trial.smallest.get(outcome.rule_id)
        # The tape of the failure holds its plan, and its name is shorter than a token.
        plan = "" if smallest is None else outcome.failure.trace or token_of(smallest)
        typed_options = self._type_out(self.request.options_to_repeat(outcome.rule_id, plan))
        return replace(outcome, failure=replace(outcome.failure, repeat=f"{self._front} {typed_options}"))
