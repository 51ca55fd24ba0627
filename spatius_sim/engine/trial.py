"""Judges one subject, rule by rule, over many plans."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, cast

from hypothesis.strategies import SearchStrategy

from spatius_sim import __version__
from spatius_sim.engine.detect_dead_subject import mark_subject_dead, may_be_dead, shows_life, waits_for_turns
from spatius_sim.engine.failure_evidence import (
    describe_first_trouble,
    explain_missing_turns,
    failure_of,
    find_unread_reasons,
    pack_player_data,
)
from spatius_sim.engine.search_failing_plan import (
    DRAWN_IN_THIS_PROCESS,
    SHRINK_SECONDS,
    DrawnPlans,
    P,
    shortest_failing,
    smallest_failing,
)
from spatius_sim.net.client.testee_connection import TesteeError
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError
from spatius_sim.reporting.summary import Failure, LongerFailure, RuleOutcome
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Broken, Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.subject_base import Subject, WorkLoop
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.trace.events import Trace
from spatius_sim.trace.known_secrets import KnownSecrets

REAL_CLOCK_PLANS = 4
"""So many plans of each kind, sure and drawn, for a client without a settable clock, because every plan takes
as long as it says."""
_PLAN_SECONDS = 400.0
_OVERTIME_SECONDS = 10.0
"""For so long after the deadline, scenarios that broke a rule may be repeated."""
_LIFELESS_SCENARIOS = 3
"""A subject that gives no sign of life in its first scenarios counts as unreachable after so many."""
_SIGN_OF_LIFE = Plan(((TurnPlan(PLAN_SAMPLE_RATE, 3200),),))
"""One ordinary turn, to find out whether a subject still lives."""
_LIFE_TRIES = (False, True, True)
"""A subject that leaves these turns unanswered is lost: the first, which may be waited for shortly, and the
others, which are waited for with patience."""
_MAX_LOSSES = 5
"""A subject that was lost so often is not started again."""
_ALIVE = "R-ALIVE"
_RECOVER = "R-RECOVER"
"""The rules that a dead relay breaks."""
_BLOCKED_SCENARIOS = 3
"""If so many scenarios broke what a rule presumes, or broke the rule by what another rule had failed for, and
no scenario kept it, no further scenario is run for the rule."""
_RELAY_SHRINK_ATTEMPTS = 12
"""So many shorter plans of a relay are tried for one failure."""
_REPETITIONS = 3
"""A breach that is not seen again in so many repetitions of its scenario may be noise."""


class _OutOfTimeError(UnreachableError):
    """The deadline came while a scenario was run: nothing can be said of it."""


def _no_shorter_plans(plan: object) -> tuple[()]:
    """Return no plans: the plans of this trial cannot be cut down."""
    return ()


@dataclass(frozen=True, slots=True)
class _Sighting(Generic[P]):
    """A plan that broke a rule, what the rule said of it, and the trace in which it did."""

    plan: P
    judgement: Judgement
    trace: Trace


@dataclass(slots=True)
class Trial(Generic[P]):
    """Judges a subject. Every plan is run once, and judged by all rules.

    `traces` is the folder where the traces of failures are saved. `shorter` returns the plans that a failing
    plan may be cut down to. `on_trace` is called with every trace. At `deadline`, in monotonic seconds, the
    scenario that runs is cut off; after it, a scenario is begun only to repeat one that broke a rule, for
    some seconds.

    Every breach that was seen is reported. Its scenario is repeated with all the patience that the user
    allows: FAILED if the rule is broken again, INCONCLUSIVE if it is not. There is one exception: if a wait
    was cut short, and a full wait shows that the rule is kept, there was no breach.

    One fault is one accusation. A breach that follows from another rule (`Broken.follows_from`) does not
    count if that rule failed in this run: the report says that it blocks this rule. A relay that dies breaks
    R-ALIVE, or R-RECOVER if it did not survive a failure of Motion Server; it breaks nothing else by that.
    """

    subject: Subject[P]
    loop: WorkLoop
    seed: int
    traces: Path
    examples: int
    shrink_seconds: float = SHRINK_SECONDS
    deadline: float = math.inf
    shorter: Callable[[P], Iterable[P]] = _no_shorter_plans
    shrink_attempts: float = math.inf
    """How many such plans are tried at most for one failure: each may be waited for."""
    size: Callable[[P], tuple[int, ...]] | None = None
    """Returns how much happens in a plan. If it is set, a failure is shown in the smallest plan that was run
    and broke its rule, whichever rule it was run for."""
    longer: Callable[[P], P | None] | None = None
    """Returns a plan of ordinary length for a failing one, None if there is none. If it is set, each failure
    is shown at ordinary length too; a user who looks at no picture does not wait for that."""
    on_trace: Callable[[Trace], None] | None = None
    on_suspects: Callable[[dict[str, str]], None] | None = None
    """Is called with `suspects` as soon as a scenario breaks a rule that none has broken before."""
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
    """The secrets that must not stand in any outcome."""
    unwritten: list[str] = field(default_factory=list)
    """Why each trace could not be saved, if any."""
    not_understood: int = 0
    """How many messages of the subject were not understood so far."""
    first_not_understood: str = ""
    """Why the first of them was not understood."""
    smallest: dict[str, P] = field(default_factory=dict)
    """The smallest failing plan of each rule that failed."""
    _drawn_plans: DrawnPlans[P] = field(default_factory=lambda: DRAWN_IN_THIS_PROCESS)
    _judgements: dict[P, dict[str, Judgement]] = field(default_factory=dict)
    """What each rule said of each plan that was run, by rule id."""
    _silent_plans: set[P] = field(default_factory=set)
    """The scenarios in which the kit waited for a turn that was never complete."""
    _plans_with_cut_waits: set[P] = field(default_factory=set)
    """The scenarios in which the kit cut a wait short: what is missing there may have arrived later."""
    _first_sightings: dict[str, _Sighting[P]] = field(default_factory=dict)
    """The first scenario that broke each rule."""
    _unconfirmed_plans: dict[str, dict[P, str]] = field(default_factory=dict)
    """By rule: the scenarios that broke it once and not again, with what happened when they were repeated."""
    _unbroken_rules: dict[str, None] = field(default_factory=dict)
    """The rules that were judged, and that a scenario of another rule may still break."""
    _plans_of_passed: dict[str, tuple[P, ...]] = field(default_factory=dict)
    """The scenarios of each rule that passed, and that may still turn out to be hidden by a failed rule."""
    _plans_before_life: dict[str, tuple[P, ...]] = field(default_factory=dict)
    """The scenarios of each rule that could not be judged, because the subject had completed no turn yet."""
    _failed_rules: set[str] = field(default_factory=set)
    """The rules that failed, and were seen to be broken again."""
    _outcomes_of_losses: dict[str, RuleOutcome] = field(default_factory=dict)
    """The outcomes of the rules that say how a relay was lost, by rule id."""
    _losses: int = 0
    """How often the subject was lost after its first clean turn."""
    _unreachable: str = ""
    """Why the subject counts as unreachable; "" if it does not."""
    _attached: bool = False
    _clean_turn_completed: bool = False
    _overtime_until: float = math.inf
    """When no scenario may be repeated any more, once the deadline is over."""
    _lifeless_count: int = 0
    """Scenarios without a sign of life, before the first clean turn."""

    def judge(
        self, rule_id: str, plans: SearchStrategy[P], sure: Sequence[P] = (), most: int | None = None
    ) -> RuleOutcome:
        """Judge one rule, and return its outcome. The plans in `sure` are run first, then plans drawn from
        `plans`: as many as the profile says, and no more than `most`."""
        if rule_id in self._outcomes_of_losses:
            return self._outcomes_of_losses[rule_id]
        if self._out_of_time():
            return self.left_open(rule_id, "out of time: it was not reached")
        if not self._try_attach():
            return self._outcome_after_loss(rule_id)
        real_clock = getattr(self.subject, "real_clock", False)
        examples = REAL_CLOCK_PLANS if real_clock else self.examples
        sure = sure[:REAL_CLOCK_PLANS] if real_clock else sure
        examples = examples if most is None else min(most, examples)
        judgements: dict[P, Judgement] = {}
        fatal_errors: list[SpatiusSimError] = []
        plans_out_of_time: set[P] = set()
        plans_cut_off: set[P] = set()

        def fails(plan: P) -> bool:
            """Run this plan on the subject of the trial, and return whether the plan breaks the rule that is
            judged. Do not run the plan, and return False, if nothing can be learnt from it or no time is
            left."""
            if fatal_errors or any(
                judgement.verdict is Verdict.NOT_APPLICABLE for judgement in judgements.values()
            ):
                return False
            if plan not in self._judgements and self._are_all_blocked(judgements.values()):
                return False
            if plan not in self._judgements and self._out_of_time():
                plans_out_of_time.add(plan)
                return False
            try:
                judgement = self._run_and_judge(rule_id, plan)
            except _OutOfTimeError:
                plans_cut_off.add(plan)
                return False
            except (UnreachableError, TesteeError) as error:
                fatal_errors.append(error)
                return False
            judgements[plan] = judgement
            return self._may_fail(rule_id, plan)

        def find_smallest_failing() -> P | None:
            """Search among the plans of this trial for one that breaks the rule, cut it down as far as the
            time goes, and return it; None if no plan breaks the rule."""
            plan = smallest_failing(
                plans,
                fails,
                sure=sure,
                examples=examples,
                from_seed=self.seed,
                shrink_seconds=self.shrink_seconds,
                drawn=self._drawn_plans,
            )
            if plan is None:
                return None
            plan = self._smallest_known(rule_id, plan)
            return shortest_failing(plan, fails, self.shorter, self.shrink_seconds, self.shrink_attempts)

        try:
            while (plan := find_smallest_failing()) is not None and not fatal_errors:
                self._confirm_causes_first(rule_id, plan)
                if not self._may_fail(rule_id, plan):
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
            return self._outcome_at_loss(rule_id, self.secrets.redact_text(str(error)), len(judgements))
        if self._unconfirmed_plans.get(rule_id):
            return self._make_unconfirmed_outcome(rule_id, len(judgements))
        blocked_outcome = self._outcome_explained(rule_id, judgements.values())
        if blocked_outcome is not None:
            return blocked_outcome
        if plans_cut_off:
            reason = f"out of time: a scenario was cut off; {len(judgements)} were run before"
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, 0, len(judgements), reason=reason)
        if plans_out_of_time and (self._clean_turn_completed or not judgements):
            reason = (
                f"out of time after {len(judgements)} of {len(judgements) + len(plans_out_of_time)} scenarios"
            )
            return self.left_open(rule_id, reason, len(judgements))
        outcome = self._outcome_unbroken(rule_id, list(judgements.values()))
        if outcome.verdict is Verdict.PASSED:
            self._plans_of_passed[rule_id] = tuple(judgements)
        if not self._clean_turn_completed:
            self._plans_before_life[rule_id] = tuple(judgements)
        if outcome.verdict in (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE) and not outcome.blocked_by:
            return self._confirm_earlier_breaches(rule_id) or outcome
        return outcome

    def left_open(self, rule_id: str, reason: str, scenarios: int = 0) -> RuleOutcome:
        """Return the outcome of a rule that the trial does not judge any further, for this reason:
        UNEXERCISED, unless a scenario of another rule broke the rule."""
        unexercised = RuleOutcome(rule_id, Verdict.UNEXERCISED, 0, scenarios, reason=reason)
        return self._outcomes_of_losses.get(rule_id) or self._confirm_earlier_breaches(rule_id) or unexercised

    def find_newly_broken(self, outcome: RuleOutcome) -> list[RuleOutcome]:
        """Remember that the trial has judged the rule of this `outcome`, and return new outcomes of rules
        that were judged before: FAILED or INCONCLUSIVE if a scenario of another rule has broken the rule
        since; UNEXERCISED if a rule that has failed since hides it; and the outcome of a rule that was judged
        before the subject had completed any turn."""
        if outcome.verdict in (Verdict.PASSED, Verdict.UNEXERCISED) and not outcome.blocked_by:
            self._unbroken_rules[outcome.rule_id] = None
        newly_broken = [
            broken
            for rule_id in self._unbroken_rules
            if (broken := self._outcomes_of_losses.get(rule_id) or self._confirm_earlier_breaches(rule_id))
        ]
        for broken in newly_broken:
            del self._unbroken_rules[broken.rule_id]
            self._plans_of_passed.pop(broken.rule_id, None)
        return newly_broken + self._take_back_hidden() + self._judge_after_life()

    def _judge_after_life(self) -> list[RuleOutcome]:
        """Return a new outcome for each rule whose scenarios came before the first turn that the subject of
        this trial completed, once it has completed one: what those scenarios showed counts after all."""
        if not self._clean_turn_completed:
            return []
        waiting, self._plans_before_life = self._plans_before_life, {}
        outcomes = []
        for rule_id, plans in waiting.items():
            outcome = self._outcome_unbroken(rule_id, [self._judgements[plan][rule_id] for plan in plans])
            if outcome.verdict is Verdict.PASSED:
                self._plans_of_passed[rule_id] = plans
            self._unbroken_rules[rule_id] = None
            outcomes.append(outcome)
        return outcomes

    def _take_back_hidden(self) -> list[RuleOutcome]:
        """Return an outcome UNEXERCISED for each rule that had passed in this trial and that a rule which
        failed later hides: so it does not matter which of the two was judged first."""
        taken_back = []
        for rule_id, plans in list(self._plans_of_passed.items()):
            outcome = self._outcome_unbroken(rule_id, [self._judgements[plan][rule_id] for plan in plans])
            if outcome.verdict is not Verdict.PASSED:
                taken_back.append(outcome)
                del self._plans_of_passed[rule_id]
        return taken_back

    def _may_fail(self, rule_id: str, plan: P) -> bool:
        """Return whether this scenario broke the rule in a way that follows from no failed rule. A scenario
        that kept the rule when it was repeated does not count."""
        broken = self._unexplained_breaches(self._judgements[plan][rule_id])
        return bool(broken) and plan not in self._unconfirmed_plans.get(rule_id, ())

    def _are_all_blocked(self, judgements: Collection[Judgement]) -> bool:
        """Return whether a failed rule hides or explains all of these judgements of one rule, and there are
        enough of them to run no further scenario."""
        return len(judgements) >= _BLOCKED_SCENARIOS and all(
            judgement.blocked_by or (judgement.broken and not self._unexplained_breaches(judgement))
            for judgement in judgements
        )

    def _smallest_known(self, rule_id: str, plan: P) -> P:
        """Return the smallest of the plans that were run and may fail this rule, if plans have a size; else
        this `plan`, which may fail it."""
        if self.size is None:
            return plan
        known = [known for known in self._judgements if self._may_fail(rule_id, known)]
        return min((plan, *known), key=self.size)

    def _unexplained_breaches(self, judgement: Judgement) -> tuple[Broken, ...]:
        """Return the breaches of a rule that follow from no rule that failed in this trial."""
        return tuple(
            broken for broken in judgement.broken if not self._failed_rules.intersection(broken.follows_from)
        )

    def _confirm_causes_first(self, rule_id: str, plan: P) -> None:
        """Before the trial judges `rule_id`, judge the rules from which its breach in this plan may follow:
        repeat the plans that broke such a rule, unless it has failed already. So the report names a cause
        before its consequence."""
        for broken in self._unexplained_breaches(self._judgements[plan][rule_id]):
            for cause in broken.follows_from:
                if cause not in self._failed_rules:
                    self._confirm_earlier_breaches(cause)

    def _confirm_earlier_breaches(self, rule_id: str) -> RuleOutcome | None:
        """Repeat every plan of this trial that has broken the rule before, and return the rule's outcome:
        FAILED if the rule breaks again, INCONCLUSIVE if it does not, None if no plan broke it. This runs even
        after the deadline, because a breach that was seen must be reported."""
        # A plan is slow to find in a mapping, so those that broke nothing are left out before.
        broken_plans = [plan for plan, judgements in self._judgements.items() if judgements[rule_id].broken]
        plans = [plan for plan in broken_plans if self._may_fail(rule_id, plan)]
        for plan in plans if self.size is None else sorted(plans, key=self.size):
            self._confirm_causes_first(rule_id, plan)
            if not self._may_fail(rule_id, plan):
                continue
            try:
                failed_outcome = self._confirm_by_repeating(rule_id, plan, 1)
            except (UnreachableError, TesteeError) as error:
                why_not_repeated = f"it could not be repeated: {self.secrets.redact_text(str(error))}"
                self._unconfirmed_plans.setdefault(rule_id, {})[plan] = why_not_repeated
                break
            if failed_outcome is not None:
                return failed_outcome
        return self._make_unconfirmed_outcome(rule_id, 1) if self._unconfirmed_plans.get(rule_id) else None

    def judgements(self) -> Collection[dict[str, Judgement]]:
        """Return what each rule said of each scenario, by rule id, in the order of the scenarios."""
        return self._judgements.values()

    def suspects(self) -> dict[str, str]:
        """Return what `broken_so_far` returns, but leave out scenarios in which a wait was cut short: what
        is missing there may have come later."""
        return self.broken_so_far(leave_out=self._plans_with_cut_waits)

    def broken_so_far(self, leave_out: Collection[P] = ()) -> dict[str, str]:
        """Return the rules that scenarios of this trial have broken so far, each with what happened instead
        the first time; leave out the plans in `leave_out`, and what follows from a rule that has failed. No
        breach is confirmed yet."""
        broken_rules: dict[str, str] = {}
        for plan, judgements in self._judgements.items():
            for rule_id, judgement in () if plan in leave_out else judgements.items():
                for broken in self._unexplained_breaches(judgement)[:1]:
                    broken_rules.setdefault(rule_id, broken.actual)
        return broken_rules

    def detach(self) -> None:
        """Detach the subject, if it is attached."""
        if self._attached:
            self.loop.run(self.subject.detach(), _PLAN_SECONDS)

    def _out_of_time(self) -> bool:
        return time.monotonic() >= self.deadline

    def _try_attach(self) -> bool:
        """Attach the subject of the trial if it is not attached, and return whether it is attached now. A
        subject that cannot be reached is tried only once. A subject that was lost before must show life
        again."""
        if not self._attached and not self._unreachable:
            try:
                self.loop.run(self.subject.attach(), None)
                self._attached = True
                if self._losses:
                    self._check_life()
            except UnreachableError as error:
                self._attached = False
                prefix = "the relay was lost: " if self._losses else ""
                self._unreachable = self.secrets.redact_text(f"{prefix}{error}")
        return self._attached

    def _outcome_after_loss(self, rule_id: str) -> RuleOutcome:
        """Return the outcome of a rule in this trial after the subject was lost: FAILED if a plan had broken
        the rule before, otherwise INCONCLUSIVE. It is INCONCLUSIVE, too, if a wait in the plan that broke the
        rule was cut short; the breach is then noted as unconfirmed."""
        for plan, judgements in self._judgements.items():
            broken = self._unexplained_breaches(judgements[rule_id])
            if broken and plan in self._plans_with_cut_waits:
                why_not_repeated = "it was lost before it could be waited for with patience"
                self._unconfirmed_plans.setdefault(rule_id, {})[plan] = (
                    f"{why_not_repeated}: {self._unreachable}"
                )
            elif broken:
                failure = Failure(broken[0].expected, broken[0].actual, str(plan), "", confirmed=False)
                return RuleOutcome(rule_id, Verdict.FAILED, judgements[rule_id].exercised, 1, failure=failure)
        if self._unconfirmed_plans.get(rule_id):
            return self._make_unconfirmed_outcome(rule_id, 1)
        return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=self._unreachable)

    def _run_and_judge(self, rule_id: str, plan: P) -> Judgement:
        """Return what the rule says of a plan in this trial; the plan is run only if the trial has not run it
        before. Raises UnreachableError if the subject has shown no sign of life in its first plans."""
        if plan not in self._judgements:
            trace = self._run(plan)
            self._keep_judgements(plan, trace, judge(trace))
            if not self._clean_turn_completed and self._lifeless_count >= _LIFELESS_SCENARIOS:
                self._attached = False
                raise UnreachableError(self._unreachable)
        return self._judgements[plan][rule_id]

    def _keep_judgements(self, plan: P, trace: Trace, judgements: dict[str, Judgement]) -> None:
        """Keep in the trial how all rules judged a plan, and for each rule the first trace in which it was
        broken. If a rule was now broken for the first time, call `on_suspects`."""
        self._judgements[plan] = judgements
        if not all(wait.complete for wait in waits_for_turns(trace)):
            self._silent_plans.add(plan)
        sightings_before = len(self._first_sightings)
        for rule_id, judgement in judgements.items():
            if judgement.verdict is Verdict.FAILED:
                self._first_sightings.setdefault(rule_id, _Sighting(plan, judgement, trace))
        if self.on_suspects is not None and len(self._first_sightings) > sightings_before:
            self.on_suspects(self.suspects())

    def _run(self, plan: P, *, patient: bool = False) -> Trace:
        """Run a plan on the subject, count signs of life, and return the trace. Raises UnreachableError if
        the subject is lost, and _OutOfTimeError if the deadline comes first; a `patient` run repeats a
        scenario that broke a rule, and may take some seconds more."""
        try:
            trace = self._run_in_time(plan, patient=patient)
        except _OutOfTimeError:
            raise
        except UnreachableError as error:
            self._note_loss(plan, getattr(self.subject, "last_trace", None), str(error))
            raise
        if not patient and self.subject.cut_a_wait_short:
            self._plans_with_cut_waits.add(plan)
        if self.on_trace is not None:
            self.on_trace(trace)
        self._count_unread_messages(trace)
        if shows_life(trace):
            self._clean_turn_completed = True
        elif not self._clean_turn_completed:
            self._lifeless_count += 1
            if self._lifeless_count >= _LIFELESS_SCENARIOS:
                self._unreachable = f"{self.subject.target} completed no turn: {explain_missing_turns(trace)}"
        if self._clean_turn_completed and may_be_dead(trace):
            try:
                self._check_life()
            except _OutOfTimeError:
                raise
            except UnreachableError as error:
                self._note_loss(plan, trace, str(error))
                raise
        return trace

    def _count_unread_messages(self, trace: Trace) -> None:
        """Count the messages that the kit did not understand in the trace of one of the trial's scenarios.
        Keep the reason for the first such message of the whole trial."""
        reasons = find_unread_reasons(trace)
        self.not_understood += len(reasons)
        if reasons and not self.first_not_understood:
            self.first_not_understood = self.secrets.redact_text(reasons[0])

    def _run_in_time(self, plan: P, *, patient: bool) -> Trace:
        """Run a plan on the subject of the trial, and return the trace. A `patient` run may go on for some
        seconds after the deadline. Raises _OutOfTimeError if the time is over, and UnreachableError if the
        plan takes far too long."""
        seconds_left = self.deadline - time.monotonic()
        if patient and seconds_left > 0:
            seconds_left += _OVERTIME_SECONDS
        elif patient:
            self._overtime_until = min(self._overtime_until, time.monotonic() + _OVERTIME_SECONDS)
            seconds_left = self._overtime_until - time.monotonic()
        if seconds_left <= 0:
            raise _OutOfTimeError("out of time")
        seconds = min(_PLAN_SECONDS, seconds_left)
        try:
            return self.loop.run(self.subject.run(plan, patient=patient), seconds)
        except TimeoutError as error:
            if seconds < _PLAN_SECONDS:
                raise _OutOfTimeError(f"out of time: a scenario was cut off after {seconds:.0f} s") from error
            raise UnreachableError(f"a scenario took longer than {_PLAN_SECONDS:.0f} s") from error

    def _check_life(self) -> None:
        """Check whether the subject of the trial still lives: let ordinary turns be spoken to it until it
        gives a sign of life. Raises UnreachableError if it gives none."""
        for patient in _LIFE_TRIES:
            trace = self._run_in_time(cast(P, _SIGN_OF_LIFE), patient=patient)
            if shows_life(trace):
                return
        trouble = (
            describe_first_trouble(trace) or "it sends nothing to Motion Server, and no motion to its client"
        )
        output = getattr(self.subject, "last_output", "")
        last_words = f"; its last output: {output}" if output else ""
        raise UnreachableError(f"it does nothing any more: {trouble}{last_words}")

    def _note_loss(self, plan: P, trace: Trace | None, reason: str) -> None:
        """Note that the subject was lost in this scenario, unless it had completed no turn before. What the
        trace of a dying relay breaks follows from its death: only the rule that reports the death counts."""
        if trace is not None and shows_life(trace):
            self._clean_turn_completed = True
        if not self._clean_turn_completed:
            return
        self._losses += 1
        if self._losses >= _MAX_LOSSES:
            self._unreachable = self.secrets.redact_text(f"the relay was lost {self._losses} times: {reason}")
        if self.subject.kind != "relay":
            return
        if trace is None:
            failure = Failure("the relay goes on answering", reason, str(plan), "", confirmed=False)
            self._outcomes_of_losses.setdefault(
                _ALIVE, RuleOutcome(_ALIVE, Verdict.FAILED, 1, 1, failure=failure)
            )
            return
        lost_trace = mark_subject_dead(trace)
        sightings = self._first_sightings.items()
        self._first_sightings = {name: seen for name, seen in sightings if seen.plan != plan}
        judgements = judge(lost_trace)
        self._keep_judgements(plan, lost_trace, judgements)
        self._plans_with_cut_waits.discard(plan)
        for rule_id in (_RECOVER, _ALIVE):
            if rule_id in self._outcomes_of_losses:
                continue  # The tape of the first loss is the evidence.
            judgement = judgements[rule_id]
            if judgement.broken:
                failure = self._make_failure(_Sighting(plan, judgement, lost_trace), confirmed=True)
                actual = reason if rule_id == _ALIVE else f"{failure.actual}; {reason}"
                failure = replace(failure, actual=self.secrets.redact_text(actual))
                outcome = RuleOutcome(rule_id, Verdict.FAILED, judgement.exercised, 1, failure=failure)
                self._failed_rules.add(rule_id)
                self.smallest[rule_id] = plan
                self._outcomes_of_losses.setdefault(rule_id, outcome)
            elif _RECOVER in judgement.blocked_by:
                outcome = RuleOutcome(
                    rule_id,
                    Verdict.UNEXERCISED,
                    reason=judgement.reason,
                    blocked_by=judgement.blocked_by,
                )
                self._outcomes_of_losses.setdefault(rule_id, outcome)

    def _confirm_by_repeating(self, rule_id: str, plan: P, scenarios: int) -> RuleOutcome | None:
        """Repeat a scenario that broke a rule. Return the failure, with the new trace as evidence, if the
        rule is broken again; else None. The scenario is then unconfirmed, unless a wait had been cut short in
        it and the rule is kept now."""
        self.smallest[rule_id] = plan
        for _ in range(_REPETITIONS):
            try:
                trace = self._run(plan, patient=True)
            except _OutOfTimeError:
                self._unconfirmed_plans.setdefault(rule_id, {})[plan] = "there was no time to repeat it"
                return None
            judgements = judge(trace)
            repeated_judgement = judgements[rule_id]
            if self._unexplained_breaches(repeated_judgement):
                self._failed_rules.add(rule_id)
                failure = self._make_failure(_Sighting(plan, repeated_judgement, trace), confirmed=True)
                failure = replace(failure, longer=self._find_longer_failure(rule_id, plan))
                return RuleOutcome(
                    rule_id, Verdict.FAILED, repeated_judgement.exercised, scenarios, failure=failure
                )
            if repeated_judgement.verdict is Verdict.PASSED and plan in self._plans_with_cut_waits:
                self._plans_with_cut_waits.discard(plan)
                self._first_sightings = {
                    name: sighting
                    for name, sighting in self._first_sightings.items()
                    if sighting.plan != plan
                }
                self._keep_judgements(plan, trace, judgements)
                return None
        what_happened = f"it was not seen again when repeated {_REPETITIONS} times"
        self._unconfirmed_plans.setdefault(rule_id, {})[plan] = what_happened
        return None

    def _find_longer_failure(self, rule_id: str, plan: P) -> LongerFailure | None:
        """Return how a longer scenario of this trial, of ordinary length, breaks the rule; run this scenario
        if the trial has not. None if the rule is not broken there, if no report shows it, or if time is up.
        The verdict does not depend on this scenario."""
        if self.longer is None or self._out_of_time():
            return None
        longer = self.longer(plan)
        first_sighting = self._first_sightings.get(rule_id)
        if longer is not None:
            try:
                trace = self._run_in_time(longer, patient=False)
            except (UnreachableError, TesteeError):
                return None  # The next scenario reports that the subject is lost.
        elif self.subject.kind == "client" and first_sighting is not None and first_sighting.plan != plan:
            longer, trace = first_sighting.plan, first_sighting.trace
        else:
            return None
        broken = self._unexplained_breaches(judge(trace)[rule_id])
        return LongerFailure(str(longer), pack_player_data(trace, broken[0])) if broken else None

    def _make_unconfirmed_outcome(self, rule_id: str, scenarios: int) -> RuleOutcome:
        """Return the trial's outcome for a rule that was broken by one scenario, but was kept when the trial
        ran this scenario again: INCONCLUSIVE, with the failure."""
        unconfirmed = self._unconfirmed_plans[rule_id]
        first_sighting = self._first_sightings.get(rule_id)
        plan = (
            first_sighting.plan
            if first_sighting is not None and first_sighting.plan in unconfirmed
            else next(iter(unconfirmed))
        )
        self.smallest[rule_id] = plan
        judgement = self._judgements[plan][rule_id]
        broken = (self._unexplained_breaches(judgement) or judgement.broken)[0]
        if first_sighting is not None and first_sighting.plan == plan:
            failure = self._make_failure(first_sighting, confirmed=False)
        else:
            failure = Failure(broken.expected, broken.actual, str(plan), "", confirmed=False)
        reason = f"broken once ({broken.actual}), but {unconfirmed[plan]}"
        return RuleOutcome(
            rule_id, Verdict.INCONCLUSIVE, judgement.exercised, scenarios, reason=reason, failure=failure
        )

    def _make_failure(self, sighting: _Sighting[P], *, confirmed: bool) -> Failure:
        """Return the failure that this trial saw in a trace, and save the trace as a tape. If the tape cannot
        be written, the failure names no tape."""
        path = self.traces / f"{sighting.judgement.rule_id}.tape"
        broken = (self._unexplained_breaches(sighting.judgement) or sighting.judgement.broken)[0]
        failure = failure_of(broken, sighting.trace, str(sighting.plan), path, confirmed=confirmed)
        failure = replace(failure, silence=sighting.plan in self._silent_plans)
        if errors := self.secrets.redact_text(getattr(self.subject, "last_errors", "")):
            stderr = "\n".join(f"     {line}" for line in errors.splitlines())
            failure = replace(failure, dialogue=f"{failure.dialogue}\nits stderr ends so:\n{stderr}")
        try:
            write_traces(path, suite_header(self.seed), [sighting.trace])
        except UsageError as error:
            self.unwritten.append(str(error))
            return replace(failure, trace="")
        return failure

    def _outcome_at_loss(self, rule_id: str, reason: str, scenarios: int) -> RuleOutcome:
        """Return the outcome of the rule whose scenario was running when the trial lost its subject.

        A subject that has completed no clean turn was never reached, and the outcome says so. If a relay was
        lost, the rule is INCONCLUSIVE, because R-ALIVE (a relay goes on answering) reports the loss. If a
        server or a client was lost, the rule is FAILED."""
        if not self._clean_turn_completed:
            self._attached = False
            self._unreachable = self._unreachable or reason
            return self._outcome_after_loss(rule_id)
        if self.subject.kind == "relay":
            self.detach()
            self._attached = False
            return self._outcomes_of_losses.get(rule_id) or RuleOutcome(
                rule_id, Verdict.INCONCLUSIVE, 0, scenarios, reason=f"the relay was lost: {reason}"
            )
        self._attached = False
        failure = Failure("the subject goes on answering", reason, "", "", confirmed=False)
        return RuleOutcome(rule_id, Verdict.FAILED, 0, scenarios, failure=failure)

    def _outcome_explained(self, rule_id: str, judgements: Iterable[Judgement]) -> RuleOutcome | None:
        """Return the outcome UNEXERCISED of a rule that this trial saw broken only as a consequence of other
        rules, which have failed. None if no scenario of the trial broke the rule."""
        for judgement in judgements:
            for broken in judgement.broken:
                causes = tuple(cause for cause in broken.follows_from if cause in self._failed_rules)
                reason = f"not judged where {', '.join(causes)} failed: {broken.actual}"
                return RuleOutcome(rule_id, Verdict.UNEXERCISED, reason=reason, blocked_by=causes)
        return None

    def _outcome_unbroken(self, rule_id: str, judgements: list[Judgement]) -> RuleOutcome:
        """Return the outcome of a rule that no scenario of the trial broke, with these judgements of its
        scenarios: PASSED only if one of them exercised the rule, and no failed rule hid it in another, nor
        hid a breach of it in a scenario of another rule."""
        if not self._clean_turn_completed:
            reason = f"{self.subject.target} completed no turn"
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=reason)
        for judgement in judgements:
            if judgement.verdict is Verdict.NOT_APPLICABLE:
                return RuleOutcome(rule_id, Verdict.NOT_APPLICABLE, reason=judgement.reason)
        exercised = sum(judgement.exercised for judgement in judgements)
        breaches = [said[rule_id] for said in self._judgements.values() if said[rule_id].hides_breach]
        hidden = [
            judgement
            for judgement in (*judgements, *breaches)
            if self._failed_rules.intersection(judgement.blocked_by)
        ]
        if exercised and not hidden:
            measured = tuple(value for judgement in judgements for value in judgement.measurements)
            unit = find_rule(rule_id).unit
            return RuleOutcome(
                rule_id, Verdict.PASSED, exercised, len(judgements), measurements=measured, unit=unit
            )
        reason = next((judgement.reason for judgement in hidden or judgements if judgement.reason), "")
        inconclusive = [judgement for judgement in judgements if judgement.verdict is Verdict.INCONCLUSIVE]
        if inconclusive:
            return RuleOutcome(
                rule_id, Verdict.INCONCLUSIVE, 0, len(judgements), reason=inconclusive[0].reason
            )
        blocked_by = dict.fromkeys(
            name for judgement in hidden or judgements for name in judgement.blocked_by
        )
        return RuleOutcome(
            rule_id, Verdict.UNEXERCISED, 0, len(judgements), reason=reason, blocked_by=tuple(blocked_by)
        )


def cut_down_relay_plans(trial: Trial[Plan]) -> None:
    """Let a trial of a relay cut the plans that fail down, by few attempts, because each takes a wait."""
    trial.shorter, trial.shrink_attempts = Plan.shorter_plans, _RELAY_SHRINK_ATTEMPTS
    trial.size = lambda plan: plan.size


def suite_header(seed: int) -> TapeHeader:
    """Return the header of a tape that a run writes. Speech stays on such a tape: it is made from the seed,
    and is not a person's voice."""
    redactions = ("secrets", "names")
    return TapeHeader("suite", int(time.time() * 1000), __version__, seed, (PLAN_SAMPLE_RATE,), redactions)
