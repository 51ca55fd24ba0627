"""The honest relays differ in what the rules leave open, and in nothing else."""

from functools import partial

import pytest

from spatius_sim.miniatures.relay.honest_relays import (
    HONEST_RELAYS,
    CountsWhatWorked,
    MarksWhatItStops,
    StopsAfterAMoment,
)
from spatius_sim.model.relay.commands import HangUp, Tell, WatchSilence
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.tests.model.relay.dialogue import (
    ANN,
    LONG,
    SHORT,
    UP,
    new_relay,
    raws,
    response,
    told,
    whole_run,
)
from spatius_sim.wires.events import Audio, Failed, Interrupted, InterruptTurn, Motion, Speak, SpeakEnd

ANSWERED_AT_ONCE = {name: policy for name, policy in HONEST_RELAYS.items() if not policy.gathers_speech}
"""The relays that open a session with a client's first audio, as `whole_run` wants it."""


@pytest.mark.parametrize("policy", ANSWERED_AT_ONCE.values(), ids=ANSWERED_AT_ONCE)
def test_whatever_the_form_the_client_gets_the_same(policy: RelayPolicy) -> None:
    events = told(whole_run(partial(PlainRelay, policy=policy)))
    audio = [event for event in events if isinstance(event, Audio)]
    motion = [event for event in events if isinstance(event, Motion)]
    assert b"".join(event.pcm for event in audio) == SHORT + LONG
    assert [event.last for event in audio] == [False] * (len(audio) - 1) + [True]
    assert [raw for event in motion for raw in event.payloads] == raws(3)
    assert [event.last for event in motion] == [False] * (len(motion) - 1) + [True]


def test_no_two_honest_relays_have_the_same_policy() -> None:
    assert len(set(HONEST_RELAYS.values())) == len(HONEST_RELAYS) == 15


def test_the_turn_after_a_failure_may_have_the_failed_turns_id() -> None:
    relay = CountsWhatWorked("key", lambda: "req")
    relay.on_client_connected("ann")
    ids = []
    for fails in (False, True, False):
        ids += [
            event.turn_id
            for event in told(relay.on_client_action("ann", Speak(SHORT)))
            if isinstance(event, Audio)
        ]
        turn = relay._speaking_turns["ann"]
        relay.on_client_action("ann", SpeakEnd())
        if fails:
            relay.on_session_lost(turn.session.session_id, "gone")
    assert ids == ["ann-turn-0", "ann-turn-1", "ann-turn-1"]


def test_an_interrupted_turn_may_go_on_for_a_moment() -> None:
    relay = new_relay(StopsAfterAMoment)
    relay.on_client_action(ANN, Speak(SHORT))
    stop = f"stop of {UP}"
    assert relay.on_client_action(ANN, InterruptTurn()) == [
        Tell(ANN, Interrupted("asked")),
        WatchSilence(stop, 1.0),
    ]
    assert told(relay.on_server_frame(UP, *response(1, end=False)))
    assert relay.on_server_silent(stop) == [HangUp(UP)]
    assert relay.on_server_silent(stop) == []


def test_an_interrupted_turn_may_be_marked_as_ended_and_told_as_failed_later() -> None:
    relay = new_relay(MarksWhatItStops)
    relay.on_client_action(ANN, Speak(SHORT))
    commands = relay.on_client_action(ANN, InterruptTurn())
    assert told(commands) == [Audio(b"", last=True, turn_id=UP), Motion((), True, UP)]
    assert WatchSilence(f"end of {UP} of {ANN}", 2.2) in commands
    assert relay.on_server_silent(f"end of {UP} of {ANN}") == [Tell(ANN, Failed("the turn was interrupted"))]
