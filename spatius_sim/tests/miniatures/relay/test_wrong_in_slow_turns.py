"""Each relay that is wrong in slow turns differs from the plain relay there, and nowhere else."""

from functools import partial

import pytest

from spatius_sim.miniatures.relay.honest_relays import MARKS_LAST_CHUNK
from spatius_sim.miniatures.relay.wrong_in_slow_turns import (
    HoldsEachChunkBack,
    WaitsFromBeforeTheConfirmation,
    WaitsFromBeforeTheSpeechEnds,
    WaitsOnceForAllMotion,
)
from spatius_sim.model.relay.commands import RelayCommand, WatchSilence
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.tests.model.relay.dialogue import (
    ANN,
    LONG,
    SHORT,
    UP,
    MakeRelay,
    audio_told,
    new_relay,
    response,
    told,
)
from spatius_sim.wires.events import Audio, Speak, SpeakEnd


def _steps(make: MakeRelay) -> list[list[RelayCommand]]:
    """Return what a relay does at speech, confirmation, end of speech, and motion."""
    relay = new_relay(make)
    begun = relay.on_client_action(ANN, Speak(SHORT))
    relay.on_session_opened(UP)
    confirmed = relay.on_server_frame(UP, b"", ConfirmSession("id"))
    ended = relay.on_client_action(ANN, SpeakEnd())
    return [begun, confirmed, ended, relay.on_server_frame(UP, *response(1, end=False))]


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        (WaitsFromBeforeTheConfirmation, 1),
        (WaitsFromBeforeTheSpeechEnds, 2),
        (WaitsOnceForAllMotion, 3),
    ],
)
def test_they_begin_one_wait_less_and_do_all_else(kind: type[PlainRelay], lacking: int) -> None:
    honest, wrong = _steps(partial(PlainRelay, policy=kind.policy)), _steps(kind)
    for number, commands in enumerate(honest):
        waits = [command for command in commands if isinstance(command, WatchSilence)]
        assert len(waits) == 1
        kept = [command for command in commands if number != lacking or command not in waits]
        assert wrong[number] == kept


def test_each_chunk_waits_for_the_next_one() -> None:
    marks_last = partial(PlainRelay, policy=MARKS_LAST_CHUNK)
    audio, honest = audio_told(HoldsEachChunkBack), audio_told(marks_last)
    assert b"".join(event.pcm for event in audio) == b"".join(event.pcm for event in honest)
    relay = new_relay(HoldsEachChunkBack)
    assert told(relay.on_client_action(ANN, Speak(LONG))) == []
    assert told(relay.on_client_action(ANN, Speak(SHORT))) == [Audio(LONG, turn_id=UP)]
    assert told(relay.on_client_action(ANN, SpeakEnd())) == [Audio(SHORT, last=True, turn_id=UP)]
