"""Records when the kit itself was late: its event loop was blocked for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.trace.events import KitStalled, Lane

_STEP_SECONDS = 0.05
_LAG_SECONDS = 0.05
"""How long each watching step sleeps, and how much longer a step must take to be recorded as a stall."""


@asynccontextmanager
async def record_kit_stalls(recorder: RealTimeRecorder) -> AsyncIterator[None]:
    """Record a stall of the kit whenever its event loop is blocked for more than 50 ms, while the context is
    open. A stall is recorded when it ends."""
    recording = asyncio.create_task(_watch_event_loop(recorder))
    try:
        yield
    finally:
        recording.cancel()


async def _watch_event_loop(recorder: RealTimeRecorder) -> None:
    """Watch for stalls of the kit for ever: sleep in short steps, and record KitStalled for each step that
    took too long."""
    loop = asyncio.get_running_loop()
    while True:
        step_started = loop.time()
        await asyncio.sleep(_STEP_SECONDS)
        lag = loop.time() - step_started - _STEP_SECONDS
        if lag > _LAG_SECONDS:
            recorder.emit(Lane.KIT, "", KitStalled(lag))
