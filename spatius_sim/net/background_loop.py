"""An event loop in a background thread, for callers that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines in an event loop of a background thread, until `stop` is called."""

    def __init__(self) -> None:
        """Start the background thread with its own event loop."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_seconds: float | None) -> T:
        """Run a coroutine in the event loop of the background thread, wait for it, and return its result.

        Raises TimeoutError if the coroutine needs more than `timeout_seconds`; None sets no limit. If the
        wait is interrupted, for example by Ctrl-C, the coroutine is cancelled."""
        limited_coroutine = asyncio.wait_for(coroutine, timeout_seconds)
        future = asyncio.run_coroutine_threadsafe(limited_coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Cancel all coroutines that still run in the background loop, then end the loop and its thread."""
        asyncio.run_coroutine_threadsafe(_cancel_other_tasks(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_other_tasks() -> None:
    """Cancel all tasks of the background loop but the current task, and wait until they have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
