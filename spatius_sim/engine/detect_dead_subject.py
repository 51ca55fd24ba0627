"""Finds out from a trace whether the subject is dead: whether it gave a sign of life, such as motion for a
turn, and if not, why. Also writes into a trace that the subject is dead."""

from dataclasses import replace

from spatius_sim.engine.messages_not_understood import describe_messages_not_understood
from spatius_sim.protocol.messages import AudioInput, ConfirmSession, MotionResponse
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Opened,
    Received,
    Refused,
    Sent,
    TokenRequested,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import Failed, Motion

_HTTP_OK = 200


def waits_for_turns(trace: Trace) -> list[WaitEnded]:
    """Return the events that end a wait of the kit for a whole turn."""
    ended = (event.content for event in trace.on_lane(Lane.KIT) if isinstance(event.content, WaitEnded))
    return [wait for wait in ended if wait.what_for is Awaited.TURN]


def shows_life(trace: Trace) -> bool:
    """Return whether the subject gave a sign of life: the kit waited for a turn, and some of a turn came."""
    return _shows_life_since(trace, 0)


def may_be_dead(trace: Trace) -> bool:
    """Return whether the subject may be dead: the kit waited for a turn, and no sign of life came after the
    last turn had begun."""
    turn_starts = (event.seq for event in trace.on_lane(Lane.KIT) if isinstance(event.content, TurnStarted))
    return bool(waits_for_turns(trace)) and not _shows_life_since(trace, max(turn_starts, default=0))


def mark_subject_dead(trace: Trace) -> Trace:
    """Return a trace with one more event at its end, which says that the subject is dead: the kit waited for
    any answer of the subject, and none came."""
    at_ns = trace.events[-1].at_ns if trace.events else 0
    no_life_event = Event(len(trace.events), at_ns, Lane.KIT, "", WaitEnded(Awaited.LIFE, complete=False))
    return replace(trace, events=(*trace.events, no_life_event))


def _shows_life_since(trace: Trace, first_seq: int) -> bool:
    """Return whether the subject gave a sign of life in event number `first_seq` or later. A relay or server
    gives a sign by audio that reached Motion Server, or by motion, if the kit waited for a turn. Audio at a
    client may be an echo, so it does not count. What a client with credentials of Spatius receives does not
    count either: it may not come from the relay.

    A client under test is always alive here. A room is alive if a session was confirmed at any time.
    """
    if trace.header.subject == "client":
        return True
    if trace.header.subject == "room":
        values = (event.content.value for event in trace.events if isinstance(event.content, Sent | Received))
        return any(isinstance(value, ConfirmSession) for value in values)
    downstream = trace.on_lane(Lane.DOWNSTREAM)
    credential_holders = {
        event.connection for event in downstream if isinstance(event.content, Opened) and event.content.token
    }
    signs_of_life = Motion if credential_holders else AudioInput | MotionResponse | Motion
    return bool(waits_for_turns(trace)) and any(
        isinstance(event.content, Received)
        and isinstance(event.content.value, signs_of_life)
        and event.connection not in credential_holders
        for event in trace.events[first_seq:]
    )


def explain_missing_turns(trace: Trace) -> str:
    """Return in words why the subject looks dead, because it has completed no turn: the first trouble in the
    trace. If there was none, a server simply gave no motion, and a relay may not know our Motion Server: the
    text then refers the user to the environment variables, which stand at the top of the run's output."""
    if trouble := describe_first_trouble(trace):
        return trouble
    if trace.header.subject == "server":
        return "it gave no motion for any audio"
    advice = "no audio reached our Motion Server; point the relay there with the environment above"
    return advice + describe_messages_not_understood(trace)


def describe_first_trouble(trace: Trace) -> str:
    """Return in words what went wrong first in the trace, so that the subject may not have answered; "" if
    nothing did. Look first for a connection that Motion Server refused, then for a refused token, then for
    the first time that the subject closed a client's connection or reported an error."""
    refused = [event.content for event in trace.events if isinstance(event.content, Refused)]
    if refused and not refused[0].status:
        return f"it reached Motion Server, which did not answer the upgrade: {refused[0].reason}"
    if refused:
        return f"it reached Motion Server, which refused it: HTTP {refused[0].status} {refused[0].reason}"
    for event in trace.on_lane(Lane.CONSOLE):
        if isinstance(event.content, TokenRequested) and event.content.status != _HTTP_OK:
            return f"its token request was refused with HTTP {event.content.status}"
    for event in trace.on_lane(Lane.DOWNSTREAM):
        if isinstance(event.content, Closed) and not event.content.by_kit:
            return (
                f"it closed the connection with code {event.content.code}"
                + describe_messages_not_understood(trace)
            )
        if isinstance(event.content, Received) and isinstance(event.content.value, Failed):
            return f"it said: {event.content.value.message}"
    return ""
