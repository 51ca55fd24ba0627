"""Serves Console API and ingress on one port of 127.0.0.1; all our Motion Servers are built on it."""

import asyncio
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from spatius_sim.net.listening import LOOPBACK, port_fault
from spatius_sim.net.server.slow_headers import BODY_SECONDS, HEADER_SECONDS, SlowHeaders
from spatius_sim.protocol.console import CONSOLE_ROOT, INGRESS_ROOT, HttpAnswer

LARGEST_BODY = 256 * 1024
"""The most bytes of a request's body that are read."""

_NO_BODY = (204, 304)
_log = logging.getLogger(__name__)


def _shorten_parser_errors(record: logging.LogRecord) -> bool:
    """Shorten what aiohttp's parser logs about bytes that are no HTTP to one line without a traceback, for a
    peer's fault; return whether the record is to be logged."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg, record.args = "refused what is no HTTP: %s", (" ".join(error.message.split()),)
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        record.exc_info = record.exc_text = None
        return _log.isEnabledFor(logging.INFO)
    return True


_log.addFilter(_shorten_parser_errors)


class OnePort:
    """Listens on `port`, 0 for a free one. Connections whose headers take longer than `header_seconds` are
    cut off."""

    def __init__(self, port: int = 0, header_seconds: float = HEADER_SECONDS) -> None:
        self.port = port
        self._header_seconds = header_seconds
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._slow_headers: SlowHeaders | None = None

    @property
    def console_endpoint(self) -> str:
        """The URL that a Server SDK takes as its console endpoint."""
        return f"http://{LOOPBACK}:{self.port}{CONSOLE_ROOT}"

    @property
    def ingress_endpoint(self) -> str:
        """The URL that a Server SDK takes as its ingress endpoint."""
        return f"ws://{LOOPBACK}:{self.port}{INGRESS_ROOT}"

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes that are answered."""
        raise NotImplementedError

    async def listen(self) -> None:
        """Begin to answer; raises UsageError if the port cannot be had."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._note_arrival])
        self.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=1.0)
        await self._runner.setup()
        assert self._runner.server is not None
        self._slow_headers = SlowHeaders(self._runner.server, self._header_seconds)
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._slow_headers, LOOPBACK, self.port, backlog=1024
            )
        except OSError as error:
            await self._runner.cleanup()
            raise port_fault(error, self.port) from error
        self.port = int(self._listener.sockets[0].getsockname()[1])

    def stop_listening(self) -> None:
        """Let no new connection in from here on."""
        if self._listener is not None:
            self._listener.close()
        if self._slow_headers is not None:
            self._slow_headers.stop()

    async def stop(self) -> None:
        """Stop listening, and end the connections that are left."""
        self.stop_listening()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _note_arrival(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._slow_headers is not None:
            self._slow_headers.arrived(request.protocol)
        return await handler(request)


async def body_of(request: web.Request) -> bytes:
    """Read the body of a request. A body that does not come in time is answered with 408, one that is too
    large with 413, and one that breaks off with 400, though nobody is there to hear it."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except ConnectionError as error:
        raise web.HTTPBadRequest from error


def response(answer: HttpAnswer) -> web.Response:
    """Make a JSON response of an answer, without a body if its status has none."""
    if answer.status in _NO_BODY:
        return web.Response(status=answer.status)
    return web.Response(status=answer.status, text=answer.body, content_type="application/json")
