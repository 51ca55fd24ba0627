"""Records when the kit itself was late: its event loop was blocked for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.trace.events import KitStalled, Lane

_EVERY_SECONDS = 0.05
_LATE_SECONDS = 0.05
"""How often the loop is watched, and from which lag on the recorder is told."""


@asynccontextmanager
async def lag_marked(recorder: LiveRecorder) -> AsyncIterator[None]:
    """Tell the recorder of every lag of more than 50 ms, at the end of the lag, while the context is open."""
    watching = asyncio.create_task(_record_lags(recorder))
    try:
        yield
    finally:
        watching.cancel()


async def _record_lags(recorder: LiveRecorder) -> None:
    """Sleep in short steps for ever, and record each step that took too long."""
    loop = asyncio.get_running_loop()
    while True:
        slept_at = loop.time()
        await asyncio.sleep(_EVERY_SECONDS)
        late = loop.time() - slept_at - _EVERY_SECONDS
        if late > _LATE_SECONDS:
            recorder.emit(Lane.KIT, "", KitStalled(late))
