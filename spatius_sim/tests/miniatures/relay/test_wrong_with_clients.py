"""Each miniature that clients show, as they interrupt, leave, misbehave or wait, is wrong in its one way."""

from itertools import count

import numpy as np
import pytest

from spatius_sim.miniatures.relay.wrong_with_clients import (
    BEHAVIOUR_MINIATURES,
    CutsSpeech,
    DemandsCredentials,
    EndsInMidSample,
    FallsOverRubbish,
    GoesOnAfterInterrupts,
    LabelsStaleMotionAnew,
    LeavesSessionsOpen,
    NeverMarksMotionEnd,
    PassesStaleMotionOn,
    SendsTheQueueAfterAnInterrupt,
    SpeaksBehindTheEnd,
    TakesTokensAgain,
    TurnsTheTailIntoATurn,
)
from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import AudioInput, ConfirmSession, MotionResponse
from spatius_sim.wires.events import (
    Audio,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    Ready,
    RelayEvent,
    Speak,
    SpeakEnd,
    Unclear,
)

ANN, BOB = "ann", "bob"
PCM = bytes(range(256)) * 5
MOTION = MotionResponse("id", "req-1", True, np.zeros((1, WIDTH), np.float32))


class Talk:
    """A relay that talks with Ann and Bob, and all its commands."""

    def __init__(self, kind: type[PlainRelay]) -> None:
        numbers = count(1)
        self.relay = kind("key", lambda: f"req-{next(numbers)}")
        self.commands: list[RelayCommand] = self.relay.on_client_connected(
            ANN
        ) + self.relay.on_client_connected(BOB)

    def speaks(self, client: str, number: int = 0, *, end: bool = True) -> "Talk":
        self.commands += self.relay.on_client_action(client, Speak(PCM))
        up = f"{client}-turn-{number}"
        self.commands += self.relay.on_session_opened(up)
        self.commands += self.relay.on_server_frame(up, b"", ConfirmSession("id"))
        if end:
            self.commands += self.relay.on_client_action(client, SpeakEnd())
        return self

    def answered(self, up: str) -> "Talk":
        self.commands += self.relay.on_server_frame(up, encode(MOTION), MOTION)
        return self

    def told(self, client: str) -> list[RelayEvent]:
        return [c.event for c in self.commands if isinstance(c, Tell) and c.client_id == client]

    @property
    def audio_up(self) -> list[AudioInput]:
        messages = (command.message for command in self.commands if isinstance(command, SendUp))
        return [message for message in messages if isinstance(message, AudioInput)]

    @property
    def hung_up(self) -> list[str]:
        return [command.session_id for command in self.commands if isinstance(command, HangUp)]


def motion(talk: Talk) -> list[tuple[bool, str]]:
    return [(m.last, m.turn_id) for m in talk.told(ANN) if isinstance(m, Motion)]


@pytest.mark.parametrize(
    ("kind", "label"), [(PassesStaleMotionOn, ""), (LabelsStaleMotionAnew, "ann-turn-1")]
)
def test_stale_motion(kind: type[PlainRelay], label: str) -> None:
    talk = Talk(kind).speaks(ANN)
    talk.commands += talk.relay.on_client_action(ANN, InterruptTurn())
    talk.speaks(ANN, 1)
    assert talk.hung_up == []
    assert Interrupted("asked") in talk.told(ANN)
    talk.answered("ann-turn-0")
    assert motion(talk) == [(True, label)]
    assert next(c.turn_id for c in talk.told(ANN) if isinstance(c, Audio)) == ("ann-turn-0" if label else "")
    talk.commands += talk.relay.on_client_disconnected(ANN)
    assert set(talk.hung_up) == {"ann-turn-0", "ann-turn-1"}


def test_the_tail_of_a_turn_that_was_cut_off_becomes_a_turn() -> None:
    talk = Talk(TurnsTheTailIntoATurn)
    talk.commands += talk.relay.on_client_action(ANN, Speak(PCM))
    talk.commands += talk.relay.on_client_action(ANN, InterruptTurn())
    talk.speaks(ANN, 1)
    talk.speaks(ANN, 2)
    audio = [(bool(e.pcm), e.turn_id) for e in talk.told(ANN) if isinstance(e, Audio)]
    assert audio == [
        (True, "ann-turn-0"),
        (True, "ann-turn-1"),
        (True, "rest of ann-turn-0"),
        (False, "ann-turn-1"),
        (True, "ann-turn-2"),
        (False, "ann-turn-2"),
    ]


def test_tokens_are_taken_again() -> None:
    connects = [c for c in Talk(TakesTokensAgain).speaks(ANN).commands if isinstance(c, ConnectUp)]
    assert [connect.fresh for connect in connects] == [False]


def test_one_byte_too_many() -> None:
    assert Talk(EndsInMidSample).speaks(ANN).audio_up[-1] == AudioInput("req-1", b"\0", end=True)


def test_speech_after_the_end() -> None:
    talk = Talk(SpeaksBehindTheEnd).speaks(ANN)
    assert [(bool(a.audio), a.end) for a in talk.audio_up] == [(True, False), (False, True), (True, False)]
    talk.commands += talk.relay.on_client_action(ANN, SpeakEnd())
    assert len(talk.audio_up) == 3


def test_speech_that_is_cut() -> None:
    talk = Talk(CutsSpeech).speaks(ANN)
    talk.commands += talk.relay.on_client_action(BOB, Speak(PCM[:640]))
    assert talk.audio_up[0].audio == PCM[640:]
    assert [e.pcm for e in (*talk.told(ANN), *talk.told(BOB)) if isinstance(e, Audio) and e.pcm] == [
        PCM[640:],
        PCM[:640],
    ]


def test_sessions_that_are_left_open() -> None:
    talk = Talk(LeavesSessionsOpen).speaks(ANN)
    talk.commands += talk.relay.on_client_disconnected(ANN)
    assert talk.hung_up == []


def test_a_motion_end_that_is_never_marked() -> None:
    assert motion(Talk(NeverMarksMotionEnd).speaks(ANN).answered("ann-turn-0")) == [(False, "ann-turn-0")]


def test_credentials_that_are_demanded() -> None:
    relay = DemandsCredentials("key", lambda: "req")
    assert isinstance(relay.on_client_connected(ANN)[0], Tell)
    relay.on_client_connected(BOB, "a session token")
    assert relay.on_client_action(ANN, Speak(PCM)) == [Tell(ANN, Failed("bring a session token"))]
    assert Tell(BOB, Audio(PCM, turn_id="bob-turn-0")) in relay.on_client_action(BOB, Speak(PCM))


def test_malformed_input_that_costs_everybody_a_turn() -> None:
    talk = Talk(FallsOverRubbish).speaks(ANN).speaks(BOB)
    talk.commands += talk.relay.on_client_action(ANN, Note("ping"))
    assert talk.hung_up == []
    talk.commands += talk.relay.on_client_action(ANN, Unclear("?"))
    assert set(talk.hung_up) == {"ann-turn-0", "bob-turn-0"}


def test_every_other_thing_is_honest() -> None:
    for kinds in BEHAVIOUR_MINIATURES.values():
        for kind in kinds:
            assert isinstance(Talk(kind).told(BOB)[0], Ready)


def test_an_interrupt_is_told_and_does_nothing() -> None:
    talk = Talk(GoesOnAfterInterrupts).speaks(ANN)
    assert talk.relay.on_client_action(ANN, InterruptTurn()) == [Tell(ANN, Interrupted("asked"))]
    assert Motion((encode(MOTION),), True, "ann-turn-0") in talk.answered("ann-turn-0").told(ANN)


def test_the_queue_is_sent_some_time_after_an_interrupt() -> None:
    talk = Talk(SendsTheQueueAfterAnInterrupt).speaks(ANN)
    assert WatchSilence("queue of ann", 2.1) in talk.relay.on_client_action(ANN, InterruptTurn())
    assert talk.relay.on_server_silent("queue of ann") == [Tell(ANN, Audio(PCM, turn_id="ann-turn-0"))]
    assert talk.relay.on_server_silent("queue of ann") == []
