"""Reads frames into the values that a trace holds, by lane and direction."""

from collections.abc import Callable

from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import Message
from spatius_sim.trace.events import Lane, Undecodable, Value
from spatius_sim.wires.testee_messages import read_answer, read_request
from spatius_sim.wires.wire import Wire


def read_upstream(raw: str | bytes, read: Callable[[bytes], Message] = decode) -> Message | Undecodable:
    """Return the message in a frame that a Server SDK or Motion Server sent. Return Undecodable, with the
    reason, if the frame is text, or if the function `read` cannot decode the frame."""
    if isinstance(raw, str):
        return Undecodable("a text frame; Motion Server's messages are binary")
    try:
        return read(raw)
    except RemoteProtocolError as error:
        return Undecodable(str(error))


def read_frame(lane: Lane, raw: str | bytes, *, sent: bool, wire: Wire | None, part: int = 0) -> Value:
    """Read a frame, by its lane and by whether the kit sent it, and return the value that a trace holds. If
    the frame carries several values, return number `part`. Raises IndexError if there is no such value."""
    return read_parts(lane, raw, sent=sent, wire=wire)[part]


def read_parts(lane: Lane, raw: str | bytes, *, sent: bool, wire: Wire | None) -> tuple[Value, ...]:
    """Read a frame, and return all values that the frame carries, at least one. `lane` and `sent` (whether
    our kit sent the frame) decide how the frame is read: as a message of Motion Server, as relay events, or
    as an action of a relay's client. A frame that cannot be read gives one Undecodable."""
    if lane is Lane.UPSTREAM or lane is Lane.EGRESS:
        return (read_upstream(raw),)
    if lane is Lane.CLIENT:
        return (_read_testee(raw, sent=sent),)
    if wire is None:
        return (Undecodable("this trace names no wire"),)
    return (wire.read_client(raw),) if sent else wire.read_relay(raw)


def _read_testee(raw: str | bytes, *, sent: bool) -> Value:
    """Read a frame between the kit and a testee (the program that connects a client under test to the kit).
    Return the request that the kit sent, or the answer that the kit received; Undecodable, with the reason,
    if the frame holds neither."""
    try:
        return read_request(raw) if sent else read_answer(raw)
    except RemoteProtocolError as error:
        return Undecodable(str(error))
