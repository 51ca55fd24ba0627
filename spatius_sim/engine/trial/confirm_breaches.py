"""Confirms the breaches that a trial has seen, by repeating their scenarios: a breach that is seen again is a
failure."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

from spatius_sim.engine.failure_evidence import pack_evidence_for_player
from spatius_sim.engine.search_failing_plan import P
from spatius_sim.engine.trial.run_scenarios import OutOfTimeError, ScenarioRunner
from spatius_sim.engine.trial.seen_breaches import Sighting
from spatius_sim.net.client.testee_connection import TesteeError
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.reporting.summary import Failure, LongerFailure, RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge

_REPETITIONS = 3
"""A breach that is not seen again in so many repetitions of its scenario may be noise."""


def _no_sure_plans(rule_id: str) -> tuple[()]:
    """Return no plans: a cause is not looked for in this trial."""
    return ()


@dataclass(slots=True)
class BreachConfirmer(ScenarioRunner[P]):
    """Confirms the breaches that a trial has seen, by repeating their scenarios with all the patience that
    the user allows: the rule has FAILED if it is broken again, and is INCONCLUSIVE if it is not. There are
    two exceptions: if a wait was cut short, and a full wait shows that the rule is kept, there was no breach;
    and some breaches are certain when they are seen once (`Broken.seen_once_suffices`)."""

    _: KW_ONLY
    measure_size: Callable[[P], tuple[int, ...]] | None = None
    """Returns how much happens in a plan. If it is set, a failure is shown in the smallest plan that was run
    and broke its rule, whichever rule it was run for."""
    make_longer: Callable[[P], P | None] | None = None
    """Returns a plan of ordinary length for a failing one, None if there is none. If it is set, each failure
    is shown at ordinary length too; a user who looks at no picture does not wait for that."""
    find_sure_plans: Callable[[str], Sequence[P]] = _no_sure_plans
    """Returns the sure plans of a rule, which are always run for it. If a breach may follow from a rule that
    is judged later, they are run before the breach counts: it must not matter which of the two is judged
    first."""
    _consequences: list[str] = field(default_factory=list)
    """The rules whose causes are looked for just now, each a cause of the one before it."""

    def _confirm_causes_first(self, rule_id: str, plan: P) -> None:
        """Before the breaches of `rule_id` in this plan are confirmed, confirm those of the rules from which
        they may follow (the causes), by repeating the plans that broke them. So the report names a cause, and
        not its consequence. If no breach of a cause was seen, the plans that are always run for it are run
        first. A cause that has failed already is left out. Meanwhile `rule_id` is in `_consequences`."""
        causes = {
            cause: None
            for broken in self._findings.breaches_that_count(self._findings.judgements_by_plan[plan][rule_id])
            for cause in broken.follows_from
        }
        self._consequences.append(rule_id)
        try:
            for cause in causes:
                if cause not in self._findings.failed_rules and cause not in self._consequences:
                    self._look_for_breach_in_sure_plans(cause)
                    self._confirm_breaches(cause)
        finally:
            self._consequences.pop()

    def _look_for_breach_in_sure_plans(self, rule_id: str) -> None:
        """Look for a breach of this rule that can be confirmed, because another rule may be broken only as
        its consequence: run its sure plans, which are always run for it, until one breaks it. A breach that
        may itself follow from such another rule (they are in `_consequences`) does not count. Run none if the
        rule was broken before, if time is up, or if the client has no settable clock: then every plan lasts
        in real time."""
        if getattr(self.subject, "real_clock", False):
            return
        for plan in self.find_sure_plans(rule_id):
            may_fail = self._findings.plans_that_may_fail(rule_id)
            if self._out_of_time() or not all(self._is_circular(rule_id, seen) for seen in may_fail):
                return
            try:
                self._run_and_judge(rule_id, plan)
            except (OutOfTimeError, UnreachableError):
                return  # The loss is reported when the rule itself is judged.
            except TesteeError:
                self._attached = False  # The breach is repeated on a fresh testee.
                self._try_attach()
                return

    def _confirm_breaches(self, rule_id: str) -> RuleOutcome | None:
        """Confirm the breaches of this rule that were seen so far, by repeating their plans. Return the
        outcome of the rule: FAILED as soon as a plan breaks it again, INCONCLUSIVE if none does. Return None
        if no plan broke it, or if the kit had cut a wait short, and the rule is kept with the full wait. This
        runs even after the deadline, because a breach that was seen must be reported."""
        plans = [
            plan
            for plan in self._findings.plans_that_may_fail(rule_id)
            if not self._is_circular(rule_id, plan)
        ]
        for plan in plans if self.measure_size is None else sorted(plans, key=self.measure_size):
            self._confirm_causes_first(rule_id, plan)
            if not self._findings.may_fail(rule_id, plan):
                continue
            try:
                failed_outcome = self._confirm_by_repeating(rule_id, plan, 1)
            except (UnreachableError, TesteeError) as error:
                why_not_repeated = f"it could not be repeated: {self.secrets.redact_text(str(error))}"
                self._findings.note_unconfirmed(rule_id, plan, why_not_repeated)
                break
            if failed_outcome is not None:
                return failed_outcome
        return (
            self._outcome_if_unconfirmed(rule_id, 1)
            if self._findings.unconfirmed_plans.get(rule_id)
            else None
        )

    def _is_circular(self, rule_id: str, plan: P) -> bool:
        """Return whether all breaches of this rule in this plan may follow from a rule whose own breach may
        follow from this one: it is not known yet which of the two is the cause."""
        breaches = self._findings.breaches_that_count(self._findings.judgements_by_plan[plan][rule_id])
        return all(set(self._consequences).intersection(broken.follows_from) for broken in breaches)

    def _confirm_by_repeating(self, rule_id: str, plan: P, plan_count: int) -> RuleOutcome | None:
        """Repeat a plan that broke the rule, up to three times. If the rule is broken again, return the
        outcome FAILED, with the new trace as evidence. Otherwise return None, and note the breach as
        unconfirmed.

        But if the kit had cut a wait short, and the rule is kept with the full wait, there was no breach. The
        new judgements then replace the old ones, unless one of these holds a breach that is certain when it
        is seen once. `plan_count` plans were run for the rule."""
        self.smallest[rule_id] = plan
        for _ in range(_REPETITIONS):
            try:
                trace = self._run(plan, patient=True)
            except OutOfTimeError:
                self._findings.note_unconfirmed(rule_id, plan, "there was no time to repeat it")
                return None
            judgements = judge(trace)
            repeated_judgement = judgements[rule_id]
            if self._findings.breaches_that_count(repeated_judgement):
                self._findings.failed_rules.add(rule_id)
                failure = self._make_failure(Sighting(plan, repeated_judgement, trace), confirmed=True)
                failure = replace(failure, longer=self._repeat_at_ordinary_length(rule_id, plan))
                return RuleOutcome(
                    rule_id, Verdict.FAILED, repeated_judgement.exercised, plan_count, failure=failure
                )
            if (
                repeated_judgement.verdict is Verdict.PASSED
                and plan in self._findings.plans_with_cut_waits
                and not self._findings.holds_certain_breach(plan)
            ):
                self._findings.plans_with_cut_waits.discard(plan)
                self._findings.forget_first_sightings(plan)
                self._keep_judgements(plan, trace, judgements)
                return None
        what_happened = f"it was not seen again when repeated {_REPETITIONS} times"
        self._findings.note_unconfirmed(rule_id, plan, what_happened)
        return None

    def _repeat_at_ordinary_length(self, rule_id: str, plan: P) -> LongerFailure | None:
        """Repeat a failing plan with turns of ordinary length, and return how it breaks the rule, for a
        report that plays the failure: in short turns the face hardly moves. For a client, take the plan that
        first broke the rule instead, without a run. Return None if there is no such plan, if it keeps the
        rule, if no report shows it, or if time is up. The verdict does not depend on it."""
        if self.make_longer is None or self._out_of_time():
            return None
        longer_plan = self.make_longer(plan)
        first_sighting = self._findings.first_sightings.get(rule_id)
        if longer_plan is not None:
            try:
                trace = self._run_in_time(longer_plan, patient=False)
            except (UnreachableError, TesteeError):
                return None  # The next scenario reports that the subject is lost.
        elif self.subject.kind == "client" and first_sighting is not None and first_sighting.plan != plan:
            longer_plan, trace = first_sighting.plan, first_sighting.trace
        else:
            return None
        breaches = self._findings.breaches_that_count(judge(trace)[rule_id])
        return (
            LongerFailure(str(longer_plan), pack_evidence_for_player(trace, breaches[0]))
            if breaches
            else None
        )

    def _outcome_if_unconfirmed(self, rule_id: str, plan_count: int) -> RuleOutcome:
        """Return the outcome of a rule whose breach could not be confirmed: a plan broke it, but not again
        when the plan was repeated, or the plan could not be repeated. The outcome is INCONCLUSIVE, with an
        unconfirmed failure; it is FAILED if the breach is certain when it is seen once. If several plans are
        unconfirmed, show the one that was seen to break the rule first in this trial, or any other if that
        one is not among them. `plan_count` plans were run for the rule."""
        unconfirmed_plans = self._findings.unconfirmed_plans[rule_id]
        first_sighting = self._findings.first_sightings.get(rule_id)
        plan = (
            first_sighting.plan
            if first_sighting is not None and first_sighting.plan in unconfirmed_plans
            else next(iter(unconfirmed_plans))
        )
        self.smallest[rule_id] = plan
        judgement = self._findings.judgements_by_plan[plan][rule_id]
        broken = (self._findings.breaches_that_count(judgement) or judgement.broken)[0]
        if first_sighting is not None and first_sighting.plan == plan:
            failure = self._make_failure(first_sighting, confirmed=False)
        else:
            failure = Failure(broken.expected, broken.actual, str(plan), "", confirmed=False)
        if broken.seen_once_suffices:
            self._findings.failed_rules.add(rule_id)
            return RuleOutcome(rule_id, Verdict.FAILED, judgement.exercised, plan_count, failure=failure)
        reason = f"broken once ({broken.actual}), but {unconfirmed_plans[plan]}"
        return RuleOutcome(
            rule_id, Verdict.INCONCLUSIVE, judgement.exercised, plan_count, reason=reason, failure=failure
        )
