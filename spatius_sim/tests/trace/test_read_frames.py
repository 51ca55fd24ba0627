"""The trace and what its frames mean."""

import pytest

from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES, encode
from spatius_sim.protocol.messages import ConfirmSession, Interrupt, UnknownMessage
from spatius_sim.trace.events import (
    Event,
    Excuse,
    Injected,
    Lane,
    Received,
    Sent,
    Trace,
    TraceHeader,
    Undecodable,
)
from spatius_sim.trace.read_frames import read_frame, read_upstream
from spatius_sim.wires.events import Audio, NotUnderstood, Speak, Unclear
from spatius_sim.wires.json_envelope import JsonEnvelope

WIRE = JsonEnvelope()


def test_a_lane_is_read_in_order() -> None:
    lanes = [Lane.KIT, Lane.UPSTREAM, Lane.KIT, Lane.DOWNSTREAM]
    events = tuple(Event(seq, seq, lane, "", Injected("x", Excuse.FAILURE)) for seq, lane in enumerate(lanes))
    trace = Trace(TraceHeader("relay", "json-envelope", 0, "plan", "1"), events)
    assert [event.seq for event in trace.on_lane(Lane.KIT)] == [0, 2]
    assert list(trace.on_lane(Lane.CONSOLE)) == []


def test_frames_are_the_same_where_their_bytes_are() -> None:
    assert Received(b"x", Interrupt("a")) == Received(b"x", Undecodable("another reading"))
    assert Sent(b"x", Interrupt("a")) != Sent(b"y", Interrupt("a"))
    assert Sent(b"x", Interrupt("a"), "req-1") != Sent(b"x", Interrupt("a"), "req-2")


@pytest.mark.parametrize("message", [ConfirmSession("id"), Interrupt("req"), UnknownMessage(6)])
def test_an_upstream_frame_is_a_message(message: ConfirmSession | Interrupt | UnknownMessage) -> None:
    assert read_upstream(encode(message)) == message


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("text", "a text frame"),
        (b"\xff", "not decodable"),
        (b"\x00" * (MAX_MESSAGE_BYTES + 1), "1048577 bytes"),
    ],
    ids=["text", "junk", "too large"],
)
def test_an_upstream_frame_that_is_no_message_says_why(raw: str | bytes, reason: str) -> None:
    read = read_upstream(raw)
    assert isinstance(read, Undecodable)
    assert reason in read.reason


@pytest.mark.parametrize("sent", [True, False])
def test_the_upstream_lane_needs_no_wire(sent: bool) -> None:
    raw = encode(Interrupt("req"))
    assert read_frame(Lane.UPSTREAM, raw, sent_by_kit=sent, wire=None) == Interrupt("req")


def test_what_the_kit_sends_down_is_a_clients() -> None:
    [frame] = WIRE.write_client_action(Speak(b"12"))
    assert read_frame(Lane.DOWNSTREAM, frame, sent_by_kit=True, wire=WIRE) == Speak(b"12")
    assert isinstance(read_frame(Lane.DOWNSTREAM, frame, sent_by_kit=False, wire=WIRE), NotUnderstood)


def test_what_the_kit_receives_from_below_is_a_relays() -> None:
    [frame] = WIRE.write_relay_event(Audio(b"12", last=True))
    assert read_frame(Lane.DOWNSTREAM, frame, sent_by_kit=False, wire=WIRE) == Audio(b"12", last=True)
    assert isinstance(read_frame(Lane.DOWNSTREAM, frame, sent_by_kit=True, wire=WIRE), Unclear)


@pytest.mark.parametrize("sent", [True, False])
def test_without_a_wire_nothing_below_can_be_read(sent: bool) -> None:
    assert read_frame(Lane.DOWNSTREAM, "{}", sent_by_kit=sent, wire=None) == Undecodable(
        "this trace names no wire"
    )
