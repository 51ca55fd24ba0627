"""A kit that was late says so in the trace, and one that was not does not."""

import asyncio
import time

from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.record_kit_stalls import record_kit_stalls
from spatius_sim.trace.events import KitStalled, TraceHeader

BUSY_SECONDS = 0.4


async def test_a_busy_event_loop_is_marked() -> None:
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("relay", "", 1, "", "0"))
    async with record_kit_stalls(recorder):
        await asyncio.sleep(0.01)
        until = time.monotonic() + BUSY_SECONDS
        while time.monotonic() < until:
            pass
        recorder.changed.clear()
        await asyncio.wait_for(recorder.changed.wait(), 5.0)
    marks = [event.content for event in recorder.finish().events]
    assert all(isinstance(mark, KitStalled) for mark in marks)
    assert any(isinstance(mark, KitStalled) and mark.seconds > BUSY_SECONDS / 2 for mark in marks)
