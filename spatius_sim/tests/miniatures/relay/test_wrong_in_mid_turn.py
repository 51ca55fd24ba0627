"""Each relay that is wrong in mid-turn differs from the plain relay there, and nowhere else."""

from functools import partial

import pytest

from spatius_sim.miniatures.relay.honest_relays import NAMES_NO_TURNS
from spatius_sim.miniatures.relay.wrong_in_mid_turn import (
    ForgetsWhatItOpens,
    MarksInterruptedTurnLate,
    TakesCloseForTheEnd,
)
from spatius_sim.model.relay.commands import HangUp, SendUp
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.protocol.messages import ConfigureSession, ConfirmSession
from spatius_sim.tests.model.relay.dialogue import (
    ANN,
    SHORT,
    UP,
    new_relay,
    response,
    told,
    whole_run,
)
from spatius_sim.wires.events import Audio, InterruptTurn, Motion, Speak


def test_in_whole_turns_they_are_honest() -> None:
    unnamed = partial(PlainRelay, policy=NAMES_NO_TURNS)
    assert whole_run(MarksInterruptedTurnLate, turns=2) == whole_run(unnamed, turns=2)
    for kind in (TakesCloseForTheEnd, ForgetsWhatItOpens):
        assert whole_run(kind, turns=2) == whole_run(PlainRelay, turns=2)


def test_the_mark_of_interrupted_speech_comes_after_the_next_turns_first_audio() -> None:
    relay = new_relay(MarksInterruptedTurnLate)
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_client_action(ANN, InterruptTurn())
    assert told(relay.on_client_action(ANN, Speak(SHORT))) == [Audio(SHORT), Audio(b"", last=True)]
    assert told(relay.on_client_action(ANN, Speak(SHORT))) == [Audio(SHORT)]


@pytest.mark.parametrize("payloads", [0, 1])
def test_a_close_after_motion_is_taken_for_the_end(payloads: int) -> None:
    relay = new_relay(TakesCloseForTheEnd)
    relay.on_client_action(ANN, Speak(SHORT))
    relay.on_session_opened(UP)
    relay.on_server_frame(UP, b"", ConfirmSession("id"))
    for _ in range(payloads):
        relay.on_server_frame(UP, *response(1, end=False))
    commands = relay.on_session_lost(UP, "closed")
    assert told(commands) == ([Motion((), True, UP)] if payloads else [])
    assert HangUp(UP) in commands


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_session_that_was_being_opened_is_forgotten(confirmed: bool) -> None:
    relay = new_relay(ForgetsWhatItOpens)
    relay.on_client_action(ANN, Speak(SHORT))
    if confirmed:
        relay.on_session_opened(UP)
        relay.on_server_frame(UP, b"", ConfirmSession("id"))
    assert (HangUp(UP) in relay.on_client_disconnected(ANN)) is confirmed
    assert relay.on_session_opened(UP) == [SendUp(UP, ConfigureSession(16000))]
