"""A client pings in mid-turn if its wire has a ping, and a relay that loses motion by it is named."""

import pytest

from spatius_sim.miniatures.relay.seldom_wrong import PingCostsMotion
from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.fixed_relay_plans import PINGS_IN_MID_TURN
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.trace.events import Sent, Trace
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.wires.events import ClientAction, Failed, Note

(PLAN,) = PINGS_IN_MID_TURN


class KnowsNoPing(PlainRelay):
    """Answers a ping with an error, and goes on with the turn."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if action == Note("ping"):
            return [Tell(client, Failed("what is a ping?"))]
        return super().on_client_action(client, action)


class IgnoresPings(PlainRelay):
    """Answers no ping."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return [] if action == Note("ping") else super().on_client_action(client, action)


def pinged(brain: type[PlainRelay], wire: str = "json-envelope") -> Trace:
    loop = VirtualLoop()
    running = miniature_relay(brain, wire)
    try:
        subject = loop.run(running.__aenter__(), 10.0)
        return loop.run(subject.run(PLAN, patient=False), 60.0)
    finally:
        loop.run(running.__aexit__(None, None, None), 10.0)
        loop.stop()


def pings_in(trace: Trace) -> int:
    return sum(
        isinstance(event.content, Sent) and event.content.value == Note("ping") for event in trace.events
    )


def broken(trace: Trace) -> list[str]:
    return [name for name, one in judge(trace).items() if one.verdict is Verdict.FAILED]


def test_a_relay_that_loses_motion_by_a_ping_is_named() -> None:
    assert broken(pinged(PingCostsMotion)) == ["R-MOTION-COMPLETE"]


@pytest.mark.parametrize("brain", [PlainRelay, KnowsNoPing, IgnoresPings])
def test_whatever_a_relay_answers_to_a_ping_nobody_is_accused(brain: type[PlainRelay]) -> None:
    trace = pinged(brain)
    assert pings_in(trace) == 4
    assert broken(trace) == []


@pytest.mark.parametrize("wire", ["binary-header", "typed-json", "messagepack"])
def test_a_wire_without_a_ping_carries_none(wire: str) -> None:
    trace = pinged(PlainRelay, wire)
    assert pings_in(trace) == 0
    assert broken(trace) == []


def test_the_plan_says_so_in_words() -> None:
    assert "a ping before each" in str(PLAN)
