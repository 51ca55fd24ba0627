"""Records when the kit itself was late: its event loop was blocked for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.trace.events import KitStalled, Lane

_STEP_SECONDS = 0.05
_SHORTEST_STALL_SECONDS = 0.05
"""How long each watching step sleeps, and how much longer a step must take to be recorded as a stall."""


@asynccontextmanager
async def record_kit_stalls(recorder: RealTimeRecorder) -> AsyncIterator[None]:
    """While this context is open, record each stall of this program. A stall is a time of more than 50 ms in
    which the asyncio event loop was blocked. It is recorded when it is over."""
    watching_task = asyncio.create_task(_watch_event_loop(recorder))
    try:
        yield
    finally:
        watching_task.cancel()


async def _watch_event_loop(recorder: RealTimeRecorder) -> None:
    """Sleep in short steps until cancelled. If a step takes much longer than it should, the event loop was
    blocked: record this as a stall of the kit (this program)."""
    loop = asyncio.get_running_loop()
    while True:
        step_started = loop.time()
        await asyncio.sleep(_STEP_SECONDS)
        stall_seconds = loop.time() - step_started - _STEP_SECONDS
        if stall_seconds > _SHORTEST_STALL_SECONDS:
            recorder.emit(Lane.KIT, "", KitStalled(stall_seconds))
