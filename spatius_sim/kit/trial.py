"""A trial: one subject, judged rule by rule over many plans."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic

from hypothesis.strategies import SearchStrategy

from spatius_sim import __version__
from spatius_sim.dialects.events import Motion
from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.evidence import failure_of
from spatius_sim.kit.hints import what_was_seen
from spatius_sim.kit.plans import PLAN_SAMPLE_RATE, Plan
from spatius_sim.kit.search import SHRINK_SECONDS, P, shortest_failing, smallest_failing
from spatius_sim.kit.subjects import Subject
from spatius_sim.model.trace import Lane, Received, Trace, WaitEnded
from spatius_sim.net.testee import TesteeError
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.reporting.summary import Failure, RuleOutcome
from spatius_sim.rules.catalogue import Verdict, rule
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.judge import judge
from spatius_sim.tape.contents import TapeHeader
from spatius_sim.tape.taping import write_traces

REAL_CLOCK_PLANS = 4
"""For a client without a settable clock: every plan takes as long as it says."""
_PLAN_SECONDS = 400.0
_LIFELESS_SCENARIOS = 3
"""So many scenarios without a sign of life, and there will be none."""
_BLOCKED_SCENARIOS = 3
"""Where so many scenarios broke what a rule presumes, and none did not, no further one is run for it."""


def _nothing_shorter(plan: object) -> tuple[()]:
    return ()


@dataclass(slots=True)
class Trial(Generic[P]):
    """Judges a subject. Every plan is run once, and judged by all rules; `traces` is the folder where the
    traces of failures are saved; `shorter` gives the plans that a failing one is cut down to; `on_trace` is
    told of every trace. Past `deadline`, monotonic seconds, no scenario is begun, but to repeat one that
    broke a rule."""

    subject: Subject[P]
    loop: BackgroundLoop
    seed: int
    traces: Path
    examples: int
    shrink_seconds: float = SHRINK_SECONDS
    deadline: float = math.inf
    shorter: Callable[[P], Iterable[P]] = _nothing_shorter
    on_trace: Callable[[Trace], None] | None = None
    smallest: dict[str, P] = field(default_factory=dict)
    """The smallest failing plan of each rule that failed."""
    _judged: dict[P, dict[str, Judgement]] = field(default_factory=dict)
    _in_silence: set[P] = field(default_factory=set)
    """The scenarios in which something was waited for in vain."""
    _passed: dict[str, set[P]] = field(default_factory=dict)
    """The rules that have passed, and the scenarios of others that broke one and kept it when repeated."""
    _unreachable: str = ""
    _attached: bool = False
    _clean_turn_completed: bool = False
    _lifeless: int = 0
    _silent: int = 0
    """Scenarios in a row, since the last sign of life, in which nothing went wrong that we caused."""

    def judge(
        self, rule_id: str, plans: SearchStrategy[P], sure: Sequence[P] = (), most: int | None = None
    ) -> RuleOutcome:
        """The outcome of one rule over the plans that are `sure` to be run and those that are drawn, `most`
        of them where that is less than there may be."""
        if self._out_of_time():
            return self._not_in_time(rule_id, "out of time: it was not reached", 0)
        if not self._attach():
            return self._from_memory(rule_id)
        examples = REAL_CLOCK_PLANS if getattr(self.subject, "real_clock", False) else self.examples
        examples = examples if most is None else min(most, examples)
        seen: list[Judgement] = []
        lost: list[SpatiusSimError] = []
        left_out: list[P] = []

        def fails(plan: P) -> bool:
            if lost or any(judgement.verdict is Verdict.NOT_APPLICABLE for judgement in seen):
                return False
            if plan not in self._judged and _are_all_blocked(seen):
                return False
            if plan not in self._judged and self._out_of_time():
                left_out.append(plan)
                return False
            try:
                judgement = self._judgement(rule_id, plan)
            except (UnreachableError, TesteeError) as error:
                lost.append(error)
                return False
            seen.append(judgement)
            return judgement.verdict is Verdict.FAILED

        plan = smallest_failing(
            plans,
            fails,
            sure=sure,
            examples=examples,
            from_seed=self.seed,
            shrink_seconds=self.shrink_seconds,
        )
        if plan is not None:
            plan = shortest_failing(plan, fails, self.shorter, self.shrink_seconds)
        try:
            if lost:
                raise lost[0]
            if plan is not None:
                return self._failed(rule_id, plan, len(seen))
        except TesteeError as error:
            self._attached = False
            return RuleOutcome(rule_id, Verdict.ERRORED, 0, len(seen), reason=str(error))
        except UnreachableError as error:
            return self._lost(rule_id, str(error), len(seen))
        if left_out and (self._clean_turn_completed or not seen):
            reason = f"out of time after {len(seen)} of {len(seen) + len(left_out)} scenarios"
            return self._not_in_time(rule_id, reason, len(seen))
        return self._unbroken(rule_id, seen)

    def overturned(self, outcome: RuleOutcome) -> list[RuleOutcome]:
        """The failures of rules that have passed, that of the `outcome` or one before, where a scenario of
        another rule broke them, and again when repeated: what was seen once may be noise."""
        if outcome.verdict is Verdict.PASSED:
            self._passed[outcome.rule_id] = set()
        found: list[RuleOutcome] = []
        for rule_id, kept in list(self._passed.items()):
            failed = self._broken_twice(rule_id, kept)
            if failed is not None:
                del self._passed[rule_id]
                found.append(failed)
        return found

    def _broken_twice(self, rule_id: str, kept: set[P]) -> RuleOutcome | None:
        """The failure of a rule that a scenario broke, and again when repeated; those that kept it join
        `kept`. This has its time even where a run has none left: what was seen is not kept to ourselves."""
        for plan in [p for p, j in self._judged.items() if j[rule_id].verdict is Verdict.FAILED]:
            if plan in kept:
                continue
            try:
                failed = self._failed(rule_id, plan, 1)
            except (UnreachableError, TesteeError):
                return None
            if failed.failure is not None and failed.failure.confirmed:
                return failed
            kept.add(plan)
        return None

    def _not_in_time(self, rule_id: str, reason: str, scenarios: int) -> RuleOutcome:
        open_still = RuleOutcome(rule_id, Verdict.UNEXERCISED, 0, scenarios, reason=reason)
        return self._broken_twice(rule_id, set()) or open_still

    def broken_so_far(self) -> dict[str, str]:
        """What was broken in any scenario yet, by rule: not confirmed, and maybe not to be judged at all."""
        found: dict[str, str] = {}
        for judgements in self._judged.values():
            for rule_id, judgement in judgements.items():
                if judgement.broken:
                    found.setdefault(rule_id, judgement.broken[0].actual)
        return found

    def detach(self) -> None:
        """Let go of the subject."""
        if self._attached:
            self.loop.run(self.subject.detach(), _PLAN_SECONDS)

    def _out_of_time(self) -> bool:
        return time.monotonic() >= self.deadline

    def _attach(self) -> bool:
        if not self._attached and not self._unreachable:
            try:
                self.loop.run(self.subject.attach(), None)
                self._attached = True
            except UnreachableError as error:
                self._unreachable = str(error)
        return self._attached

    def _from_memory(self, rule_id: str) -> RuleOutcome:
        """What the scenarios that were run before the subject was lost say of a rule: a breach that was seen
        stays one, and nothing else is known."""
        for plan, judgements in self._judged.items():
            broken = judgements[rule_id].broken
            if broken:
                failure = Failure(broken[0].expected, broken[0].actual, str(plan), "", confirmed=False)
                return RuleOutcome(rule_id, Verdict.FAILED, judgements[rule_id].exercised, 1, failure=failure)
        return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=self._unreachable)

    def _judgement(self, rule_id: str, plan: P) -> Judgement:
        if plan not in self._judged:
            trace = self._run(plan)
            self._judged[plan] = judge(trace)
            if any(isinstance(event.what, WaitEnded) and not event.what.complete for event in trace.events):
                self._in_silence.add(plan)
            if not self._clean_turn_completed and self._lifeless >= _LIFELESS_SCENARIOS:
                self._attached = False
                raise UnreachableError(self._unreachable)
        return self._judged[plan][rule_id]

    def _run(self, plan: P) -> Trace:
        try:
            trace = self.loop.run(self.subject.run(plan), _PLAN_SECONDS)
        except TimeoutError as error:
            raise UnreachableError(f"a scenario took longer than {_PLAN_SECONDS:.0f} s") from error
        if _shows_life(trace):
            self._clean_turn_completed = True
            self._silent = 0
        elif self._clean_turn_completed and _should_show_life(plan, trace):
            self._silent += 1
            if self._silent >= _LIFELESS_SCENARIOS:
                self._silent = 0
                raise UnreachableError(f"it does nothing any more: {what_was_seen(trace)}")
        elif not self._clean_turn_completed:
            self._lifeless += 1
            if self._lifeless >= _LIFELESS_SCENARIOS:
                self._unreachable = f"{self.subject.target} completed no turn: {what_was_seen(trace)}"
        if self.on_trace is not None:
            self.on_trace(trace)
        return trace

    def _failed(self, rule_id: str, plan: P, scenarios: int) -> RuleOutcome:
        """Run the smallest plan once more: its trace is the evidence where it fails again."""
        self.smallest[rule_id] = plan
        remembered = self._judged[plan][rule_id]
        trace = self._run(plan)
        again = judge(trace)[rule_id]
        confirmed = again.verdict is Verdict.FAILED
        judgement = again if confirmed else remembered
        path = self.traces / f"{rule_id}.tape"
        write_traces(path, suite_header(self.seed), [trace])
        broken = judgement.broken[0]
        failure = failure_of(broken, trace, str(plan), path, confirmed=confirmed)
        failure = replace(failure, silence=plan in self._in_silence)
        return RuleOutcome(rule_id, Verdict.FAILED, judgement.exercised, scenarios, failure=failure)

    def _lost(self, rule_id: str, reason: str, scenarios: int) -> RuleOutcome:
        """A subject that dies after its first clean turn fails the rule being exercised, and leaves the
        others open unless it comes back."""
        self._attached = False
        if not self._clean_turn_completed:
            self._unreachable = self._unreachable or reason
            return self._from_memory(rule_id)
        failure = Failure("the subject goes on answering", reason, "", "", confirmed=False)
        return RuleOutcome(rule_id, Verdict.FAILED, 0, scenarios, failure=failure)

    def _unbroken(self, rule_id: str, seen: list[Judgement]) -> RuleOutcome:
        if not self._clean_turn_completed:
            reason = f"{self.subject.target} completed no turn"
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=reason)
        for judgement in seen:
            if judgement.verdict is Verdict.NOT_APPLICABLE:
                return RuleOutcome(rule_id, Verdict.NOT_APPLICABLE, reason=judgement.reason)
        exercised = sum(judgement.exercised for judgement in seen)
        if exercised:
            measured = tuple(value for judgement in seen for value in judgement.measurements)
            unit = rule(rule_id).unit
            return RuleOutcome(
                rule_id, Verdict.PASSED, exercised, len(seen), measurements=measured, unit=unit
            )
        reason = next((judgement.reason for judgement in seen if judgement.reason), "")
        late = [judgement for judgement in seen if judgement.verdict is Verdict.INCONCLUSIVE]
        if late:
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, 0, len(seen), reason=late[0].reason)
        blocked_by = tuple(dict.fromkeys(name for judgement in seen for name in judgement.blocked_by))
        return RuleOutcome(rule_id, Verdict.UNEXERCISED, 0, len(seen), reason=reason, blocked_by=blocked_by)


def suite_header(seed: int) -> TapeHeader:
    """The header of a tape of ours: its speech is made from the seed, nobody's, and stays on it."""
    redactions = ("secrets", "names")
    return TapeHeader("suite", int(time.time() * 1000), __version__, seed, (PLAN_SAMPLE_RATE,), redactions)


def _are_all_blocked(seen: Sequence[Judgement]) -> bool:
    return len(seen) >= _BLOCKED_SCENARIOS and all(judgement.blocked_by for judgement in seen)


def _should_show_life(plan: object, trace: Trace) -> bool:
    """Whether a whole turn was waited for, with a Motion Server that was well."""
    waited = any(isinstance(event.what, WaitEnded) for event in trace.on(Lane.KIT))
    return waited and not (isinstance(plan, Plan) and plan.motion_server.faults)


def _shows_life(trace: Trace) -> bool:
    """Whether a turn was waited for to its end and anything of it came: its audio at Motion Server, or
    motion. Audio that comes back to the client alone says nothing of a relay: it may be an echo. A client
    that answered a whole plan is alive."""
    waited = any(isinstance(event.what, WaitEnded) for event in trace.on(Lane.KIT))
    if trace.header.subject == "client":
        return True
    return waited and any(
        isinstance(event.what, Received)
        and isinstance(event.what.value, AudioInput | MotionResponse | Motion)
        for event in trace.events
    )
