"""Each relay that fails with a failing Motion Server differs from the plain relay in one named way."""

from itertools import count

import numpy as np
import pytest

from spatius_sim.miniatures.wrong_with_faults import (
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
    relay.client_came(ANN)
    return relay


def speaking(kind: type[PlainRelay], *, confirmed: bool = True) -> PlainRelay:
    relay = relay_of(kind)
    relay.client_did(ANN, Speak(PCM))
    relay.upstream_opened(UP)
    if confirmed:
        relay.upstream_said(UP, b"", ConfirmSession("id"))
    return relay


def told(commands: list[RelayCommand]) -> list[object]:
    return [command.event for command in commands if isinstance(command, Tell)]


MARK = Audio(b"", last=True, turn_id=UP)


def test_ends_audio_with_motion() -> None:
    relay = speaking(EndsAudioWithMotion)
    assert told(relay.client_did(ANN, SpeakEnd())) == []
    assert told(relay.upstream_said(UP, RAW, MESSAGE)) == [Motion((RAW,), True, UP), MARK]


def test_keeps_audio_for_motion() -> None:
    relay = relay_of(KeepsAudioForMotion)
    assert told(relay.client_did(ANN, Speak(PCM))) == []
    relay.upstream_opened(UP)
    assert told(relay.upstream_said(UP, b"", ConfirmSession("id"))) == [Audio(PCM, turn_id=UP)]
    assert told(relay.client_did(ANN, Speak(PCM))) == [Audio(PCM, turn_id=UP)]
    assert told(relay.client_did(ANN, SpeakEnd())) == [MARK]
    assert told(relay.upstream_lost(UP, "gone")) == [Failed("gone")]


def test_drops_the_audio_that_it_kept() -> None:
    relay = speaking(KeepsAudioForMotion, confirmed=False)
    assert told(relay.upstream_lost(UP, "refused")) == [Failed("refused"), MARK]
    assert told(relay.client_did(ANN, Speak(PCM))) == []


def test_tells_no_failure() -> None:
    relay = speaking(TellsNoFailure)
    assert relay.upstream_lost(UP, "gone") == [HangUp(UP)]


def test_tells_no_close_but_all_else() -> None:
    assert speaking(TellsNoClose).upstream_lost(UP, "gone") == [HangUp(UP)]
    refused = speaking(TellsNoClose, confirmed=False)
    assert told(refused.upstream_lost(UP, "refused")) == [Failed("refused")]
    failed = speaking(TellsNoClose)
    assert told(failed.upstream_said(UP, b"", ServerError("id", "", 13, "no"))) == [Failed("no")]


def test_falls_back_twice() -> None:
    relay = speaking(FallsBackTwice)
    relay.client_did(ANN, SpeakEnd())
    assert told(relay.upstream_lost(UP, "gone")) == [Motion((), False, UP)]
    relay.client_did(ANN, Speak(PCM))
    again = "ann-turn-1"
    relay.upstream_opened(again)
    relay.upstream_said(again, b"", ConfirmSession("id"))
    events = told(relay.upstream_said(again, RAW, MESSAGE))
    assert events == [Motion((), False, again), Motion((RAW,), True, again)]
    assert told(relay.motion_down(relay._speaking[ANN], RAW, MESSAGE)) == [Motion((RAW,), True, again)]


def test_gives_up() -> None:
    relay = speaking(GivesUp)
    relay.client_did(ANN, SpeakEnd())
    relay.upstream_lost(UP, "gone")
    commands = relay.client_did(ANN, Speak(PCM))
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
    events = told(speaking(kind).upstream_said(UP, grow_message(RAW, size), MESSAGE))
    sizes = [len(raw) for event in events if isinstance(event, Motion) for raw in event.payloads]
    assert sizes == ([] if passed is None else [passed])


def test_insists_at_once() -> None:
    relay = speaking(InsistsAtOnce, confirmed=False)
    assert [type(relay.upstream_lost(UP, "refused")[0]) for _ in range(39)] == [ConnectUp] * 39
    assert told(relay.upstream_lost(UP, "refused")) == [Failed("refused")]


def test_insists_for_ever() -> None:
    relay = speaking(InsistsForEver, confirmed=False)
    again = WatchSilence(UP, 0.25)
    assert relay.upstream_lost(UP, "refused") == [Tell(ANN, Failed("refused")), again]
    assert [type(command) for command in relay.upstream_silent(UP)] == [ConnectUp]
    assert relay.upstream_lost(UP, "refused") == [again]
    assert told(speaking(InsistsForEver).upstream_lost(UP, "gone")) == [Failed("gone")]
    watch = WatchSilence(UP, PlainRelay.policy.silence_seconds)
    assert speaking(InsistsForEver).upstream_silent(UP) == [watch]
