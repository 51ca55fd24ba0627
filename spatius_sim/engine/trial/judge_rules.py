"""Judges one subject, rule by rule, over many plans."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field

from hypothesis.strategies import SearchStrategy

from spatius_sim.engine.search_failing_plan import (
    SHRINK_SECONDS,
    DrawnPlans,
    P,
    shortest_failing,
    smallest_failing,
)
from spatius_sim.engine.trial.confirm_breaches import BreachConfirmer
from spatius_sim.engine.trial.run_scenarios import OutOfTimeError
from spatius_sim.net.client.testee_connection import TesteeError
from spatius_sim.plans.plan import Plan
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError
from spatius_sim.reporting.summary import Failure, RuleOutcome
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Judgement, Verdict

_REAL_CLOCK_PLANS = 4
"""So many plans of each kind, sure and drawn, for a client without a settable clock, because every plan takes
as long as it says."""
_RELAY_SHRINK_ATTEMPTS = 12
"""So many shorter plans of a relay are tried for one failure."""


def _no_shorter_plans(plan: object) -> tuple[()]:
    """Return no plans: the plans of this trial cannot be cut down."""
    return ()


@dataclass(slots=True)
class Trial(BreachConfirmer[P]):
    """Judges a subject. Every plan is run once, and judged by all rules. Every breach that was seen is
    reported.

    One fault is one accusation. A breach that follows from another rule (`Broken.follows_from`) does not
    count if that rule failed in this run: the report says that it blocks this rule.

    `examples` is how many plans are drawn for a rule. `list_shorter` returns the plans that a failing plan
    may be cut down to."""

    examples: int
    shrink_seconds: float = SHRINK_SECONDS
    _: KW_ONLY
    list_shorter: Callable[[P], Iterable[P]] = _no_shorter_plans
    shrink_attempts: float = math.inf
    """How many such plans are tried at most for one failure: each may be waited for."""
    drawn_plans: DrawnPlans[P] = field(default_factory=dict)
    """The plans that the searches of this trial have drawn, and earlier trials if they share it."""
    _unbroken_rules: dict[str, None] = field(default_factory=dict)
    """The rules that were judged, and that a scenario of another rule may still break."""
    _plans_of_passed: dict[str, tuple[P, ...]] = field(default_factory=dict)
    """The scenarios of each rule that passed, and that a rule which fails later may still block."""
    _plans_before_first_turn: dict[str, tuple[P, ...]] = field(default_factory=dict)
    """The scenarios of each rule that could not be judged, because the subject had completed no turn yet."""

    def judge(
        self, rule_id: str, plans: SearchStrategy[P], sure: Sequence[P] = (), most: int | None = None
    ) -> RuleOutcome:
        """Judge one rule, and return its outcome. The plans in `sure` are run first, then plans drawn from
        `plans`: as many as the profile says, and no more than `most`."""
        if rule_id in self._outcomes_of_losses:
            return self._outcomes_of_losses[rule_id]
        if self._out_of_time():
            return self.conclude_early(rule_id, "out of time: it was not reached")
        if not self._try_attach():
            return self._outcome_after_loss(rule_id)
        real_clock = getattr(self.subject, "real_clock", False)
        examples = _REAL_CLOCK_PLANS if real_clock else self.examples
        sure = sure[:_REAL_CLOCK_PLANS] if real_clock else sure
        examples = examples if most is None else min(most, examples)
        judgements: dict[P, Judgement] = {}
        fatal_errors: list[SpatiusSimError] = []
        plans_out_of_time: set[P] = set()
        plans_cut_off: set[P] = set()

        def breaks_rule_when_run(plan: P) -> bool:
            """Run this plan on the subject, unless it was run before, and return whether it breaks the rule
            that is judged. A breach that follows from another failed rule does not count. An error of the run
            is noted, and counts as False.

            Nothing is run, and the result is False, in four cases: an error came before; the rule is not
            applicable; failed rules have blocked the rule in enough plans; the time is over."""
            if fatal_errors or any(
                judgement.verdict is Verdict.NOT_APPLICABLE for judgement in judgements.values()
            ):
                return False
            if plan not in self._findings.judgements_by_plan and self._findings.are_enough_blocked(
                judgements.values()
            ):
                return False
            if plan not in self._findings.judgements_by_plan and self._out_of_time():
                plans_out_of_time.add(plan)
                return False
            try:
                judgement = self._run_and_judge(rule_id, plan)
            except OutOfTimeError:
                plans_cut_off.add(plan)
                return False
            except (UnreachableError, TesteeError) as error:
                fatal_errors.append(error)
                return False
            judgements[plan] = judgement
            return self._findings.may_fail(rule_id, plan)

        def find_smallest_failing() -> P | None:
            """Return the smallest plan found that breaks the rule that is judged; None if no plan breaks it.
            First search for a plan that breaks it, then take the smallest of all plans that were seen to
            break it, and then leave parts of that out, as long as the rest still breaks it and time is
            left."""
            plan = smallest_failing(
                plans,
                breaks_rule_when_run,
                sure=sure,
                examples=examples,
                from_seed=self.seed,
                shrink_seconds=self.shrink_seconds,
                drawn=self.drawn_plans,
            )
            if plan is None:
                return None
            plan = self._findings.find_smallest_seen(rule_id, plan, self.measure_size)
            return shortest_failing(
                plan, breaks_rule_when_run, self.list_shorter, self.shrink_seconds, self.shrink_attempts
            )

        try:
            while (plan := find_smallest_failing()) is not None and not fatal_errors:
                self._confirm_causes_first(rule_id, plan)
                if not self._findings.may_fail(rule_id, plan):
                    continue
                failed_outcome = self._confirm_by_repeating(rule_id, plan, len(judgements))
                if failed_outcome is not None:
                    return failed_outcome
            if fatal_errors:
                raise fatal_errors[0]
        except TesteeError as error:
            self._attached = False
            reason = self.secrets.redact_text(str(error))
            return RuleOutcome(rule_id, Verdict.ERRORED, 0, len(judgements), reason=reason)
        except UnreachableError as error:
            return self._outcome_if_lost_now(rule_id, self.secrets.redact_text(str(error)), len(judgements))
        if self._findings.unconfirmed_plans.get(rule_id):
            return self._outcome_if_unconfirmed(rule_id, len(judgements))
        blocked_outcome = self._outcome_if_blocked(rule_id, judgements.values())
        if blocked_outcome is not None:
            return blocked_outcome
        if plans_cut_off:
            reason = f"out of time: a scenario was cut off; {len(judgements)} were run before"
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, 0, len(judgements), reason=reason)
        if plans_out_of_time and (self._clean_turn_completed or not judgements):
            reason = (
                f"out of time after {len(judgements)} of {len(judgements) + len(plans_out_of_time)} scenarios"
            )
            return self.conclude_early(rule_id, reason, len(judgements))
        outcome = self._outcome_if_not_broken(rule_id, list(judgements.values()))
        if outcome.verdict is Verdict.PASSED:
            self._plans_of_passed[rule_id] = tuple(judgements)
        if not self._clean_turn_completed:
            self._plans_before_first_turn[rule_id] = tuple(judgements)
        if outcome.verdict in (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE) and not outcome.blocked_by:
            return self._confirm_breaches(rule_id) or outcome
        return outcome

    def conclude_early(self, rule_id: str, reason: str, plan_count: int = 0) -> RuleOutcome:
        """Return the outcome of a rule that is not judged any further, for this reason: UNEXERCISED, unless a
        plan of another rule broke the rule. `plan_count` plans were run for it."""
        unexercised = RuleOutcome(rule_id, Verdict.UNEXERCISED, 0, plan_count, reason=reason)
        return self._outcomes_of_losses.get(rule_id) or self._confirm_breaches(rule_id) or unexercised

    def update_earlier_outcomes(self, outcome: RuleOutcome) -> list[RuleOutcome]:
        """Note that a rule was judged with this `outcome`, and return the new outcomes of rules that were
        judged before it, and whose earlier outcomes are no longer true: because a plan of another rule has
        broken them; because a rule has failed without which they cannot be judged; or because the subject had
        completed no turn then, and has completed one now."""
        if outcome.verdict in (Verdict.PASSED, Verdict.UNEXERCISED) and not outcome.blocked_by:
            self._unbroken_rules[outcome.rule_id] = None
        newly_broken = self._judge_newly_broken_rules()
        return newly_broken + self._take_back_blocked_passes() + self._judge_again_after_first_turn()

    def _judge_newly_broken_rules(self) -> list[RuleOutcome]:
        """Return a new outcome for each rule that no plan had broken when it was judged, but that the plan of
        another rule has broken since: FAILED if the breach is confirmed by repeating that plan, otherwise
        INCONCLUSIVE. A rule that says how a relay was lost gets the outcome that the loss gave it."""
        newly_broken = [
            new_outcome
            for rule_id in self._unbroken_rules
            if (new_outcome := self._outcomes_of_losses.get(rule_id) or self._confirm_breaches(rule_id))
        ]
        for new_outcome in newly_broken:
            del self._unbroken_rules[new_outcome.rule_id]
            self._plans_of_passed.pop(new_outcome.rule_id, None)
        return newly_broken

    def _judge_again_after_first_turn(self) -> list[RuleOutcome]:
        """Return new outcomes for the rules whose plans were run before the subject completed its first turn.
        These rules were INCONCLUSIVE then; now that a turn is complete, the judgements that were kept of
        their plans count. Return no outcomes if no turn is complete yet."""
        if not self._clean_turn_completed:
            return []
        plans_by_rule, self._plans_before_first_turn = self._plans_before_first_turn, {}
        outcomes = []
        for rule_id, plans in plans_by_rule.items():
            outcome = self._outcome_if_not_broken(
                rule_id, [self._findings.judgements_by_plan[plan][rule_id] for plan in plans]
            )
            if outcome.verdict is Verdict.PASSED:
                self._plans_of_passed[rule_id] = plans
            self._unbroken_rules[rule_id] = None
            outcomes.append(outcome)
        return outcomes

    def _take_back_blocked_passes(self) -> list[RuleOutcome]:
        """Return a new outcome, mostly UNEXERCISED, for each rule that has passed but is blocked by a rule
        that failed later: it cannot be judged without that rule. So it does not matter which of the two rules
        was judged first."""
        new_outcomes = []
        for rule_id, plans in list(self._plans_of_passed.items()):
            outcome = self._outcome_if_not_broken(
                rule_id, [self._findings.judgements_by_plan[plan][rule_id] for plan in plans]
            )
            if outcome.verdict is not Verdict.PASSED:
                new_outcomes.append(outcome)
                del self._plans_of_passed[rule_id]
        return new_outcomes

    def _outcome_after_loss(self, rule_id: str) -> RuleOutcome:
        """Return the outcome of a rule that is judged after the subject was lost: after it died, or answered
        no more. The rule is FAILED if a plan had broken it before, otherwise INCONCLUSIVE. A plan in which
        the kit cut a wait short does not make the rule FAILED, because it cannot be repeated with the full
        wait any more: its breach is noted as unconfirmed."""
        for plan, judgements in self._findings.judgements_by_plan.items():
            breaches = self._findings.breaches_that_count(judgements[rule_id])
            if breaches and plan in self._findings.plans_with_cut_waits:
                why_not_repeated = "it was lost before it could be waited for with patience"
                self._findings.note_unconfirmed(rule_id, plan, f"{why_not_repeated}: {self._unreachable}")
            elif breaches:
                failure = Failure(breaches[0].expected, breaches[0].actual, str(plan), "", confirmed=False)
                return RuleOutcome(rule_id, Verdict.FAILED, judgements[rule_id].exercised, 1, failure=failure)
        if self._findings.unconfirmed_plans.get(rule_id):
            return self._outcome_if_unconfirmed(rule_id, 1)
        return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=self._unreachable)

    def _outcome_if_lost_now(self, rule_id: str, reason: str, plan_count: int) -> RuleOutcome:
        """Return the outcome of the rule whose plan was running when the subject was lost, that is when it
        died or answered no more. `reason` says why, and `plan_count` plans of the rule were run before.

        A subject that had completed no turn counts as unreachable from now on. If it had completed one, the
        rule is FAILED for a server or a client. For a relay the rule is INCONCLUSIVE, because the rule
        R-ALIVE (a relay goes on answering) reports the loss (`_outcomes_of_losses`)."""
        if not self._clean_turn_completed:
            self._attached = False
            self._unreachable = self._unreachable or reason
            return self._outcome_after_loss(rule_id)
        if self.subject.kind == "relay":
            self.detach()
            self._attached = False
            return self._outcomes_of_losses.get(rule_id) or RuleOutcome(
                rule_id, Verdict.INCONCLUSIVE, 0, plan_count, reason=f"the relay was lost: {reason}"
            )
        self._attached = False
        expected = f"the subject goes on answering after: {self._lost_in}"
        failure = Failure(expected, reason, "", "", confirmed=False)
        return RuleOutcome(rule_id, Verdict.FAILED, 0, plan_count, failure=failure)

    def _outcome_if_blocked(self, rule_id: str, judgements: Iterable[Judgement]) -> RuleOutcome | None:
        """Return the outcome UNEXERCISED (not judged, because other rules failed) if one of these judgements
        says that the rule was broken. The caller has made sure that each breach follows from rules that
        failed, which are named in the reason. Return None if the rule was not broken."""
        for judgement in judgements:
            for broken in judgement.broken:
                causes = tuple(cause for cause in broken.follows_from if cause in self._findings.failed_rules)
                reason = f"not judged where {', '.join(causes)} failed: {broken.actual}"
                return RuleOutcome(rule_id, Verdict.UNEXERCISED, reason=reason, blocked_by=causes)
        return None

    def _outcome_if_not_broken(self, rule_id: str, judgements: list[Judgement]) -> RuleOutcome:
        """Return the outcome of a rule that no scenario of the trial broke, with these judgements of its
        scenarios: PASSED only if one of them exercised the rule, and no failed rule blocked it in any of
        them, nor in a scenario of another rule in which it looked broken."""
        if not self._clean_turn_completed:
            reason = f"{self.subject.target} completed no turn"
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=reason)
        for judgement in judgements:
            if judgement.verdict is Verdict.NOT_APPLICABLE:
                return RuleOutcome(rule_id, Verdict.NOT_APPLICABLE, reason=judgement.reason)
        exercised = sum(judgement.exercised for judgement in judgements)
        looks_broken = [
            by_rule[rule_id]
            for by_rule in self._findings.judgements_by_plan.values()
            if by_rule[rule_id].looks_broken
        ]
        blocked = [
            judgement
            for judgement in (*judgements, *looks_broken)
            if self._findings.failed_rules.intersection(judgement.blocked_by)
        ]
        if exercised and not blocked:
            measured = tuple(value for judgement in judgements for value in judgement.measurements)
            unit = find_rule(rule_id).unit
            return RuleOutcome(
                rule_id, Verdict.PASSED, exercised, len(judgements), measurements=measured, unit=unit
            )
        reason = next((judgement.reason for judgement in blocked or judgements if judgement.reason), "")
        inconclusive = [judgement for judgement in judgements if judgement.verdict is Verdict.INCONCLUSIVE]
        if inconclusive:
            return RuleOutcome(
                rule_id, Verdict.INCONCLUSIVE, 0, len(judgements), reason=inconclusive[0].reason
            )
        blocked_by = dict.fromkeys(
            name for judgement in blocked or judgements for name in judgement.blocked_by
        )
        return RuleOutcome(
            rule_id, Verdict.UNEXERCISED, 0, len(judgements), reason=reason, blocked_by=tuple(blocked_by)
        )


def cut_down_relay_plans(trial: Trial[Plan]) -> None:
    """Let a trial of a relay cut the plans that fail down, by few attempts, because each takes a wait."""
    trial.list_shorter, trial.shrink_attempts = Plan.shorter_plans, _RELAY_SHRINK_ATTEMPTS
    trial.measure_size = lambda plan: plan.size
