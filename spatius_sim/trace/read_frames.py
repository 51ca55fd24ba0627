"""Reads frames into the values that a trace holds, by lane and direction."""

from collections.abc import Callable

from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import Message
from spatius_sim.trace.events import Lane, Undecodable, Value
from spatius_sim.wires.testee_messages import read_answer, read_request
from spatius_sim.wires.wire import Wire


def read_upstream(
    raw: str | bytes, decode_message: Callable[[bytes], Message] = decode
) -> Message | Undecodable:
    """Decode a frame that went to or came from Motion Server, and return its message. Return Undecodable,
    with the reason, if the frame is text, or if the function `decode_message` cannot decode it."""
    if isinstance(raw, str):
        return Undecodable("a text frame; Motion Server's messages are binary")
    try:
        return decode_message(raw)
    except RemoteProtocolError as error:
        return Undecodable(str(error))


def read_frame(
    lane: Lane, raw: str | bytes, *, sent_by_kit: bool, wire: Wire | None, index: int = 0
) -> Value:
    """Decode a frame, and return the value that a trace holds for it. If the frame carries several values,
    return the value number `index`, counted from 0. Raises IndexError if there is no value with this number.
    `lane` and `sent_by_kit` (whether our kit sent the frame) decide how the frame is read."""
    return read_frame_values(lane, raw, sent_by_kit=sent_by_kit, wire=wire)[index]


def read_frame_values(
    lane: Lane, raw: str | bytes, *, sent_by_kit: bool, wire: Wire | None
) -> tuple[Value, ...]:
    """Decode a frame, and return all values that it carries, at least one. A frame that cannot be decoded
    gives one Undecodable.

    `lane` and `sent_by_kit` (whether our kit sent the frame) decide what is read: a message of Motion Server,
    a message of the protocol for a client under test, an action of a relay's client, or the events of a
    relay. `wire` is the message format between the relay and its client."""
    if lane is Lane.UPSTREAM or lane is Lane.EGRESS:
        return (read_upstream(raw),)
    if lane is Lane.CLIENT:
        return (_read_testee_frame(raw, sent_by_kit=sent_by_kit),)
    if wire is None:
        return (Undecodable("this trace names no wire"),)
    return (wire.read_client_frame(raw),) if sent_by_kit else wire.read_relay_frame(raw)


def _read_testee_frame(raw: str | bytes, *, sent_by_kit: bool) -> Value:
    """Decode a frame between the kit and a testee (the program that connects a client under test to the kit).
    Return the request if the kit sent the frame, otherwise the answer. Return Undecodable, with the reason,
    if the frame holds neither."""
    try:
        return read_request(raw) if sent_by_kit else read_answer(raw)
    except RemoteProtocolError as error:
        return Undecodable(str(error))
