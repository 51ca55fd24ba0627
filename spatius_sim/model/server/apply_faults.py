"""Applies faults to one message, one step after the other."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from spatius_sim.model.scenario.injected import injected
from spatius_sim.model.scenario.payloads import (
    garbage,
    grown_to,
    with_connection_id,
    with_req_id,
    with_unknown_fields,
    without_keyframes,
    wrong_type,
)
from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    Drop,
    Duplicate,
    EmptyMotion,
    FaultAction,
    GrowTo,
    OtherConnectionId,
    OtherReqId,
    Reorder,
    Reset,
    SendError,
    SendGarbage,
    Stall,
    Text,
    TruncatedFrame,
    UnknownFields,
    WrongType,
)
from spatius_sim.model.scenario.scenario_player import ConnectionFaults, seconds_of
from spatius_sim.model.server.commands import Close, Output, ResetConnection, Send, SendText, SendTruncated
from spatius_sim.trace.events import Injected


@dataclass(slots=True)
class FaultedMessage:
    """The outputs that replace a message, `delay` seconds later.

    A SendError among them is a ServerError, which only the session can write. `is_message`: the outputs are
    still the message, or copies of it. `reordered`: the message leaves after the next one. `stalled`: nothing
    follows."""

    outputs: list[Output | SendError] = field(default_factory=list)
    delay: float = 0.0
    error: SendError | None = None
    reordered: bool = False
    stalled: bool = False
    is_message: bool = True
    injected: list[Injected] = field(default_factory=list)


def apply_faults(
    raw: bytes, steps: Iterable[FaultAction], faults: ConnectionFaults, *where: str | int
) -> FaultedMessage:
    """Apply all these steps to a message; `raw` is empty if no message was due. The `where` decides the draws
    of random faults."""
    spoiled = FaultedMessage()
    messages = [raw] if raw else []
    after: list[Output | SendError] = []
    for index, step in enumerate(steps):
        spoiled.injected.append(injected(step))
        drawn = (faults.number, *where, index)
        match step:
            case SendError():
                messages, spoiled.error = [], step
                after.append(step)
            case CloseWith(code, reason):
                messages = []
                after.append(Close(code, reason))
            case Reset():
                messages = []
                after.append(ResetConnection())
            case TruncatedFrame():
                cut = messages[0] if messages else garbage(64, faults.seed, *drawn)
                messages = []
                after.append(SendTruncated(cut))
            case Stall():
                messages, spoiled.stalled = [], True
            case Delay():
                spoiled.delay += seconds_of(step, faults.seed, *drawn)
            case Drop():
                messages = []
            case Reorder():
                messages, spoiled.reordered = [], True
            case Text(text):
                messages = []
                after.append(SendText(text))
            case SendGarbage(count):
                messages, spoiled.is_message = [garbage(count, faults.seed, *drawn)], False
            case WrongType():
                messages, spoiled.is_message = [wrong_type()], False
            case Duplicate():
                messages *= 2
            case _:
                messages = [_change_message(message, step) for message in messages]
    spoiled.outputs = [*(Send(message) for message in messages), *after]
    return spoiled


def _change_message(raw: bytes, step: FaultAction) -> bytes:
    """Change the content of one message."""
    match step:
        case EmptyMotion():
            return without_keyframes(raw)
        case OtherReqId(req_id):
            return with_req_id(raw, req_id)
        case OtherConnectionId(connection_id):
            return with_connection_id(raw, connection_id)
        case GrowTo(size):
            return grown_to(raw, size)
        case UnknownFields():
            return with_unknown_fields(raw)
        case _:
            raise AssertionError(f"{step} spoils no message: the table ALLOWED refuses it")
