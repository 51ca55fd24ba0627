"""Each relay that fails with a failing Motion Server differs from the plain relay in one named way."""

from itertools import count

import numpy as np
import pytest

from spatius_sim.miniatures.relay.wrong_with_faults import (
    CutsLargePayloads,
    EndsAudioWithMotion,
    FallsBackTwice,
    GivesUp,
    InsistsAtOnce,
    InsistsForEver,
    KeepsAudioForMotion,
    LosesHugePayloads,
    LosesLargePayloads,
    TellsNoClose,
    TellsNoFailure,
)
from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, Tell, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.model.scenario.spoil_messages import grow_message
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import ConfirmSession, MotionResponse, ServerError
from spatius_sim.wires.events import Audio, Failed, Motion, Speak, SpeakEnd

ANN, UP = "ann", "ann-turn-0"
PCM = b"1234"
MESSAGE = MotionResponse("id", "req-1", True, np.zeros((1, WIDTH), np.float32))
RAW = encode(MESSAGE)


def relay_of(kind: type[PlainRelay]) -> PlainRelay:
    numbers = count(1)
    relay = kind("api key", lambda: f"req-{next(numbers)}")
    relay.on_client_connected(ANN)
    return relay


def speaking(kind: type[PlainRelay], *, confirmed: bool = True) -> PlainRelay:
    relay = relay_of(kind)
    relay.on_client_action(ANN, Speak(PCM))
    relay.on_session_opened(UP)
    if confirmed:
        relay.on_server_frame(UP, b"", ConfirmSession("id"))
    return relay


def told(commands: list[RelayCommand]) -> list[object]:
    return [command.event for command in commands if isinstance(command, Tell)]


MARK = Audio(b"", last=True, turn_id=UP)


def test_ends_audio_with_motion() -> None:
    relay = speaking(EndsAudioWithMotion)
    assert told(relay.on_client_action(ANN, SpeakEnd())) == []
    assert told(relay.on_server_frame(UP, RAW, MESSAGE)) == [Motion((RAW,), True, UP), MARK]


def test_keeps_audio_for_motion() -> None:
    relay = relay_of(KeepsAudioForMotion)
    assert told(relay.on_client_action(ANN, Speak(PCM))) == []
    relay.on_session_opened(UP)
    assert told(relay.on_server_frame(UP, b"", ConfirmSession("id"))) == [Audio(PCM, turn_id=UP)]
    assert told(relay.on_client_action(ANN, Speak(PCM))) == [Audio(PCM, turn_id=UP)]
    assert told(relay.on_client_action(ANN, SpeakEnd())) == [MARK]
    assert told(relay.on_session_lost(UP, "gone")) == [Failed("gone")]


def test_drops_the_audio_that_it_kept() -> None:
    relay = speaking(KeepsAudioForMotion, confirmed=False)
    assert told(relay.on_session_lost(UP, "refused")) == [Failed("refused"), MARK]
    assert told(relay.on_client_action(ANN, Speak(PCM))) == []


def test_tells_no_failure() -> None:
    relay = speaking(TellsNoFailure)
    assert relay.on_session_lost(UP, "gone") == [HangUp(UP)]


def test_tells_no_close_but_all_else() -> None:
    assert speaking(TellsNoClose).on_session_lost(UP, "gone") == [HangUp(UP)]
    refused = speaking(TellsNoClose, confirmed=False)
    assert told(refused.on_session_lost(UP, "refused")) == [Failed("refused")]
    failed = speaking(TellsNoClose)
    assert told(failed.on_server_frame(UP, b"", ServerError("id", "", 13, "no"))) == [Failed("no")]


def test_falls_back_twice() -> None:
    relay = speaking(FallsBackTwice)
    relay.on_client_action(ANN, SpeakEnd())
    assert told(relay.on_session_lost(UP, "gone")) == [Motion((), False, UP)]
    relay.on_client_action(ANN, Speak(PCM))
    again = "ann-turn-1"
    relay.on_session_opened(again)
    relay.on_server_frame(again, b"", ConfirmSession("id"))
    events = told(relay.on_server_frame(again, RAW, MESSAGE))
    assert events == [Motion((), False, again), Motion((RAW,), True, again)]
    assert told(relay.send_motion_to_client(relay._speaking_turns[ANN], RAW, MESSAGE)) == [
        Motion((RAW,), True, again)
    ]


def test_gives_up() -> None:
    relay = speaking(GivesUp)
    relay.on_client_action(ANN, SpeakEnd())
    relay.on_session_lost(UP, "gone")
    commands = relay.on_client_action(ANN, Speak(PCM))
    assert told(commands) == [Audio(PCM, turn_id="ann-turn-1")]
    assert not any(isinstance(command, ConnectUp) for command in commands)


@pytest.mark.parametrize(
    ("kind", "size", "passed"),
    [
        (LosesLargePayloads, 60_000, 60_000),
        (LosesLargePayloads, 60_001, None),
        (CutsLargePayloads, 60_001, 60_000),
        (LosesHugePayloads, 1_000_000, 1_000_000),
        (LosesHugePayloads, 1_000_001, None),
    ],
)
def test_what_becomes_of_large_payloads(kind: type[PlainRelay], size: int, passed: int | None) -> None:
    events = told(speaking(kind).on_server_frame(UP, grow_message(RAW, size), MESSAGE))
    sizes = [len(raw) for event in events if isinstance(event, Motion) for raw in event.payloads]
    assert sizes == ([] if passed is None else [passed])


def test_insists_at_once() -> None:
    relay = speaking(InsistsAtOnce, confirmed=False)
    assert [type(relay.on_session_lost(UP, "refused")[0]) for _ in range(39)] == [ConnectUp] * 39
    assert told(relay.on_session_lost(UP, "refused")) == [Failed("refused")]


def test_insists_for_ever() -> None:
    relay = speaking(InsistsForEver, confirmed=False)
    again = WatchSilence(UP, 0.25)
    assert relay.on_session_lost(UP, "refused") == [Tell(ANN, Failed("refused")), again]
    assert [type(command) for command in relay.on_server_silent(UP)] == [ConnectUp]
    assert relay.on_session_lost(UP, "refused") == [again]
    assert told(speaking(InsistsForEver).on_session_lost(UP, "gone")) == [Failed("gone")]
    watch = WatchSilence(UP, PlainRelay.policy.silence_seconds)
    assert speaking(InsistsForEver).on_server_silent(UP) == [watch]
