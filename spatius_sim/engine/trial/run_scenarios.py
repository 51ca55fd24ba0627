"""Runs the scenarios of a trial on its subject: attaches the subject, keeps to the deadline, and notices that
the subject is dead."""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Generic, cast

from spatius_sim.engine.detect_dead_subject import (
    describe_first_trouble,
    explain_missing_turns,
    mark_subject_dead,
    may_be_dead,
    shows_life,
    waits_for_turns,
)
from spatius_sim.engine.failure_evidence import failure_of
from spatius_sim.engine.messages_not_understood import find_reasons_not_understood
from spatius_sim.engine.search_failing_plan import P
from spatius_sim.engine.tapes.run_tape_header import suite_header
from spatius_sim.engine.trial.seen_breaches import SeenBreaches, Sighting
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.reporting.summary import Failure, RuleOutcome
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.subject_base import Subject, WorkLoop
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.trace.events import Trace
from spatius_sim.trace.known_secrets import KnownSecrets

_MAX_PLAN_SECONDS = 400.0
"""If a scenario takes longer, the subject counts as lost."""
_OVERTIME_SECONDS = 10.0
"""For so long after the deadline, scenarios that broke a rule may be repeated."""
_LIFELESS_SCENARIOS = 3
"""A subject that answers nothing in its first scenarios counts as unreachable after so many."""
_ORDINARY_TURN = Plan(((TurnPlan(PLAN_SAMPLE_RATE, 3200),),))
"""One ordinary turn, to find out whether a subject still lives."""
_PATIENCE_OF_LIFE_CHECKS = (False, True, True)
"""A subject that leaves these turns unanswered is lost: the first, which may be waited for shortly, and the
others, which are waited for with patience."""
_NO_LIFE = {
    "relay": "it sends nothing to Motion Server, and no motion to its client",
    "server": "no motion comes for an ordinary turn",
}
"""What is said of each kind of subject that does nothing any more, if nothing else is known."""
_MAX_LOSSES = 5
"""A subject that was lost so often is not started again."""
_ALIVE = "R-ALIVE"
_RECOVER = "R-RECOVER"
"""The rules that a dead relay breaks."""


class OutOfTimeError(UnreachableError):
    """The deadline came while a scenario was run: nothing can be said of it."""


@dataclass(slots=True)
class ScenarioRunner(Generic[P]):
    """Runs each plan of a trial once on the subject, and keeps how all rules judge the trace.

    `traces` is the folder where the traces of failures are saved. `on_trace` is called with every trace. At
    `deadline`, in monotonic seconds, the scenario that runs is cut off; after it, a scenario is begun only to
    repeat one that broke a rule, for some seconds.

    A relay that dies breaks R-ALIVE, or R-RECOVER if it did not survive a failure of Motion Server; it breaks
    nothing else by that."""

    subject: Subject[P]
    loop: WorkLoop
    seed: int
    traces: Path
    _: KW_ONLY
    deadline: float = math.inf
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
    _findings: SeenBreaches[P] = field(default_factory=SeenBreaches)
    _silent_plans: set[P] = field(default_factory=set)
    """The scenarios in which the kit waited for a turn that was never complete: part of it never came."""
    _outcomes_of_losses: dict[str, RuleOutcome] = field(default_factory=dict)
    """The outcomes of the rules that say how a relay was lost, by rule id."""
    _last_run: tuple[P, Trace] | None = None
    """The scenario that was run last, and its trace; None if the subject was lost since, or shown to live."""
    _losses: int = 0
    """How often the subject was lost after its first clean turn."""
    _lost_in: str = ""
    """The scenario in which the subject was lost the last time."""
    _unreachable: str = ""
    """Why the subject counts as unreachable; "" if it does not."""
    _attached: bool = False
    _clean_turn_completed: bool = False
    _overtime_until: float = math.inf
    """When no scenario may be repeated any more, once the deadline is over."""
    _lifeless_count: int = 0
    """How many scenarios the subject has answered nothing in, before the first clean turn."""

    def judgements(self) -> Collection[dict[str, Judgement]]:
        """Return what each rule said of each scenario, by rule id, in the order of the scenarios."""
        return self._findings.judgements_by_plan.values()

    def suspects(self) -> dict[str, str]:
        """Return what `broken_so_far` returns, but leave out scenarios in which a wait was cut short: what
        is missing there may have come later."""
        return self._findings.broken_rules(leave_out=self._findings.plans_with_cut_waits)

    def broken_so_far(self) -> dict[str, str]:
        """Return the rules that scenarios of this trial have broken so far, each with what happened instead
        the first time. No breach is confirmed yet; what a failed rule blocks is left out."""
        return self._findings.broken_rules()

    def detach(self) -> None:
        """Detach the subject, if it is attached."""
        if self._attached:
            self.loop.run(self.subject.detach(), _MAX_PLAN_SECONDS)

    def _out_of_time(self) -> bool:
        return time.monotonic() >= self.deadline

    def _try_attach(self) -> bool:
        """Attach the subject before a scenario is run, if it is not attached yet: start or connect to it.
        Return whether it is attached now. After a first failure, do not try again. A subject that was lost
        before must also answer a turn, as a sign that it lives."""
        if not self._attached and not self._unreachable:
            try:
                self.loop.run(self.subject.attach(), None)
                self._attached = True
                if self._losses:
                    self._check_life()
            except UnreachableError as error:
                self._attached = False
                prefix = f"the {self.subject.kind} was lost: " if self._losses else ""
                self._unreachable = self.secrets.redact_text(f"{prefix}{error}")
        return self._attached

    def _run_and_judge(self, rule_id: str, plan: P) -> Judgement:
        """Return what the rule says of this plan. The plan is run, and judged by all rules, only if it was
        not run before. Raises UnreachableError if the subject has answered nothing in its first scenarios."""
        if plan not in self._findings.judgements_by_plan:
            trace = self._run(plan)
            self._keep_judgements(plan, trace, judge(trace))
            if not self._clean_turn_completed and self._lifeless_count >= _LIFELESS_SCENARIOS:
                self._attached = False
                raise UnreachableError(self._unreachable)
        return self._findings.judgements_by_plan[plan][rule_id]

    def _keep_judgements(self, plan: P, trace: Trace, judgements: dict[str, Judgement]) -> None:
        """Keep how all rules judged a scenario that was run, by rule id, and for each rule the first scenario
        and trace that broke it. If a turn in the trace was never complete, note the scenario in
        `_silent_plans`. If a rule is broken for the first time, call `on_suspects` with all rules that are
        broken so far."""
        self._findings.judgements_by_plan[plan] = judgements
        if not all(wait.complete for wait in waits_for_turns(trace)):
            self._silent_plans.add(plan)
        sightings_before = len(self._findings.first_sightings)
        for rule_id, judgement in judgements.items():
            if judgement.verdict is Verdict.FAILED:
                self._findings.first_sightings.setdefault(rule_id, Sighting(plan, judgement, trace))
        if self.on_suspects is not None and len(self._findings.first_sightings) > sightings_before:
            self.on_suspects(self.suspects())

    def _run(self, plan: P, *, patient: bool = False) -> Trace:
        """Run a plan on the subject, count signs of life, and return the trace. Raises UnreachableError if
        the subject is lost, and OutOfTimeError if the deadline comes first; a `patient` run repeats a
        scenario that broke a rule, and may take some seconds more."""
        try:
            trace = self._run_in_time(plan, patient=patient)
        except OutOfTimeError:
            raise
        except UnreachableError as error:
            self._note_loss(plan, getattr(self.subject, "last_trace", None), str(error))
            raise
        if not patient and self.subject.cut_a_wait_short:
            self._findings.plans_with_cut_waits.add(plan)
        if self.on_trace is not None:
            self.on_trace(trace)
        self._count_messages_not_understood(trace)
        if shows_life(trace):
            self._clean_turn_completed = True
        elif not self._clean_turn_completed:
            self._lifeless_count += 1
            if self._lifeless_count >= _LIFELESS_SCENARIOS:
                self._unreachable = f"{self.subject.target} completed no turn: {explain_missing_turns(trace)}"
        doubtful = self._clean_turn_completed and may_be_dead(trace)
        if doubtful:
            try:
                self._check_life()
            except OutOfTimeError:
                raise
            except UnreachableError as error:
                self._note_loss(plan, trace, str(error))
                raise
        self._last_run = None if doubtful else (plan, trace)
        return trace

    def _count_messages_not_understood(self, trace: Trace) -> None:
        """Count the messages in the trace of a scenario that the kit did not understand, and add them to the
        count of all scenarios (`not_understood`). Keep why the first of them was not understood."""
        reasons = find_reasons_not_understood(trace)
        self.not_understood += len(reasons)
        if reasons and not self.first_not_understood:
            self.first_not_understood = self.secrets.redact_text(reasons[0])

    def _run_in_time(self, plan: P, *, patient: bool) -> Trace:
        """Run a plan on the subject, and return the trace. A `patient` run (a repetition) may go on for some
        seconds after the deadline of the trial. Raises OutOfTimeError if the deadline has passed or cuts the
        run off, and UnreachableError if the run takes longer than any plan may."""
        seconds_left = self.deadline - time.monotonic()
        if patient and seconds_left > 0:
            seconds_left += _OVERTIME_SECONDS
        elif patient:
            self._overtime_until = min(self._overtime_until, time.monotonic() + _OVERTIME_SECONDS)
            seconds_left = self._overtime_until - time.monotonic()
        if seconds_left <= 0:
            raise OutOfTimeError("out of time")
        max_seconds = min(_MAX_PLAN_SECONDS, seconds_left)
        try:
            return self.loop.run(self.subject.run(plan, patient=patient), max_seconds)
        except TimeoutError as error:
            if max_seconds < _MAX_PLAN_SECONDS:
                message = f"out of time: a scenario was cut off after {max_seconds:.0f} s"
                raise OutOfTimeError(message) from error
            raise UnreachableError(f"a scenario took longer than {_MAX_PLAN_SECONDS:.0f} s") from error

    def _check_life(self) -> None:
        """Run a scenario of one ordinary turn, up to three times, to check whether the subject still lives:
        whether it answers some of the turn. Raises UnreachableError, with the trouble and the last output of
        the subject, if it never does."""
        for patient in _PATIENCE_OF_LIFE_CHECKS:
            trace = self._run_in_time(cast(P, _ORDINARY_TURN), patient=patient)
            if shows_life(trace):
                return
        trouble = describe_first_trouble(trace) or _NO_LIFE.get(self.subject.kind, _NO_LIFE["relay"])
        output = getattr(self.subject, "last_output", "")
        last_words = f"; its last output: {output}" if output else ""
        raise UnreachableError(f"it does nothing any more: {trouble}{last_words}")

    def _note_loss(self, plan: P, trace: Trace | None, reason: str) -> None:
        """Note that the subject was lost in this scenario, unless it had completed no turn before. What the
        trace of a dying relay breaks follows from its death: only the rule that reports the death counts. If
        a relay left a turn of the scenario before unanswered, and gave no sign of life in this one, it died
        in the scenario before."""
        if trace is not None and shows_life(trace):
            self._clean_turn_completed = True
        if not self._clean_turn_completed:
            return
        self._losses += 1
        self._lost_in = str(plan)
        if self._losses >= _MAX_LOSSES:
            self._unreachable = self.secrets.redact_text(
                f"the {self.subject.kind} was lost {self._losses} times: {reason}"
            )
        if self.subject.kind != "relay":
            return
        if trace is None:
            failure = Failure("the relay goes on answering", reason, str(plan), "", confirmed=False)
            self._outcomes_of_losses.setdefault(
                _ALIVE, RuleOutcome(_ALIVE, Verdict.FAILED, 1, 1, failure=failure)
            )
            return
        kept: dict[str, Judgement] = {}
        if self._last_run is not None and self._last_run[0] in self._silent_plans and not shows_life(trace):
            plan, trace = self._last_run
            judged_before = self._findings.judgements_by_plan[plan].items()
            kept = {name: judgement for name, judgement in judged_before if not judgement.broken}
        self._last_run = None
        lost_trace = mark_subject_dead(trace)
        self._findings.forget_first_sightings(plan)
        judgements = judge(lost_trace)
        by_death = {name: judgements[name] for name in (_RECOVER, _ALIVE)}
        self._keep_judgements(plan, lost_trace, {**judgements, **kept, **by_death})
        self._findings.plans_with_cut_waits.discard(plan)
        for rule_id in (_RECOVER, _ALIVE):
            if rule_id in self._outcomes_of_losses:
                continue  # The tape of the first loss is the evidence.
            judgement = judgements[rule_id]
            if judgement.broken:
                failure = self._make_failure(Sighting(plan, judgement, lost_trace), confirmed=True)
                actual = reason if rule_id == _ALIVE else f"{failure.actual}; {reason}"
                failure = replace(failure, actual=self.secrets.redact_text(actual))
                outcome = RuleOutcome(rule_id, Verdict.FAILED, judgement.exercised, 1, failure=failure)
                self._findings.failed_rules.add(rule_id)
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

    def _make_failure(self, sighting: Sighting[P], *, confirmed: bool) -> Failure:
        """After a scenario was run and broke a rule (a `sighting`), save its trace as a tape, and return the
        failure for the report. If there are several breaches, the failure shows the first that does not
        follow from another failed rule. If the tape cannot be saved, note why, and the failure names no tape.
        `confirmed`: whether the rule was broken again when the scenario was run again."""
        path = self.traces / f"{sighting.judgement.rule_id}.tape"
        breach = (self._findings.breaches_that_count(sighting.judgement) or sighting.judgement.broken)[0]
        failure = failure_of(breach, sighting.trace, str(sighting.plan), path, confirmed=confirmed)
        failure = replace(failure, silence=sighting.plan in self._silent_plans)
        if errors := self.secrets.redact_text(getattr(self.subject, "last_errors", "")):
            indented_errors = "\n".join(f"     {line}" for line in errors.splitlines())
            dialogue = f"{failure.dialogue}\nits stderr ends so:\n{indented_errors}"
            failure = replace(failure, dialogue=dialogue)
        try:
            write_traces(path, suite_header(self.seed), [sighting.trace])
        except UsageError as error:
            self.unwritten.append(str(error))
            return replace(failure, trace="")
        return failure
