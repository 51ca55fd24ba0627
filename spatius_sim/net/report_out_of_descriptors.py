"""Reports on one line, once a second at most, that file descriptors are exhausted."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

_EXHAUSTION_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


_REPORT_INTERVAL_SECONDS = 1.0


class ExhaustionHandler:
    """An exception handler of an event loop. If this process has no file descriptor or memory left, so that
    it cannot accept connections at its port, it calls `say` with one line, at most once a second; asyncio
    would print a traceback for each attempt. All other exceptions go to the loop's own handler."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._report = say
        self._reported_at = -_REPORT_INTERVAL_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an exception of an asyncio event loop. If the process has no file descriptors or memory
        left, report that no further connection can be taken, at most once a second. Give all other exceptions
        to the loop's default handler."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _EXHAUSTION_ERRORS:
            loop.default_exception_handler(context)
        elif loop.time() - self._reported_at >= _REPORT_INTERVAL_SECONDS:
            self._reported_at = loop.time()
            self._report(
                f"no further connection can be taken: {error.strerror}; `ulimit -n` raises the limit"
            )
