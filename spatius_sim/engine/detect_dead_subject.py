"""Finds signs of life of a subject in a trace, and writes down that there were none."""

from dataclasses import replace

from spatius_sim.protocol.messages import AudioInput, ConfirmSession, MotionResponse
from spatius_sim.trace.events import (
    Awaited,
    Event,
    Lane,
    Opened,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import Motion


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
    a sign of life, and none came."""
    at_ns = trace.events[-1].at_ns if trace.events else 0
    no_life_event = Event(len(trace.events), at_ns, Lane.KIT, "", WaitEnded(Awaited.LIFE, complete=False))
    return replace(trace, events=(*trace.events, no_life_event))


def _shows_life_since(trace: Trace, first_seq: int) -> bool:
    """Return whether the subject gave a sign of life in event number `first_seq` or later. Signs of a relay
    or server are audio that reached Motion Server, and motion. Audio at a client may be an echo, so it
    does not count. What a client with credentials of Spatius receives does not count either: it may not come
    from the relay.

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
