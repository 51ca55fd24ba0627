"""typed-json as third-party apps speak it."""

import pytest

from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    NotUnderstood,
    PlayClip,
    Ready,
    RelayEvent,
    Say,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)
from spatius_sim.wires.typed_json import TypedJson

WIRE = TypedJson()

FROM_A_RELAY: list[tuple[str, RelayEvent]] = [
    ('{"type":"audio","data":"cGNt","end":false}', Audio(b"pcm")),
    ('{"type":"audio","data":"cGNt"}', Audio(b"pcm")),
    ('{"type":"audio","data":"","end":true}', Audio(b"", last=True)),
    ('{"type":"motion","data":["Zmly","c2Vj"]}', Motion((b"fir", b"sec"))),
    ('{"type":"motion","data":[]}', Motion(())),
]
NO_RELAY_EVENT: list[tuple[str | bytes, str]] = [
    (b"{}", "a binary frame; typed-json has text frames only"),
    ("hello", "not JSON: "),
    ("{}", "type None is not one of a typed-json relay's"),
    ('{"type":"audio"}', "data is missing or null"),
    ('{"type":"audio","data":"cGNt","end":1}', "end is neither true nor false"),
    ('{"type":"motion","data":"Zmly"}', "motion.data is not a list"),
    ('{"type":"motion","data":[7]}', "data is not base64 text"),
]


@pytest.mark.parametrize(("frame", "event"), FROM_A_RELAY)
def test_a_client_reads_a_relay(frame: str, event: RelayEvent) -> None:
    assert WIRE.read_relay_frame(frame) == (event,)


@pytest.mark.parametrize(("frame", "reason"), NO_RELAY_EVENT)
def test_what_a_client_cannot_read_is_garbage(frame: str | bytes, reason: str) -> None:
    [event] = WIRE.read_relay_frame(frame)
    assert isinstance(event, NotUnderstood)
    assert event.reason.startswith(reason)


def test_a_client_sends_the_same_audio_message() -> None:
    assert WIRE.read_client_frame('{"type":"audio","data":"cGNt","end":true}') == Speak(b"pcm", last=True)
    assert WIRE.write_client_action(SpeakEnd()) == WIRE.write_relay_event(Audio(b"", last=True))


@pytest.mark.parametrize("frame", ['{"type":"motion","data":[]}', "hello", b"\x00"])
def test_what_a_relay_cannot_read_is_unclear(frame: str | bytes) -> None:
    assert isinstance(WIRE.read_client_frame(frame), Unclear)


@pytest.mark.parametrize(
    "event", [Ready(), Motion((), True), Interrupted("asked"), Failed("no credits"), Note("status")]
)
def test_a_relay_has_no_way_to_say_it(event: RelayEvent) -> None:
    assert WIRE.write_relay_event(event) == ()


@pytest.mark.parametrize(
    "action", [Start(16000), InterruptTurn(), PlayClip("hello"), Say("hi"), Note("ping")]
)
def test_a_client_has_no_way_to_ask_it(action: ClientAction) -> None:
    assert WIRE.write_client_action(action) == ()
