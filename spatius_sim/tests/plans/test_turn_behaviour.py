"""Clients conduct themselves as planned, and the trace says so."""

import pytest

from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Provocation,
    Provoked,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import Audio, InterruptTurn, Motion, Speak, SpeakEnd

TURN = TurnPlan(48_000, 3200)


def run(*clients: tuple[TurnPlan, ...], step: bool = False) -> Trace:
    async def scenario() -> Trace:
        async with miniature_relay(PlainRelay) as subject:
            return await subject.run(Plan(clients, step=step))

    return run_in_virtual_time(scenario())


def of(trace: Trace, client: str = "client-1") -> list[Event]:
    return [event for event in trace.events if event.connection == client]


def sent(trace: Trace, kind: type[object]) -> list[int]:
    return [e.seq for e in of(trace) if isinstance(e.content, Sent) and isinstance(e.content.value, kind)]


def heard(trace: Trace, kind: type[object]) -> list[int]:
    return [e.seq for e in of(trace) if isinstance(e.content, Received) and isinstance(e.content.value, kind)]


def waits(trace: Trace, client: str = "client-1") -> list[WaitEnded]:
    ended = (event.content for event in of(trace, client) if isinstance(event.content, WaitEnded))
    return [wait for wait in ended if wait.what_for is Awaited.TURN]


def test_an_interrupt_after_so_many_chunks() -> None:
    trace = run((TurnPlan(48_000, 3200, Cue(3, TurnProgress.NOTHING), Behaviour.INTERRUPT), TURN))
    interrupt = sent(trace, InterruptTurn)[0]
    assert len([seq for seq in sent(trace, Speak) if seq < interrupt]) == 3
    assert min(sent(trace, SpeakEnd)) > interrupt
    assert waits(trace) == [WaitEnded(Awaited.TURN, True, 1)]


@pytest.mark.parametrize(
    ("cue", "come", "not_come"),
    [
        (Cue(0, TurnProgress.NOTHING), [], [Audio, Motion]),
        (Cue(5, TurnProgress.AUDIO), [Audio], [Motion]),
        (Cue(None, TurnProgress.MOTION), [Audio, Motion], []),
        (Cue(None, TurnProgress.LAST_AUDIO), [Audio], []),
        (Cue(), [Audio, Motion], []),
    ],
    ids=str,
)
def test_a_cue_is_what_has_come(cue: Cue, come: list[type], not_come: list[type]) -> None:
    trace = run((TurnPlan(48_000, 3200, cue, Behaviour.INTERRUPT), TURN))
    interrupt = sent(trace, InterruptTurn)[0]
    assert all(min(heard(trace, kind)) < interrupt for kind in come)
    assert all(min(heard(trace, kind)) > interrupt for kind in not_come)


def test_a_cue_that_never_comes_is_not_waited_for_for_ever() -> None:
    trace = run((TurnPlan(48_000, 3200, Cue(1, TurnProgress.MOTION), Behaviour.INTERRUPT_TWICE),))
    assert len(sent(trace, InterruptTurn)) == 2


def test_a_new_turn_over_one_that_is_still_answered() -> None:
    trace = run((TurnPlan(48_000, 3200, Cue(None, TurnProgress.NOTHING)), TURN))
    assert waits(trace) == [WaitEnded(Awaited.TURN, True, 1)]
    assert len(sent(trace, SpeakEnd)) == 2


def test_a_pause_before_the_next_turn() -> None:
    trace = run((TurnPlan(16_000, 3200, pause_ms=50), TURN))
    over = next(event.at_ns for event in of(trace) if isinstance(event.content, WaitEnded))
    started = [event.at_ns for event in of(trace) if isinstance(event.content, TurnStarted)]
    assert started[1] - over >= 50_000_000


@pytest.mark.parametrize(("act", "code"), [(Behaviour.HANG_UP, 1000), (Behaviour.VANISH, 1006)])
def test_who_leaves_in_the_middle_disturbs_nobody(act: Behaviour, code: int) -> None:
    trace = run((TurnPlan(48_000, 3200, Cue(3, TurnProgress.AUDIO), act),), (TURN, TURN))
    assert [event.content for event in of(trace) if isinstance(event.content, Closed)] == [Closed(True, code)]
    assert waits(trace, "client-2") == [WaitEnded(Awaited.TURN, True, 0), WaitEnded(Awaited.TURN, True, 1)]


@pytest.mark.parametrize("rubbish", MalformedInput)
def test_rubbish_harms_no_honest_relay(rubbish: MalformedInput) -> None:
    bad = TurnPlan(48_000, 3200, Cue(3, TurnProgress.NOTHING), rubbish)
    trace = run((TURN, bad), (TURN, TURN), step=True)
    assert [event.content for event in of(trace) if isinstance(event.content, Provoked)] == [
        Provoked(Provocation.RUBBISH)
    ]
    assert waits(trace, "client-2") == [WaitEnded(Awaited.TURN, True, 0), WaitEnded(Awaited.TURN, True, 1)]


def test_who_does_not_read_reads_on_when_the_others_are_through() -> None:
    trace = run((TURN, TurnPlan(48_000, 3200, reads=False)), (TURN, TURN), step=True)
    unread, read_on = (event.seq for event in of(trace) if isinstance(event.content, Provoked))
    through = max(e.seq for e in of(trace, "client-2") if e.content in waits(trace, "client-2"))
    received = [event.seq for event in of(trace) if isinstance(event.content, Received)]
    assert unread < through < read_on
    assert not [seq for seq in received if unread < seq < read_on]
    assert waits(trace) == [WaitEnded(Awaited.TURN, True, 0), WaitEnded(Awaited.TURN, True, 1)]


def test_in_step_nobody_begins_before_all_are_through() -> None:
    trace = run((TURN, TURN), (TurnPlan(640, 1280), TURN), step=True)
    seconds = [
        e.seq for e in trace.on_lane(Lane.KIT) if isinstance(e.content, TurnStarted) and e.content.turn == 1
    ]
    firsts = [e.seq for e in trace.on_lane(Lane.KIT) if e.content == WaitEnded(Awaited.TURN, True, 0)]
    assert max(firsts) < min(seconds)


def test_a_plan_of_tortured_turns_reads_as_words() -> None:
    turn = TurnPlan(32_000, 640, Cue(3, TurnProgress.AUDIO), Behaviour.INTERRUPT_TWICE, 50)
    assert str(turn) == (
        "2 s of speech in chunks of 640 bytes, interrupted twice after 3 chunks, once its first audio has "
        "come, a pause of 50 ms"
    )
    over = TurnPlan(32_000, 640, Cue(None, TurnProgress.NOTHING))
    assert str(over).endswith("bytes, cut off by what follows at once")
    bad = TurnPlan(32_000, 640, Cue(3, TurnProgress.NOTHING), MalformedInput.HALF, reads=False)
    assert str(bad).endswith(
        "nothing read until the others are through, half a message sent after 3 chunks, at once"
    )
    assert str(Plan(((turn,), (over,)), step=True)).startswith("in step; client-1: 2 s")
