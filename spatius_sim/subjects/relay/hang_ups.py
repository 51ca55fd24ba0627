"""Waits for what becomes of upstream sessions whose client has hung up."""

import asyncio
import contextlib
import time

from spatius_sim.net.recorder import LiveRecorder
from spatius_sim.rules.relay.interrupts import HANG_UP_SECONDS
from spatius_sim.story.join import join
from spatius_sim.trace.events import Closed, Lane, Matter, Trace, TraceHeader, Watched

_LATE_SECONDS = 0.3
"""What came in the last moment is written down a little later."""

_LOOK_SECONDS = 0.5


async def watch_hang_ups(recorder: LiveRecorder, header: TraceHeader, clients: list[str]) -> None:
    """Give the relay its time to close what these clients, who hung up a moment ago, have left open."""
    deadline = time.monotonic() + HANG_UP_SECONDS + _LATE_SECONDS
    while (open_still := _still_open(recorder, header, clients)) and time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_a_session_closed(recorder), _LOOK_SECONDS)
    for client in clients:
        recorder.emit(Lane.KIT, client, Watched(Matter.HANG_UP, client not in open_still))


async def _a_session_closed(recorder: LiveRecorder) -> None:
    """Wait for the next upstream session that closes: to join the trace at every event costs too much."""
    seen = len(recorder.events)
    while True:
        recorder.changed.clear()
        fresh = recorder.events[seen:]
        if any(event.lane is Lane.UPSTREAM and isinstance(event.what, Closed) for event in fresh):
            return
        seen += len(fresh)
        await recorder.changed.wait()


def _still_open(recorder: LiveRecorder, header: TraceHeader, clients: list[str]) -> set[str]:
    """Those of the clients whose upstream sessions are not all closed."""
    story = join(Trace(header, tuple(recorder.events)))
    closed = {e.connection for e in story.trace.on(Lane.UPSTREAM) if isinstance(e.what, Closed)}
    asked = (r for r in story.requests if r.connection not in closed and r.turn is not None)
    return {request.turn.client for request in asked if request.turn} & set(clients)
