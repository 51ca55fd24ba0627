"""After a client hangs up: waits until its upstream sessions are closed, or until time is up."""

import asyncio
import contextlib
import time

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.rules.relay.interrupts import HANG_UP_SECONDS
from spatius_sim.story.join_turns import join
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Lane,
    Trace,
    TraceHeader,
    WaitEnded,
)

_LATE_SECONDS = 0.3
"""An event of the last moment is recorded a little later."""

_LOOK_SECONDS = 0.5


async def watch_hang_ups(recorder: LiveRecorder, header: TraceHeader, clients: list[str]) -> None:
    """Give the relay time to close the upstream sessions of these clients, which hung up a moment ago."""
    deadline = time.monotonic() + HANG_UP_SECONDS + _LATE_SECONDS
    while (open_still := _find_open_clients(recorder, header, clients)) and time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_wait_for_closed_session(recorder), _LOOK_SECONDS)
    for client in clients:
        recorder.emit(Lane.KIT, client, WaitEnded(Awaited.HANG_UP, client not in open_still))


async def _wait_for_closed_session(recorder: LiveRecorder) -> None:
    """Wait until the next upstream session closes: to join the trace at every event costs too much."""
    count = len(recorder.events)
    while True:
        recorder.changed.clear()
        fresh = recorder.events[count:]
        if any(event.lane is Lane.UPSTREAM and isinstance(event.what, Closed) for event in fresh):
            return
        count += len(fresh)
        await recorder.changed.wait()


def _find_open_clients(recorder: LiveRecorder, header: TraceHeader, clients: list[str]) -> set[str]:
    """Return those clients whose upstream sessions are not all closed."""
    story = join(Trace(header, tuple(recorder.events)))
    closed = {e.connection for e in story.trace.on_lane(Lane.UPSTREAM) if isinstance(e.what, Closed)}
    asked = (r for r in story.requests if r.connection not in closed and r.turn is not None)
    return {request.turn.client for request in asked if request.turn} & set(clients)
