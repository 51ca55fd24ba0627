"""The recorder of what happens at real sockets."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.trace.recorder import Recorder


@dataclass(slots=True)
class RealTimeRecorder(Recorder):
    """A recorder on this machine's monotonic clock.

    Each event sets `changed`. To wait for the next event, clear `changed` and wait for it."""

    clock_ns: Callable[[], int] = time.monotonic_ns
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.on_change = self.changed.set
