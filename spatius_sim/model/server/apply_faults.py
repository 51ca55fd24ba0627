"""Applies the faults of a scenario to one message, one fault after the other."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from spatius_sim.model.scenario.fault_events import make_fault_event
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
from spatius_sim.model.scenario.scenario_player import ConnectionFaults, draw_delay_seconds
from spatius_sim.model.scenario.spoil_messages import (
    add_unknown_fields,
    grow_message,
    make_garbage,
    make_wrong_type,
    remove_keyframes,
    replace_connection_id,
    replace_req_id,
)
from spatius_sim.model.server.commands import Close, Output, ResetConnection, Send, SendText, SendTruncated
from spatius_sim.trace.events import Injected

_GARBAGE_BYTES = 64
"""The size of the frame that is cut in half if no message was due."""


@dataclass(slots=True)
class FaultedMessage:
    """What is sent instead of a message: `outputs`, after `delay` seconds.

    A SendError among the outputs stands for a ServerError that the session must write; `error` is that
    SendError. `is_message`: the outputs are still the message, perhaps changed or copied. `reordered`: the
    message is to be sent after the next one. `stalled`: nothing is sent any more. `injected`: the events for
    the trace."""

    outputs: list[Output | SendError] = field(default_factory=list)
    delay: float = 0.0
    error: SendError | None = None
    reordered: bool = False
    stalled: bool = False
    is_message: bool = True
    injected: list[Injected] = field(default_factory=list)


def apply_faults(
    raw: bytes, actions: Iterable[FaultAction], faults: ConnectionFaults, *moment: str | int
) -> FaultedMessage:
    """Apply the fault actions of a scenario to the message `raw`, and return what is sent instead. `raw` is
    empty if no message was due. `moment` names the message: with the seed it decides the random numbers."""
    result = FaultedMessage()
    messages = [raw] if raw else []
    outputs_after_messages: list[Output | SendError] = []
    for index, action in enumerate(actions):
        result.injected.append(make_fault_event(action))
        draw_name = (faults.number, *moment, index)
        match action:
            case SendError():
                messages, result.error = [], action
                outputs_after_messages.append(action)
            case CloseWith(code, reason):
                messages = []
                outputs_after_messages.append(Close(code, reason))
            case Reset():
                messages = []
                outputs_after_messages.append(ResetConnection())
            case TruncatedFrame():
                frame = messages[0] if messages else make_garbage(_GARBAGE_BYTES, faults.seed, *draw_name)
                messages = []
                outputs_after_messages.append(SendTruncated(frame))
            case Stall():
                messages, result.stalled = [], True
            case Delay():
                result.delay += draw_delay_seconds(action, faults.seed, *draw_name)
            case Drop():
                messages = []
            case Reorder():
                messages, result.reordered = [], True
            case Text(text):
                messages = []
                outputs_after_messages.append(SendText(text))
            case SendGarbage(count):
                messages, result.is_message = [make_garbage(count, faults.seed, *draw_name)], False
            case WrongType():
                messages, result.is_message = [make_wrong_type()], False
            case Duplicate():
                messages *= 2
            case _:
                messages = [_change_message(message, action) for message in messages]
    result.outputs = [*(Send(message) for message in messages), *outputs_after_messages]
    return result


def _change_message(message: bytes, action: FaultAction) -> bytes:
    """Return this message of Motion Server with other contents, as a scenario's fault action says: without
    keyframes, with another id, grown to a size, or with unknown fields. Raises AssertionError for an action
    that changes no contents."""
    match action:
        case EmptyMotion():
            return remove_keyframes(message)
        case OtherReqId(req_id):
            return replace_req_id(message, req_id)
        case OtherConnectionId(connection_id):
            return replace_connection_id(message, connection_id)
        case GrowTo(size):
            return grow_message(message, size)
        case UnknownFields():
            return add_unknown_fields(message)
        case _:
            raise AssertionError(f"{action} changes no message: the table ALLOWED_ACTIONS refuses it")
