"""binary-header as the vendor's host-mode server speaks it."""

import json

import pytest

from spatius_sim.wires.binary_header import BinaryHeader
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

WIRE = BinaryHeader()

FROM_A_RELAY: list[tuple[bytes, RelayEvent]] = [
    (b"\x02\x00\0\0\0\x01\0\0\0\x03fir", Motion((b"fir",))),
    (b"\x02\x03\0\0\0\x02\0\0\0\x01a\0\0\0\x02bc", Motion((b"a", b"bc"), last=True)),
    (b"\x02\x01\0\0\0\0", Motion((), last=True)),
    (
        b'\x03\x00{"sample_rate": 24000, "channels": 1, "avatar_id": "a", "connection_id": "c"}',
        Ready("c", 24000, 24000),
    ),
    (b"\x03\x00{}", Ready()),
    (b'\x04\x00{"error": "no credits"}', Failed("no credits")),
]
FROM_A_CLIENT: list[tuple[str | bytes, ClientAction]] = [
    ('{"action":"start","avatar_id":"a","sample_rate":16000}', Start(16000, "a")),
    ('{"action":"start"}', Start(0)),
    (b"\x01\x00pcm", Speak(b"pcm")),
    (b"\x01\x01pcm", Speak(b"pcm", last=True)),
]
NO_RELAY_EVENT: list[tuple[str | bytes, str]] = [
    ("{}", "a text frame; a binary-header relay sends binary frames"),
    (b"", "0 bytes; a header alone has 2"),
    (b"\x02", "1 bytes; a header alone has 2"),
    (b"\x00\x00", "type 0x00 is not one of a binary-header relay's"),
    (b"\x01\x00pcm", "type 0x01 is not one of a binary-header relay's"),
    (b"\x05\x00", "type 0x05 is not one of a binary-header relay's"),
    (b"\x02\x00\0\0\0", "a count or a length breaks off"),
    (b"\x02\x00\0\0\0\x01\0\0", "a count or a length breaks off"),
    (b"\x02\x00\0\0\0\x01\0\0\0\x04fir", "payload 1 breaks off"),
    (b"\x02\x00\xff\xff\xff\xff\xff\xff\xff\xff", "payload 1 breaks off"),
    (b"\x02\x00\0\0\0\x02\0\0\0\x03fir", "2 payloads are announced, and not there"),
    (b"\x02\x00\0\0\0\0\0\0\0\x03fir", "0 payloads are announced, and not there"),
    (b"\x03\x00", "not JSON: "),
    (b"\x03\x00\xff", "not JSON: "),
    (b"\x03\x00[]", "not a JSON object"),
    (b'\x04\x00{"error": 7}', "error is not text"),
    (b"\x04\x00" + b"[" * 100_000, "not JSON: "),
    (b"\x04\x00[" + b"{}," * 600_000, "JSON of more than 1000000 values"),
]
NO_CLIENT_ACTION: list[tuple[str | bytes, str]] = [
    ("start", "not JSON: "),
    ("{}", "action None is not start"),
    ('{"action":"start","avatar_id":7}', "avatar_id is not text"),
    (b"\x01", "1 bytes; a header alone has 2"),
    (b"\x02\x00", "type 0x02 is not one of a binary-header client's"),
]


@pytest.mark.parametrize(("frame", "event"), FROM_A_RELAY)
def test_a_client_reads_a_relay(frame: bytes, event: RelayEvent) -> None:
    assert WIRE.read_relay_frame(frame) == (event,)


@pytest.mark.parametrize(("frame", "action"), FROM_A_CLIENT)
def test_a_relay_reads_a_client(frame: str | bytes, action: ClientAction) -> None:
    assert WIRE.read_client_frame(frame) == action


@pytest.mark.parametrize(("frame", "reason"), NO_RELAY_EVENT, ids=lambda value: ascii(value)[:40])
def test_what_a_client_cannot_read_is_garbage(frame: str | bytes, reason: str) -> None:
    [event] = WIRE.read_relay_frame(frame)
    assert isinstance(event, NotUnderstood)
    assert event.reason.startswith(reason)


@pytest.mark.parametrize(("frame", "reason"), NO_CLIENT_ACTION)
def test_what_a_relay_cannot_read_is_unclear(frame: str | bytes, reason: str) -> None:
    action = WIRE.read_client_frame(frame)
    assert isinstance(action, Unclear)
    assert action.reason.startswith(reason)


def test_a_failure_is_told_in_a_frame_of_its_own() -> None:
    assert WIRE.write_relay_event(Failed("no credits")) == (b'\x04\x00{"error": "no credits"}',)


def test_the_start_is_the_vendor_s() -> None:
    [bare], [named] = WIRE.write_client_action(Start(16000)), WIRE.write_client_action(Start(16000, "a"))
    assert json.loads(bare) == {"action": "start", "sample_rate": 16000}
    assert json.loads(named) == {"action": "start", "avatar_id": "a", "sample_rate": 16000}


@pytest.mark.parametrize("event", [Audio(b"pcm", True), Interrupted("asked"), Note("status")])
def test_a_relay_has_no_way_to_say_it(event: RelayEvent) -> None:
    assert WIRE.write_relay_event(event) == ()


@pytest.mark.parametrize("action", [InterruptTurn(), PlayClip("hello"), Say("hello"), Note("ping")])
def test_a_client_has_no_way_to_ask_it(action: ClientAction) -> None:
    assert WIRE.write_client_action(action) == ()


def test_the_end_of_speech_is_an_empty_last_frame() -> None:
    assert WIRE.write_client_action(SpeakEnd()) == (b"\x01\x01",)
