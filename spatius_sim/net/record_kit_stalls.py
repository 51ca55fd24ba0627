"""Records when the kit itself was late: its event loop was blocked for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spatius_sim.net.real_time_recorder import LiveRecorder
from spatius_sim.trace.events import KitStalled, Lane

_STEP_SECONDS = 0.05
_LAG_SECONDS = 0.05
"""How long each watching step sleeps, and how much longer a step must take to be recorded as a stall."""


@asynccontextmanager
async def lag_marked(recorder: LiveRecorder) -> AsyncIterator[None]:
    """Record each lag of the event loop of more than 50 ms while the context is open, when the lag ends."""
    recording = asyncio.create_task(_record_lags(recorder))
    try:
        yield
    finally:
        recording.cancel()


async def _record_lags(recorder: LiveRecorder) -> None:
    """Sleep in short steps for ever, and record each step that took too long."""
    loop = asyncio.get_running_loop()
    while True:
        step_started = loop.time()
        await asyncio.sleep(_STEP_SECONDS)
        lag = loop.time() - step_started - _STEP_SECONDS
        if lag > _LAG_SECONDS:
            recorder.emit(Lane.KIT, "", KitStalled(lag))
