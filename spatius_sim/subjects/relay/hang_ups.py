"""Waits, after a client has hung up, until its upstream sessions are closed or time is up."""

import asyncio
import contextlib

from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.rules.relay.interrupts import HANG_UP_SECONDS, sessions_of
from spatius_sim.story.join_turns import join
from spatius_sim.subjects.wait_for_events import NO_TIME, loop_time
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Lane,
    Opened,
    Refused,
    TokenRequested,
    Trace,
    TraceHeader,
    WaitEnded,
)

_LATE_SECONDS = 0.3
"""How much later than it happens an event may be recorded."""

_CHECK_SECONDS = 0.5


async def watch_hang_ups(recorder: RealTimeRecorder, header: TraceHeader, clients: list[str]) -> None:
    """Wait, after these clients have hung up, until the relay has closed their upstream sessions, or until
    HANG_UP_SECONDS have passed. A session that the relay opens meanwhile starts these seconds again. Then
    record for each client whether all its upstream sessions were closed."""
    opened_count, deadline = -1, 0.0
    while clients_with_open_sessions := _find_open_clients(recorder, header, clients):
        if opened_count < (opened_count := _count_opened(recorder)):
            deadline = loop_time() + HANG_UP_SECONDS + _LATE_SECONDS
        if deadline - loop_time() <= NO_TIME:
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_wait_for_closed_session(recorder), _CHECK_SECONDS)
    for client in clients:
        recorder.emit(Lane.KIT, client, WaitEnded(Awaited.HANG_UP, client not in clients_with_open_sessions))


async def _wait_for_closed_session(recorder: RealTimeRecorder) -> None:
    """Wait until the next upstream session closes after a hang-up. (To join the trace at every event would
    cost too much.)"""
    next_event = len(recorder.events)
    while True:
        recorder.changed.clear()
        new_events = recorder.events[next_event:]
        if any(event.lane is Lane.UPSTREAM and isinstance(event.content, Closed) for event in new_events):
            return
        next_event += len(new_events)
        await recorder.changed.wait()


def _count_opened(recorder: RealTimeRecorder) -> int:
    """Return how many upstream sessions have been opened in this run."""
    return sum(event.lane is Lane.UPSTREAM and isinstance(event.content, Opened) for event in recorder.events)


def _find_open_clients(recorder: RealTimeRecorder, header: TraceHeader, clients: list[str]) -> set[str]:
    """Return those clients that hung up and whose upstream sessions are not all closed. If the relay holds a
    token with which it has opened no session yet, return all clients that hung up: the relay may still be
    connecting."""
    story = join(Trace(header, tuple(recorder.events)))
    upstream = list(story.trace.on_lane(Lane.UPSTREAM))
    closings = [event for event in upstream if isinstance(event.content, Closed)]
    attempts = [event.content for event in upstream if isinstance(event.content, Opened | Refused)]
    console = [event.content for event in story.trace.on_lane(Lane.CONSOLE)]
    issued_tokens = {content.token for content in console if isinstance(content, TokenRequested)}
    if issued_tokens - {"", *(attempt.token for attempt in attempts)}:
        return set(clients)
    closed = {event.connection for event in closings}
    return {client for client in clients if set(sessions_of(story, client)) - closed}
