"""What Motion Server plays in a plan hits the turn that it is meant for, and the trace says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from spatius_sim.model.scenario.scenario import (
    NO_FAULTS,
    CloseWith,
    Delay,
    Fault,
    FaultAction,
    Moment,
    Refuse,
    Scenario,
    SendError,
    When,
)
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.draw_server_faults import REFUSED_FOR_LONG, SILENCES
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.build_story import build_story
from spatius_sim.subjects.embed_reference_relay import embed_reference_relay, relay_url
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import Patience
from spatius_sim.wires import published_wire

TURN = TurnPlan(640, 640)


@asynccontextmanager
async def reference_relay() -> AsyncIterator[tuple[RelaySubject, SocketMotionServer]]:
    wire = published_wire("json-envelope")
    recorder = RealTimeRecorder(wire=wire)
    async with SocketMotionServer(sink=recorder) as server:
        relay = await embed_reference_relay(server, "a-canary-key-of-thirty-two-chars")
        try:
            yield (
                RelaySubject(
                    RelayAddress(relay_url(relay)), wire, recorder, 1, Patience(fallback=5.0), server
                ),
                server,
            )
        finally:
            relay.close()
            await relay.wait_closed()


@pytest.mark.parametrize(
    ("when", "what"),
    [
        (When(Moment.RESPONSE, request=2), SendError(13, "no")),
        (When(Moment.AUDIO, messages=1, request=2), CloseWith(1000)),
        (When(Moment.UPGRADE, connection=2), Refuse(401)),
        (When(Moment.TOKEN, connection=2), Refuse(500)),
    ],
)
async def test_it_hits_the_turn_that_it_is_meant_for(when: When, what: FaultAction) -> None:
    plan = Plan(((TURN, TURN, TURN),), motion_server=Scenario("drawn", "", (Fault(when, (what,)),)))
    async with reference_relay() as (subject, server):
        trace = await subject.run(plan)
        assert server.scenario is NO_FAULTS
    story = build_story(trace)
    assert [turn.clean for turn in story.turns] == [True, False, True]
    assert [len(turn.failures) for turn in story.turns] == [0, 1, 0]
    assert trace.header.fallback_wait == 5.0


async def test_a_delay_longer_than_the_wait_for_a_sign_of_life_is_waited_out() -> None:
    slow = Scenario("drawn", "", (Fault(When(Moment.RESPONSE), (Delay(0.5),)),))
    async with reference_relay() as (subject, _):
        subject._silence_timeout.full_seconds = 0.2
        story = build_story(await subject.run(Plan(((TURN,),), motion_server=slow)))
    assert [turn.clean for turn in story.turns] == [True]
    assert len(story.deliveries) == 1


@pytest.mark.parametrize("rule_id", ["R-RECOVER", "R-FALLBACK", "R-ERROR-TOLD", "R-LARGE", "R-HUGE"])
async def test_what_is_sure_to_be_run_exercises_its_rule(rule_id: str) -> None:
    async with reference_relay() as (subject, _):
        plan = exercise_of(rule_id).sure[0]
        assert judge(await subject.run(plan))[rule_id].verdict is Verdict.PASSED


async def test_the_reference_relay_notices_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatius_sim.subjects.reference_relay.SILENCE_SECONDS", 2.0)
    async with reference_relay() as (subject, _):
        judgements = judge(await subject.run(SILENCES[0]))
    assert {judgements[rule_id].verdict for rule_id in ("R-RECOVER", "R-FALLBACK", "R-ERROR-TOLD")} == {
        Verdict.PASSED
    }


def test_a_run_without_patience_hears_no_long_speech() -> None:
    assert REFUSED_FOR_LONG in exercise_of("U-AUDIO-COMPLETE").sure
    assert REFUSED_FOR_LONG not in exercise_of("U-AUDIO-COMPLETE", patient=False).sure
