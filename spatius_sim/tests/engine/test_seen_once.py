"""A breach that is not seen again is INCONCLUSIVE; more patience may help if something was waited for."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis.strategies import just

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.formats.text_report import describe_failure
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.wires.events import Motion

PLAN = Plan(((TurnPlan(6400, 3200),),))


class DoublesOnce(PlainRelay):
    """Sends its first payload twice."""

    first = True

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        times, self.first = 2 if self.first else 1, False
        return [
            command
            for _ in range(times)
            for command in super(DoublesOnce, self).send_motion_to_client(turn, raw, message)
        ]


class DoublesEveryOther(PlainRelay):
    """Sends every other payload twice: there is one in each scenario."""

    doubles = False

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        self.doubles = not self.doubles
        return [
            command
            for _ in range(1 + self.doubles)
            for command in super(DoublesEveryOther, self).send_motion_to_client(turn, raw, message)
        ]


class ForgetsOnce(PlainRelay):
    """Does not mark the end of its first turn's audio."""

    first = True

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        forgets, self.first = self.first, False
        return [] if forgets else super().end_audio_to_client(turn)


class LeaksOnce(PlainRelay):
    """Tells its client the API key once, in the place of a turn id, with the motion of its first turn."""

    first = True

    def tell_motion(self, turn: RelayTurn, *payloads: bytes, last: bool) -> RelayCommand:
        leaks, self.first = self.first, False
        return Tell(turn.client_id, Motion(payloads, last, self.api_key if leaks else turn.turn_id))


def outcome_of(brain: type[PlainRelay], rule_id: str, folder: Path) -> RuleOutcome:
    loop = VirtualLoop()
    running = miniature_relay(brain)
    trial = Trial(loop.run(running.__aenter__(), 10.0), loop, SEED, folder, 1, shrink_seconds=0.0)
    try:
        return trial.judge(rule_id, just(PLAN))
    finally:
        loop.run(running.__aexit__(None, None, None), 10.0)
        loop.stop()


@pytest.mark.parametrize(
    ("brain", "verdict"), [(DoublesOnce, Verdict.INCONCLUSIVE), (DoublesEveryOther, Verdict.FAILED)]
)
def test_the_tape_that_is_kept_is_of_a_run_that_broke_the_rule(
    brain: type[PlainRelay], verdict: Verdict, tmp_path: Path
) -> None:
    outcome = outcome_of(brain, "R-MOTION-COMPLETE", tmp_path)
    assert outcome.verdict is verdict
    assert outcome.failure is not None
    (trace,) = read_traces(Path(outcome.failure.trace))
    assert judge(trace)["R-MOTION-COMPLETE"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("brain", "rule_id", "silence"),
    [(DoublesOnce, "R-MOTION-COMPLETE", False), (ForgetsOnce, "R-END-AUDIO", True)],
)
def test_more_patience_is_advised_where_silence_was_the_finding(
    brain: type[PlainRelay], rule_id: str, silence: bool, tmp_path: Path
) -> None:
    outcome = outcome_of(brain, rule_id, tmp_path)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.failure is not None and not outcome.failure.confirmed
    assert outcome.failure.evidence, "the tape is of the run that broke it"
    assert "but it was not seen again when repeated 3 times" in outcome.reason
    assert outcome.failure.silence is silence
    told = describe_failure(outcome, replace(outcome.failure, repeat="pytest"))
    assert "not seen again when repeated" in told
    assert ("a longer --settle" in told) is silence


@pytest.mark.parametrize("wait_was_cut", [False, True])
def test_a_secret_that_came_down_once_is_a_failure(
    wait_was_cut: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RelaySubject, "cut_a_wait_short", wait_was_cut)
    outcome = outcome_of(LeaksOnce, "R-SECRETS", tmp_path)
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failure is not None and not outcome.failure.confirmed
    (trace,) = read_traces(Path(outcome.failure.trace))
    assert judge(trace)["R-SECRETS"].verdict is Verdict.FAILED
    told = describe_failure(outcome, replace(outcome.failure, repeat="pytest"))
    assert "not seen again when repeated; to be seen once is enough" in told
