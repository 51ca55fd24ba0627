"""Cuts off connections whose request does not come: aiohttp has no time-out of its own for that."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

HEADER_SECONDS = 10.0
"""How long the headers of a connection's first request may take. Later ones are under aiohttp's keep-alive
time-out."""

_LAST_LOOK_SECONDS = 0.05
"""When this process has paused, what came in time is read before anybody is cut off."""

BODY_SECONDS = 10.0
"""How long the body of a request may take."""


@dataclass(slots=True)
class SlowHeaders:
    """A protocol factory around aiohttp's, and the middleware that tells it that a request has come."""

    server: web.Server
    seconds: float = HEADER_SECONDS
    _waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = field(default_factory=dict)

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        protocol = self.server()
        self._wait(self.seconds, self._look_again, protocol)
        return protocol

    def arrived(self, protocol: asyncio.BaseProtocol) -> None:
        """The connection's request has come."""
        timer = self._waiting.pop(protocol, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """No timer runs out any more."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()

    def _wait(self, seconds: float, then: Callable[[RequestHandler], None], protocol: RequestHandler) -> None:
        self._waiting[protocol] = asyncio.get_running_loop().call_later(seconds, then, protocol)

    def _look_again(self, protocol: RequestHandler) -> None:
        self._wait(_LAST_LOOK_SECONDS, self._too_slow, protocol)

    def _too_slow(self, protocol: RequestHandler) -> None:
        del self._waiting[protocol]
        if protocol.transport is not None:
            protocol.transport.abort()
