"""Cuts off connections whose first request does not come in time. (aiohttp itself has no such time-out.)"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

HEADER_SECONDS = 10.0
"""How long the headers of a connection's first request may take. aiohttp's keep-alive time-out bounds later
requests."""

_EXTRA_SECONDS = 0.05
"""How much longer the connection has after its time. If this process was paused, a request that came in time
is read now."""

BODY_SECONDS = 10.0
"""How long the body of a request may take."""


@dataclass(slots=True)
class SlowHeaders:
    """Cuts off connections with slow headers: makes aiohttp's protocol for each new connection, and starts a
    timer for it.

    If `arrived` is not called in time, the connection is cut off."""

    server: web.Server
    seconds: float = HEADER_SECONDS
    _waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = field(default_factory=dict)

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection, and start the timer for its headers."""
        protocol = self.server()
        self._start_timer(self.seconds, self._grant_extra_time, protocol)
        return protocol

    def arrived(self, protocol: asyncio.BaseProtocol) -> None:
        """Stop the timer of a connection, because the headers of its first request have arrived."""
        timer = self._waiting.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Cancel the timers of all connections that wait for headers; none is cut off any more."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()

    def _start_timer(
        self, seconds: float, then: Callable[[RequestHandler], None], protocol: RequestHandler
    ) -> None:
        """Call `then` for this connection after so many seconds, unless its headers have arrived by then."""
        self._waiting[protocol] = asyncio.get_running_loop().call_later(seconds, then, protocol)

    def _grant_extra_time(self, protocol: RequestHandler) -> None:
        """Give a connection with slow headers a second, short time; cut it off when that has passed."""
        self._start_timer(_EXTRA_SECONDS, self._cut_off, protocol)

    def _cut_off(self, protocol: RequestHandler) -> None:
        """Abort a connection whose headers have not come in time."""
        del self._waiting[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()
