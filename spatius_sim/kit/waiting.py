"""Waits for what a recorder writes down."""

import asyncio
from collections.abc import Callable

from spatius_sim.model.trace import Received
from spatius_sim.net.recorder import Recorder


class Watch:
    """Looks for one message in what a connection receives from here on."""

    def __init__(self, recorder: Recorder, connection: str, wanted: Callable[[object], bool]) -> None:
        self._recorder, self._connection, self._wanted = recorder, connection, wanted
        self._next = len(recorder.events)
        self._come = False

    def has_come(self) -> bool:
        """Whether it has been received by now."""
        events = self._recorder.events
        while self._next < len(events) and not self._come:
            event = events[self._next]
            self._next += 1
            if event.connection == self._connection and isinstance(event.what, Received):
                self._come = self._wanted(event.what.value)
        return self._come


async def wait_until(recorder: Recorder, over: Callable[[], bool], settle: float) -> bool:
    """Whether `over` came true before so many seconds passed without anything being recorded."""
    while not over():
        recorder.changed.clear()
        try:
            await asyncio.wait_for(recorder.changed.wait(), settle)
        except TimeoutError:
            return over()
    return True


def chunks(pcm: bytes, size: int) -> list[bytes]:
    """The audio in pieces of so many bytes."""
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
