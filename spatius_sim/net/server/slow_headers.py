"""Cuts off connections whose first request does not come: aiohttp has no time-out of its own for this."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

HEADER_SECONDS = 10.0
"""How long the headers of a connection's first request may take. aiohttp's keep-alive time-out bounds later
requests."""

_LAST_LOOK_SECONDS = 0.05
"""How long a last look takes: if this process was paused, what came in time is read before anybody is cut
off."""

BODY_SECONDS = 10.0
"""How long the body of a request may take."""


@dataclass(slots=True)
class SlowHeaders:
    """Makes aiohttp's protocol for each new connection, and cuts the connection off unless `arrived` is
    called in time."""

    server: web.Server
    seconds: float = HEADER_SECONDS
    _waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = field(default_factory=dict)

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection, and start its timer."""
        protocol = self.server()
        self._start_timer(self.seconds, self._grant_last_look, protocol)
        return protocol

    def arrived(self, protocol: asyncio.BaseProtocol) -> None:
        """Note that the connection's request has come."""
        timer = self._waiting.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()

    def _start_timer(
        self, seconds: float, then: Callable[[RequestHandler], None], protocol: RequestHandler
    ) -> None:
        self._waiting[protocol] = asyncio.get_running_loop().call_later(seconds, then, protocol)

    def _grant_last_look(self, protocol: RequestHandler) -> None:
        self._start_timer(_LAST_LOOK_SECONDS, self._cut_off, protocol)

    def _cut_off(self, protocol: RequestHandler) -> None:
        del self._waiting[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()
