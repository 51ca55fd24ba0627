"""A trial: one subject, judged rule by rule over many plans."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from spatius_sim import __version__
from spatius_sim.dialects.events import Motion
from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.plans import PLAN_SAMPLE_RATE, Plan
from spatius_sim.kit.search import smallest_failing
from spatius_sim.kit.subjects import Subject
from spatius_sim.model.trace import Lane, Received, Trace, WaitEnded
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.reporting.summary import Failure, RuleOutcome
from spatius_sim.rules.catalogue import Verdict
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.judge import judge
from spatius_sim.tape.contents import TapeHeader
from spatius_sim.tape.taping import write_traces

PLANS_FOR_A_RULE = 20
_PLAN_SECONDS = 120.0

_ADVICE = {
    "relay": "no audio reached our Motion Server; point the relay there with the environment above",
    "server": "it gave no motion for any audio",
}


@dataclass(slots=True)
class Trial:
    """Judges a subject. Every plan is run once, and judged by all rules; `traces` is the folder where the
    traces of failures are saved; `on_trace` is told of every trace."""

    subject: Subject
    loop: BackgroundLoop
    seed: int
    traces: Path
    examples: int = PLANS_FOR_A_RULE
    on_trace: Callable[[Trace], None] | None = None
    _judged: dict[Plan, dict[str, Judgement]] = field(default_factory=dict)
    _unreachable: str = ""
    _attached: bool = False
    _clean_turn_completed: bool = False

    def judge(self, rule_id: str, plans: SearchStrategy[Plan]) -> RuleOutcome:
        """The outcome of one rule over the plans that are drawn."""
        if not self._attach():
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=self._unreachable)
        seen: list[Judgement] = []

        def fails(plan: Plan) -> bool:
            judgement = self._judgement(rule_id, plan)
            seen.append(judgement)
            return judgement.verdict is Verdict.FAILED

        try:
            plan = smallest_failing(plans, fails, examples=self.examples, from_seed=self.seed)
            if plan is not None:
                return self._failed(rule_id, plan, len(seen))
        except UnreachableError as error:
            return self._lost(rule_id, str(error), len(seen))
        return self._unbroken(rule_id, seen)

    def detach(self) -> None:
        """Let go of the subject."""
        if self._attached:
            self.loop.run(self.subject.detach(), _PLAN_SECONDS)

    def _attach(self) -> bool:
        if not self._attached and not self._unreachable:
            try:
                self.loop.run(self.subject.attach(), _PLAN_SECONDS)
                self._attached = True
            except UnreachableError as error:
                self._unreachable = str(error)
        return self._attached

    def _judgement(self, rule_id: str, plan: Plan) -> Judgement:
        if plan not in self._judged:
            self._judged[plan] = judge(self._run(plan))
        return self._judged[plan][rule_id]

    def _run(self, plan: Plan) -> Trace:
        trace = self.loop.run(self.subject.run(plan), _PLAN_SECONDS)
        if self.on_trace is not None:
            self.on_trace(trace)
        self._clean_turn_completed = self._clean_turn_completed or _shows_life(trace)
        return trace

    def _failed(self, rule_id: str, plan: Plan, scenarios: int) -> RuleOutcome:
        """Run the smallest plan once more: its trace is the evidence where it fails again."""
        remembered = self._judged[plan][rule_id]
        trace = self._run(plan)
        again = judge(trace)[rule_id]
        confirmed = again.verdict is Verdict.FAILED
        judgement = again if confirmed else remembered
        path = self.traces / f"{rule_id}.tape"
        write_traces(path, suite_header(self.seed), [trace])
        broken = judgement.broken[0]
        failure = Failure(broken.expected, broken.actual, str(plan), str(path), confirmed)
        return RuleOutcome(rule_id, Verdict.FAILED, judgement.exercised, scenarios, failure=failure)

    def _lost(self, rule_id: str, reason: str, scenarios: int) -> RuleOutcome:
        """A subject that dies after its first clean turn fails the rule being exercised."""
        if not self._clean_turn_completed:
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=reason)
        failure = Failure("the subject answers", reason, "any", "", confirmed=False)
        return RuleOutcome(rule_id, Verdict.FAILED, 0, scenarios, failure=failure)

    def _unbroken(self, rule_id: str, seen: list[Judgement]) -> RuleOutcome:
        if not self._clean_turn_completed:
            reason = f"{self.subject.target} was reached, and completed no turn: {_ADVICE[self.subject.kind]}"
            return RuleOutcome(rule_id, Verdict.INCONCLUSIVE, reason=reason)
        exercised = sum(judgement.exercised for judgement in seen)
        if exercised:
            return RuleOutcome(rule_id, Verdict.PASSED, exercised, len(seen))
        reason = next((judgement.reason for judgement in seen if judgement.reason), "")
        return RuleOutcome(rule_id, Verdict.UNEXERCISED, 0, len(seen), reason=reason)


def suite_header(seed: int) -> TapeHeader:
    """The header of a tape of ours: its speech is made from the seed, nobody's, and stays on it."""
    redactions = ("secrets", "names")
    return TapeHeader("suite", int(time.time() * 1000), __version__, seed, (PLAN_SAMPLE_RATE,), redactions)


def _shows_life(trace: Trace) -> bool:
    """Whether a turn was waited for to its end and anything of it came: its audio at Motion Server, or
    motion. Audio that comes back to the client alone says nothing of a relay: it may be an echo."""
    waited = any(isinstance(event.what, WaitEnded) for event in trace.on(Lane.KIT))
    return waited and any(
        isinstance(event.what, Received)
        and isinstance(event.what.value, AudioInput | MotionResponse | Motion)
        for event in trace.events
    )
