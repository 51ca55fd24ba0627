"""The plain relay: events in, commands out. What other policies do stands in test_policy.py."""

from itertools import count

import numpy as np
import pytest

from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import SAMPLE_RATE, TOKEN_LIFE_SECONDS, PlainRelay
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    MotionResponse,
    ServerError,
    UnknownMessage,
)
from spatius_sim.trace.events import Undecodable
from spatius_sim.wires.events import (
    Audio,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    PlayClip,
    Ready,
    Speak,
    SpeakEnd,
    Unclear,
)

ANN, BOB = "ann", "bob"
UP = "ann-turn-0"
"""The upstream session and the turn id of ann's first turn."""
WATCH = WatchSilence(UP, RelayPolicy().silence_seconds)


def new_relay(policy: RelayPolicy | None = None) -> PlainRelay:
    numbers = count(1)
    relay = PlainRelay("api key", lambda: f"req-{next(numbers)}", policy)
    for client in (ANN, BOB):
        relay.on_client_connected(client)
    return relay


def confirmed(relay: PlainRelay, up: str = UP) -> list[RelayCommand]:
    """Motion Server opens and confirms the session; what that leads to."""
    relay.on_session_opened(up)
    return relay.on_server_frame(up, b"", ConfirmSession("id"))


def speaking() -> PlainRelay:
    """Ann speaks, and her session is confirmed."""
    relay = new_relay()
    relay.on_client_action(ANN, Speak(b"12"))
    confirmed(relay)
    return relay


def response(*, end: bool = False, req_id: str = "req-1") -> tuple[bytes, MotionResponse]:
    message = MotionResponse("id", req_id, end, np.zeros((1, WIDTH), np.float32))
    return encode(message), message


def test_a_client_is_greeted_with_the_rates() -> None:
    relay = PlainRelay("api key", lambda: "req")
    assert relay.on_client_connected(ANN) == [Tell(ANN, Ready(ANN, SAMPLE_RATE, SAMPLE_RATE))]


def test_a_client_that_names_its_rate_is_greeted_and_configured_with_it_and_no_other_client_is() -> None:
    relay = PlainRelay("api key", lambda: "req")
    assert relay.on_client_connected(ANN, sample_rate=24000) == [Tell(ANN, Ready(ANN, 24000, 24000))]
    assert relay.on_client_connected(BOB) == [Tell(BOB, Ready(BOB, SAMPLE_RATE, SAMPLE_RATE))]
    for client, rate in ((ANN, 24000), (BOB, SAMPLE_RATE)):
        relay.on_client_action(client, Speak(b"12"))
        up = f"{client}-turn-0"
        assert SendUp(up, ConfigureSession(rate)) in relay.on_session_opened(up)


def test_a_client_that_comes_again_without_a_rate_is_not_given_its_earlier_one() -> None:
    relay = PlainRelay("api key", lambda: "req")
    relay.on_client_connected(ANN, sample_rate=24000)
    relay.on_client_disconnected(ANN)
    assert relay.on_client_connected(ANN) == [Tell(ANN, Ready(ANN, SAMPLE_RATE, SAMPLE_RATE))]


def test_a_whole_turn() -> None:
    relay = new_relay()
    first, second = response(), response(end=True)
    assert relay.on_client_action(ANN, Speak(b"12")) == [
        ConnectUp(UP, TOKEN_LIFE_SECONDS),
        WATCH,
        Tell(ANN, Audio(b"12", turn_id=UP)),
    ]
    assert relay.on_session_opened(UP) == [SendUp(UP, ConfigureSession(SAMPLE_RATE))]
    assert relay.on_server_frame(UP, b"", ConfirmSession("id")) == [
        SendUp(UP, AudioInput("req-1", b"12")),
        WATCH,
    ]
    assert relay.on_client_action(ANN, Speak(b"34")) == [
        Tell(ANN, Audio(b"34", turn_id=UP)),
        SendUp(UP, AudioInput("req-1", b"34")),
    ]
    assert relay.on_server_frame(UP, *first) == [Tell(ANN, Motion((first[0],), False, UP)), WATCH]
    assert relay.on_client_action(ANN, SpeakEnd()) == [
        Tell(ANN, Audio(b"", last=True, turn_id=UP)),
        SendUp(UP, AudioInput("req-1", end=True)),
        WATCH,
    ]
    assert relay.on_server_frame(UP, *second) == [Tell(ANN, Motion((second[0],), True, UP)), HangUp(UP)]
    assert relay.on_session_lost(UP, "closed") == []


def test_audio_waits_for_the_confirmation_in_order() -> None:
    relay = new_relay()
    relay.on_client_action(ANN, Speak(b"12"))
    relay.on_client_action(ANN, Speak(b"34"))
    relay.on_client_action(ANN, SpeakEnd())
    assert confirmed(relay) == [
        SendUp(UP, AudioInput("req-1", b"12")),
        SendUp(UP, AudioInput("req-1", b"34")),
        SendUp(UP, AudioInput("req-1", end=True)),
        WATCH,
    ]


def test_the_next_turn_has_a_session_and_a_req_id_of_its_own() -> None:
    relay = speaking()
    relay.on_client_action(ANN, SpeakEnd())
    relay.on_server_frame(UP, *response(end=True))
    assert relay.on_client_action(ANN, Speak(b"56")) == [
        ConnectUp("ann-turn-1", TOKEN_LIFE_SECONDS),
        WatchSilence("ann-turn-1", RelayPolicy().silence_seconds),
        Tell(ANN, Audio(b"56", turn_id="ann-turn-1")),
    ]
    assert confirmed(relay, "ann-turn-1")[0] == SendUp("ann-turn-1", AudioInput("req-2", b"56"))


def test_a_new_turn_drops_the_motion_of_the_one_before() -> None:
    relay = speaking()
    relay.on_client_action(ANN, SpeakEnd())
    relay.on_client_action(ANN, Speak(b"56"))
    assert relay.on_server_frame(UP, *response()) == []


def test_two_clients_do_not_meet() -> None:
    relay = speaking()
    relay.on_client_action(BOB, Speak(b"78"))
    confirmed(relay, "bob-turn-0")
    raw, message = response(req_id="req-2")
    told = relay.on_server_frame("bob-turn-0", raw, message)
    assert told[0] == Tell(BOB, Motion((raw,), False, "bob-turn-0"))


# Interrupts and leaving clients.


def test_an_interrupt_hangs_up_and_is_told() -> None:
    relay = speaking()
    assert relay.on_client_action(ANN, InterruptTurn()) == [HangUp(UP), Tell(ANN, Interrupted("asked"))]
    assert relay.on_server_frame(UP, *response()) == []
    assert relay.on_session_lost(UP, "closed") == []


def test_an_interrupt_of_nothing_is_told_too() -> None:
    assert new_relay().on_client_action(ANN, InterruptTurn()) == [Tell(ANN, Interrupted("asked"))]


def test_an_interrupt_leaves_the_other_client_alone() -> None:
    relay = speaking()
    assert relay.on_client_action(BOB, InterruptTurn()) == [Tell(BOB, Interrupted("asked"))]
    assert relay.on_server_frame(UP, *response()) != []


def test_audio_after_an_interrupt_is_a_new_turn() -> None:
    relay = speaking()
    relay.on_client_action(ANN, InterruptTurn())
    assert relay.on_client_action(ANN, Speak(b"56"))[0] == ConnectUp("ann-turn-1", TOKEN_LIFE_SECONDS)


def test_an_end_after_an_interrupt_ends_nothing() -> None:
    relay = speaking()
    relay.on_client_action(ANN, InterruptTurn())
    assert relay.on_client_action(ANN, SpeakEnd()) == []


def test_a_session_that_opens_too_late_is_hung_up_on() -> None:
    relay = new_relay()
    relay.on_client_action(ANN, Speak(b"12"))
    relay.on_client_action(ANN, InterruptTurn())
    assert relay.on_session_opened(UP) == [HangUp(UP)]


def test_a_client_that_leaves_is_hung_up_for() -> None:
    relay = speaking()
    assert relay.on_client_disconnected(ANN) == [HangUp(UP)]
    assert relay.clients == [BOB]
    assert relay.on_server_frame(UP, *response()) == []


# Refusals and losses.


def test_a_refused_session_is_told_once() -> None:
    relay = new_relay()
    relay.on_client_action(ANN, Speak(b"12"))
    assert relay.on_session_lost(UP, "HTTP 402") == [Tell(ANN, Failed("HTTP 402")), HangUp(UP)]
    assert relay.on_session_lost(UP, "HTTP 402") == relay.on_server_silent(UP) == []


@pytest.mark.parametrize("relay", [new_relay(), speaking()], ids=["refused", "lost"])
def test_without_motion_the_client_still_gets_its_audio_and_the_mark(relay: PlainRelay) -> None:
    relay.on_client_action(ANN, Speak(b"12"))
    relay.on_session_lost(UP, "HTTP 402")
    assert relay.on_client_action(ANN, Speak(b"34")) == [Tell(ANN, Audio(b"34", turn_id=UP))]
    assert relay.on_client_action(ANN, SpeakEnd()) == [Tell(ANN, Audio(b"", last=True, turn_id=UP))]


def test_the_turn_after_a_loss_connects_again() -> None:
    relay = speaking()
    relay.on_client_action(ANN, SpeakEnd())
    relay.on_session_lost(UP, "closed")
    assert relay.on_client_action(ANN, Speak(b"56"))[0] == ConnectUp("ann-turn-1", TOKEN_LIFE_SECONDS)


def test_a_relay_with_a_second_attempt_sends_the_audio_then() -> None:
    relay = new_relay(RelayPolicy(attempts=2))
    relay.on_client_action(ANN, Speak(b"12"))
    assert relay.on_session_lost(UP, "refused") == [ConnectUp(UP, TOKEN_LIFE_SECONDS)]
    assert confirmed(relay)[0] == SendUp(UP, AudioInput("req-1", b"12"))


@pytest.mark.parametrize("confirms", [True, False], ids=["after the confirmation", "twice"])
def test_a_second_attempt_is_the_last(confirms: bool) -> None:
    relay = new_relay(RelayPolicy(attempts=2))
    relay.on_client_action(ANN, Speak(b"12"))
    if confirms:
        confirmed(relay)
    else:
        relay.on_session_lost(UP, "refused")
    assert relay.on_session_lost(UP, "gone") == [Tell(ANN, Failed("gone")), HangUp(UP)]


def test_an_error_at_run_time_is_told() -> None:
    error = ServerError("id", "req-1", 4001, "Credits exhausted")
    assert speaking().on_server_frame(UP, b"", error) == [Tell(ANN, Failed("Credits exhausted")), HangUp(UP)]


def test_an_error_at_the_handshake_waits_for_the_loss() -> None:
    relay = new_relay()
    relay.on_client_action(ANN, Speak(b"12"))
    assert relay.on_server_frame(UP, b"", ServerError("id", "", 0, "unsupported")) == []
    assert relay.on_session_lost(UP, "closed") == [Tell(ANN, Failed("closed")), HangUp(UP)]


@pytest.mark.parametrize("relay", [new_relay(), speaking()], ids=["at the handshake", "at run time"])
def test_silence_is_told_when_all_was_said(relay: PlainRelay) -> None:
    relay.on_client_action(ANN, Speak(b"12"))
    relay.on_client_action(ANN, SpeakEnd())
    silent = Tell(ANN, Failed("Motion Server went silent"))
    assert relay.on_server_silent(UP) == [silent, HangUp(UP)]


def test_silence_while_the_client_speaks_is_no_failure() -> None:
    assert speaking().on_server_silent(UP) == [WATCH]


def test_silence_after_the_end_of_the_motion_is_no_failure() -> None:
    relay = speaking()
    relay.on_client_action(ANN, SpeakEnd())
    relay.on_server_frame(UP, *response(end=True))
    assert relay.on_server_silent(UP) == []


@pytest.mark.parametrize("odd", [UnknownMessage(6), Undecodable("junk")])
def test_what_motion_server_should_not_say_is_passed_over(odd: UnknownMessage | Undecodable) -> None:
    assert speaking().on_server_frame(UP, b"", odd) == []


# Other actions.


def test_a_ping_is_answered() -> None:
    assert new_relay().on_client_action(ANN, Note("ping")) == [Tell(ANN, Note("pong"))]


def test_what_is_unclear_is_told() -> None:
    assert new_relay().on_client_action(ANN, Unclear("not JSON")) == [Tell(ANN, Failed("not JSON"))]


@pytest.mark.parametrize("action", [PlayClip("hello"), Note("start_agent"), SpeakEnd()])
def test_what_it_has_no_use_for_is_passed_over(action: PlayClip | Note | SpeakEnd) -> None:
    assert new_relay().on_client_action(ANN, action) == []
