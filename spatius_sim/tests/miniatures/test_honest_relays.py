"""The honest relays differ in what the rules leave open, and in nothing else."""

from functools import partial

import pytest

from spatius_sim.miniatures.honest_relays import HONEST_RELAYS, CountsWhatWorked
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.tests.model.relay.dialogue import LONG, SHORT, raws, told, whole_run
from spatius_sim.wires.events import Audio, Motion, Speak, SpeakEnd

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
