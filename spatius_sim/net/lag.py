"""Notes where the kit itself was late: its event loop did nothing for a while."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spatius_sim.net.recorder import LiveRecorder
from spatius_sim.trace.events import KitStalled, Lane

_EVERY_SECONDS = 0.05
_LATE_SECONDS = 0.05


@asynccontextmanager
async def lag_marked(recorder: LiveRecorder) -> AsyncIterator[None]:
    """While this is open, the recorder is told of every lag of more than 50 ms, when it is over."""
    watching = asyncio.create_task(_watch(recorder))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(recorder: LiveRecorder) -> None:
    while True:
        slept_at = time.monotonic()
        await asyncio.sleep(_EVERY_SECONDS)
        late = time.monotonic() - slept_at - _EVERY_SECONDS
        if late > _LATE_SECONDS:
            recorder.emit(Lane.KIT, "", KitStalled(late))
