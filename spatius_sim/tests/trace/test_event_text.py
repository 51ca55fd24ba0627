"""Events in words: stable ids on the trace, sentences for people beside them."""

import re
from enum import StrEnum

import numpy as np
import pytest

from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.trace.event_text import (
    WORDS_BY_PROVOCATION,
    WORDS_BY_WAIT,
    describe_event,
    describe_fault,
    describe_provocation,
)
from spatius_sim.trace.events import (
    SERVER_DIES,
    Awaited,
    Event,
    EventKind,
    Excuse,
    Injected,
    KitStalled,
    Lane,
    Provocation,
    Provoked,
    Received,
    Sent,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import Audio, Failed, Motion, Speak

NO_KEYFRAMES = np.zeros((0, 120), np.float32)


@pytest.mark.parametrize("ids", [Provocation, Awaited, Excuse])
def test_an_id_is_short_and_no_sentence(ids: type[StrEnum]) -> None:
    assert all(re.fullmatch("[a-z]+(-[a-z]+)?", value) for value in ids)


def test_each_id_has_words() -> None:
    assert set(WORDS_BY_PROVOCATION) == set(Provocation)
    assert {*WORDS_BY_WAIT, Awaited.TURN} == set(Awaited)
    assert describe_provocation(Provocation.MISSING_KEY) == "a token request without an API key"


def test_a_fault_beside_a_scenario_has_words_of_its_own() -> None:
    assert describe_fault(SERVER_DIES) == "Motion Server dies"
    lost = Injected("proxy-lost-track", Excuse.FAILURE, detail="too much")
    assert describe_fault(lost) == "the proxy could not read along: too much"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (SERVER_DIES, "the kit injects a fault: Motion Server dies (excuses failure)"),
        (Provoked(Provocation.TEXT), "the kit does on purpose: text as the first message"),
        (WaitEnded(Awaited.TURN, True, 2), "the wait for turn 3 ends: its audio and its motion have come"),
        (WaitEnded(Awaited.TURN, False), "the wait for turn 1 ends: nothing more came"),
        (WaitEnded(Awaited.HANDSHAKE, True), "the wait for the answer to the first message is over"),
        (
            WaitEnded(Awaited.HANDSHAKE, False),
            "the wait for the answer to the first message ended without it",
        ),
        (TurnStarted(0, bytes(32_000), 16_000), "turn 1 starts: 1.00 s of speech"),
        (TurnStarted(0, bytes(5), 0), "turn 1 starts: 5 bytes of speech"),
        (KitStalled(0.5), "KitStalled(seconds=0.5)"),
        (Sent("x", Speak(bytes(4))), "<- speaks: 4 bytes"),
        (Sent(b"x", AudioInput("r", bytes(4), True)), "<- audio of r: 4 bytes, end"),
        (Received(b"x", MotionResponse("c", "r", False, NO_KEYFRAMES)), "-> motion of r: 0 keyframes"),
        (
            Received(b"x", MotionResponse("c", "r", True, NO_KEYFRAMES, "239 floats")),
            "-> motion of r: 0 keyframes, end, 239 floats",
        ),
        (Received("x", Audio(bytes(4), True, "t")), "-> audio of t: 4 bytes, last"),
        (Received("x", Motion((), True)), "-> motion [], last"),
        (Received("x", Failed("no")), "-> Failed(message='no') (1 bytes)"),
    ],
)
def test_an_event_in_words(what: EventKind, words: str) -> None:
    assert describe_event(Event(0, 1_500_000_000, Lane.KIT, "ann", what)) == words
