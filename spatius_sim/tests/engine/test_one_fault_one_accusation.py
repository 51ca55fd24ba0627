"""In a run one fault is one accusation: what follows is blocked by its cause, and a death is told once."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.miniatures.relay.far_reaching import (
    LosesLastFromThirdTurn,
    LosesMotionFromThirdTurn,
    LosesTheTail,
    NeverWorksAgain,
    StripsUnknownFields,
)
from spatius_sim.miniatures.relay.wrong_relays import (
    MarksMotionAtOnce,
    MotionInEarlierTurn,
    NeverEndsUpstream,
    RewritesReqId,
)
from spatius_sim.miniatures.relay.wrong_with_clients import (
    CutsSpeech,
    DemandsCredentials,
    DoesNothingLater,
    FallsOverRubbish,
)
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.tests.suspects import Hearing, Suspect
from spatius_sim.tests.time_to_verdict import RELAYS
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import Trace
from spatius_sim.virtual.virtual_loop import VirtualLoop


def judged(brain: type[PlainRelay], rules: Iterable[str], folder: Path) -> dict[str, RuleOutcome]:
    """Judge these rules on the relay, one after another, and return their outcomes."""
    with Hearing(Suspect("relay", brain), 1, folder) as hearing:
        return {rule_id: hearing.of(rule_id) for rule_id in rules}


def failed(outcomes: dict[str, RuleOutcome]) -> list[str]:
    return [rule_id for rule_id, outcome in outcomes.items() if outcome.verdict is Verdict.FAILED]


@pytest.mark.parametrize(
    ("brain", "cause", "consequences"),
    [
        (LosesLastFromThirdTurn, "R-MOTION-COMPLETE", ("R-HUGE", "R-SLOWCLIENT")),
        (LosesMotionFromThirdTurn, "R-MOTION-COMPLETE", ("R-HUGE", "R-BADINPUT")),
        (StripsUnknownFields, "R-MOTION-VERBATIM", ("R-LARGE",)),
        (MotionInEarlierTurn, "R-TURNS", ("R-CONVERSATION",)),
        (CutsSpeech, "U-AUDIO-COMPLETE", ("R-FALLBACK",)),
    ],
)
def test_what_follows_from_a_failed_rule_is_blocked_by_it(
    brain: type[PlainRelay], cause: str, consequences: tuple[str, ...], tmp_path: Path
) -> None:
    outcomes = judged(brain, ("R-TOKENLESS", cause, *consequences), tmp_path)
    assert failed(outcomes) == [cause]
    for rule_id in consequences:
        assert outcomes[rule_id].blocked_by == (cause,)
        assert outcomes[rule_id].verdict is Verdict.UNEXERCISED
        assert f"{cause} failed" in outcomes[rule_id].reason


def test_a_cause_that_was_seen_and_not_yet_judged_is_judged_first(tmp_path: Path) -> None:
    outcomes = judged(LosesMotionFromThirdTurn, ("U-TOKEN-FRESH", "R-RECOVER", "R-MOTION-COMPLETE"), tmp_path)
    assert failed(outcomes) == ["R-MOTION-COMPLETE"]
    assert outcomes["R-RECOVER"].blocked_by == ("R-MOTION-COMPLETE",)


def test_what_does_not_follow_from_a_failed_rule_is_judged_on(tmp_path: Path) -> None:
    class FallsAndLoses(FallsOverRubbish, LosesLastFromThirdTurn):
        """Has two faults."""

    outcomes = judged(FallsAndLoses, ("R-MOTION-COMPLETE", "R-BADINPUT"), tmp_path)
    assert failed(outcomes) == ["R-MOTION-COMPLETE", "R-BADINPUT"]


def test_motion_marked_too_early_without_turn_ids_is_one_accusation(tmp_path: Path) -> None:
    rules = ("U-TOKEN-FRESH", "R-RECOVER", "R-CONVERSATION", "R-END-MOTION", "R-STALE")
    outcomes = judged(MarksMotionAtOnce, rules, tmp_path)
    assert failed(outcomes) == ["R-CONVERSATION"]
    assert outcomes["R-STALE"].blocked_by == ("R-CONVERSATION",)


def test_an_end_mark_that_comes_too_early_loses_no_motion() -> None:
    """The client waits for its motion, though another client has got all of its own."""
    speaks = TurnPlan(PLAN_SAMPLE_RATE, 3200)
    reads_later = replace(speaks, samples=50 * PLAN_SAMPLE_RATE, chunk_bytes=32_000, reads=False)

    async def run() -> Trace:
        async with miniature_relay(MarksMotionAtOnce) as subject:
            await subject.attach()
            return await subject.run(Plan(((speaks, reads_later), (speaks, speaks)), step=True))

    trace = run_in_virtual_time(run())
    verdicts = {rule_id: judgement.verdict for rule_id, judgement in judge(trace).items()}
    assert verdicts["R-CONVERSATION"] is Verdict.FAILED
    assert verdicts["R-MOTION-COMPLETE"] is Verdict.PASSED


@pytest.mark.parametrize("brain", [LosesTheTail, RewritesReqId, NeverEndsUpstream])
def test_works_again_presumes_that_it_worked_before(brain: type[PlainRelay], tmp_path: Path) -> None:
    assert failed(judged(brain, ["R-RECOVER"], tmp_path)) == []


def test_a_relay_that_does_nothing_any_more_is_told_as_dead_once(tmp_path: Path) -> None:
    rules = ("R-TOKENLESS", "U-TOKEN-FRESH", "R-TURNS", "R-STALE", "R-BADINPUT", "R-ALIVE")
    outcomes = judged(DoesNothingLater, rules, tmp_path)
    assert failed(outcomes) == ["R-ALIVE"]
    dead = outcomes["R-ALIVE"].failure
    assert dead is not None
    assert "does nothing any more" in dead.actual
    assert dead.confirmed
    for rule_id in rules[2:-1]:
        assert outcomes[rule_id].verdict is Verdict.INCONCLUSIVE
        assert "does nothing any more" in outcomes[rule_id].reason


def test_what_a_relay_left_unanswered_when_it_died_is_told_as_its_death(tmp_path: Path) -> None:
    """Another client's motion comes after the last turn has begun: so the first scenario shows no death."""
    rules = ("R-TOKENLESS", "U-TOKEN", "U-AUDIO-END", "R-END-AUDIO", "R-ALIVE")
    outcomes = judged(RELAYS["dead after a turn"], rules, tmp_path)
    assert failed(outcomes) == ["R-ALIVE"]
    assert outcomes["R-TOKENLESS"].verdict is Verdict.PASSED
    dead = outcomes["R-ALIVE"].failure
    assert dead is not None
    assert "the last client sends Spatius credentials" in dead.scenario


def test_a_relay_that_never_works_again_after_a_failure_breaks_that_rule(tmp_path: Path) -> None:
    rules = ("R-TOKENLESS", "R-RECOVER", "R-TURNS", "R-STALE", "R-ALIVE")
    outcomes = judged(NeverWorksAgain, rules, tmp_path)
    assert failed(outcomes) == ["R-RECOVER"]
    assert outcomes["R-ALIVE"].blocked_by == ("R-RECOVER",)
    assert {outcomes[rule_id].verdict for rule_id in ("R-TURNS", "R-STALE")} == {Verdict.INCONCLUSIVE}


def test_a_relay_that_demands_credentials_is_not_told_as_dead(tmp_path: Path) -> None:
    rules = ("R-TOKENLESS", "U-TOKEN", "U-CONFIGURE", "R-TURNS", "R-ALIVE")
    assert failed(judged(DemandsCredentials, rules, tmp_path)) == ["R-TOKENLESS"]


class EndsSoon:
    """The process of a relay that ends after three scenarios, whenever it was started."""

    def __init__(self) -> None:
        self._scenarios = 0

    async def start(self) -> None:
        self._scenarios = 0

    async def stop(self) -> None:
        """No-op: it holds nothing."""

    async def describe_death(self, grace_seconds: float = 0.0) -> str:
        self._scenarios += 1
        return "'relay' ended with code 2; its last output: panic: no more memory" * (self._scenarios > 3)

    def last_output(self) -> str:
        return "panic: no more memory"


def test_a_relay_that_ends_is_told_once_with_its_last_output(tmp_path: Path) -> None:
    loop = VirtualLoop()
    running = miniature_relay(PlainRelay)
    subject = loop.run(running.__aenter__(), 10.0)
    assert isinstance(subject, RelaySubject)
    subject._process = EndsSoon()  # type: ignore[assignment]
    trial = Trial(subject, loop, SEED, tmp_path, 10, shrink_seconds=0.0)
    try:
        outcomes = {
            rule_id: trial.judge(rule_id, *exercise_of(rule_id))
            for rule_id in ("R-TURNS", "R-SECRETS", "R-TOKENLESS", "R-ALIVE")
        }
    finally:
        loop.run(running.__aexit__(None, None, None), 10.0)
        loop.stop()
    assert failed(outcomes) == ["R-ALIVE"]
    assert outcomes["R-TURNS"].verdict is outcomes["R-SECRETS"].verdict is Verdict.INCONCLUSIVE
    assert outcomes["R-TOKENLESS"].verdict is Verdict.PASSED
    dead = outcomes["R-ALIVE"].failure
    assert dead is not None
    assert "panic: no more memory" in dead.actual
    assert str(trial.smallest["R-ALIVE"]) == dead.scenario  # The command that repeats it names the scenario.
