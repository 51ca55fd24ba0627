"""Keeps what the scenarios of a trial showed: how each rule judged each plan, and which breaches count."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic

from spatius_sim.engine.search_failing_plan import P
from spatius_sim.rules.findings import Broken, Judgement
from spatius_sim.trace.events import Trace

_ENOUGH_BLOCKED_SCENARIOS = 3
"""If a failed rule blocks another rule in so many scenarios, and no scenario kept that rule, no further
scenario is run for that rule."""


@dataclass(frozen=True, slots=True)
class Sighting(Generic[P]):
    """A plan that broke a rule, what the rule said of the plan, and the trace in which the rule was
    broken."""

    plan: P
    judgement: Judgement
    trace: Trace


@dataclass(slots=True)
class SeenBreaches(Generic[P]):
    """What the scenarios of one trial showed so far. One plan is one scenario.

    A failed rule blocks another rule in a scenario in two ways: the other rule presumes the failed rule, and
    is therefore not judged; or the other rule was broken, and its breach follows from the failed rule
    (`Broken.follows_from`)."""

    judgements_by_plan: dict[P, dict[str, Judgement]] = field(default_factory=dict)
    """What each rule said of each plan that was run, by rule id."""
    plans_with_cut_waits: set[P] = field(default_factory=set)
    """The plans in which the kit cut a wait short: what is missing there may have arrived later."""
    first_sightings: dict[str, Sighting[P]] = field(default_factory=dict)
    """The first plan that broke each rule."""
    unconfirmed_plans: dict[str, dict[P, str]] = field(default_factory=dict)
    """By rule: the plans that broke it once and not again, with what happened when they were repeated."""
    failed_rules: set[str] = field(default_factory=set)
    """The rules that failed, and were seen to be broken again."""

    def note_unconfirmed(self, rule_id: str, plan: P, what_happened: str) -> None:
        """Note that this plan broke the rule once, and what happened when the plan was to be repeated."""
        self.unconfirmed_plans.setdefault(rule_id, {})[plan] = what_happened

    def forget_first_sightings(self, plan: P) -> None:
        """Forget that this plan was the first to break a rule, whichever rules these are."""
        self.first_sightings = {
            rule_id: sighting for rule_id, sighting in self.first_sightings.items() if sighting.plan != plan
        }

    def breaches_that_count(self, judgement: Judgement) -> tuple[Broken, ...]:
        """Return the breaches in this judgement that count: those that no failed rule blocks, because they do
        not follow from a rule that has failed in this trial."""
        return tuple(
            breach for breach in judgement.broken if not self.failed_rules.intersection(breach.follows_from)
        )

    def holds_certain_breach(self, plan: P) -> bool:
        """Return whether this plan broke any rule in a way that is certain when it is seen once."""
        judgements = self.judgements_by_plan[plan].values()
        return any(broken.seen_once_suffices for judgement in judgements for broken in judgement.broken)

    def may_fail(self, rule_id: str, plan: P) -> bool:
        """Return whether this plan broke the rule in a way that no failed rule blocks. A plan that kept the
        rule when it was repeated does not count."""
        breaches = self.breaches_that_count(self.judgements_by_plan[plan][rule_id])
        return bool(breaches) and plan not in self.unconfirmed_plans.get(rule_id, ())

    def plans_that_may_fail(self, rule_id: str) -> list[P]:
        """Return the plans for which the rule may fail: they broke it, no failed rule explains that, and a
        repetition has not refuted it. They are in the order in which they were run."""
        # A plan is slow to find in a mapping, so those that broke nothing are left out before.
        breaking_plans = [
            plan for plan, judgements in self.judgements_by_plan.items() if judgements[rule_id].broken
        ]
        return [plan for plan in breaking_plans if self.may_fail(rule_id, plan)]

    def find_smallest_seen(
        self, rule_id: str, plan: P, measure_size: Callable[[P], tuple[int, ...]] | None
    ) -> P:
        """Return the smallest of the plans that were seen to break this rule, as `measure_size` measures
        them. They need not break it again when they are repeated. If `measure_size` is None, return this
        `plan`, which is one of them."""
        if measure_size is None:
            return plan
        return min((plan, *self.plans_that_may_fail(rule_id)), key=measure_size)

    def are_enough_blocked(self, judgements: Collection[Judgement]) -> bool:
        """Return whether failed rules block a rule in enough scenarios to stop judging it. Its `judgements`
        must be at least three, and in each of them it was not judged because a rule that it presumes failed,
        or it was broken, and every breach follows from failed rules."""
        return len(judgements) >= _ENOUGH_BLOCKED_SCENARIOS and all(
            judgement.blocked_by or (judgement.broken and not self.breaches_that_count(judgement))
            for judgement in judgements
        )

    def broken_rules(self, leave_out: Collection[P] = ()) -> dict[str, str]:
        """Return the rules that plans have broken so far, by rule id, each with what happened instead the
        first time. Plans in `leave_out` are ignored, and so are breaches that follow from a failed rule. A
        breach counts even if no repetition has confirmed it."""
        what_happened_by_rule: dict[str, str] = {}
        for plan, judgements in self.judgements_by_plan.items():
            if plan in leave_out:
                continue
            for rule_id, judgement in judgements.items():
                if breaches := self.breaches_that_count(judgement):
                    what_happened_by_rule.setdefault(rule_id, breaches[0].actual)
        return what_happened_by_rule
