"""Serves Console API and ingress on one port, of 127.0.0.1 unless another address is named. Base of all our
Motion Servers."""

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from spatius_sim.net.ports_and_hosts import LOOPBACK, explain_port_error, host_for_urls
from spatius_sim.net.server.slow_headers import BODY_SECONDS, HEADER_SECONDS, SlowHeaders
from spatius_sim.protocol.console_api import (
    CONSOLE_ROOT,
    INGRESS_ROOT,
    TELEMETRY_PATHS,
    HttpAnswer,
    answer_telemetry,
)

LARGEST_BODY = 256 * 1024
"""How many bytes of a request's body are read at most."""

_STATUSES_WITHOUT_BODY = (204, 304)
_ANY_PATH = "/{any:.*}"
_MAX_UNKNOWN_PATHS = 20
_log = logging.getLogger(__name__)


def _filter_parser_error(record: logging.LogRecord) -> bool:
    """Filter a log record of aiohttp (a filter of `logging`), and return whether it is to be logged. If the
    record says that a request is malformed HTTP, first shorten it to one line of level INFO without a
    traceback. Other records stay as they are."""
    error = record.exc_info[1] if record.exc_info else None
    # UnicodeEncodeError: aiohttp repeats a header of the peer that has letters outside ASCII.
    if isinstance(error, HttpProcessingError | UnicodeEncodeError):
        record.msg, record.args = "refused what is not HTTP: %s", (" ".join(str(error).split()),)
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        record.exc_info = record.exc_text = None
        return _log.isEnabledFor(logging.INFO)
    return True


_log.addFilter(_filter_parser_error)


class OnePort:
    """Listens on `port` (0 takes a free port) of the address `host`. Cuts off connections whose headers take
    too long.

    `unknown_paths` are the first methods and paths that were asked and do not exist; `on_unknown_path` is
    called with each of them once."""

    def __init__(self, port: int = 0, header_seconds: float = HEADER_SECONDS, host: str = LOOPBACK) -> None:
        """Prepare a server that will listen on one port at the address `host`; `port` 0 takes a free port.
        `header_seconds` is how long a connection's first headers may take. `listen` starts to listen."""
        self.port, self.host = port, host
        self.unknown_paths: list[str] = []
        self.on_unknown_path: Callable[[str], None] | None = None
        self._header_seconds = header_seconds
        self._app_runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._slow_headers: SlowHeaders | None = None

    @property
    def console_endpoint(self) -> str:
        """The URL that a Server SDK takes as its console endpoint."""
        return f"http://{host_for_urls(self.host)}:{self.port}{CONSOLE_ROOT}"

    @property
    def ingress_endpoint(self) -> str:
        """The URL that a Server SDK takes as its ingress endpoint."""
        return f"ws://{host_for_urls(self.host)}:{self.port}{INGRESS_ROOT}"

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes that this server answers on its one port. Each server defines its own."""
        raise NotImplementedError

    async def listen(self) -> None:
        """Start to listen on this server's one port and to answer requests. Set `port` to the port that is
        really used. Raises UsageError if the port cannot be used."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._note_arrival])
        self.add_routes(app.router)
        for path in TELEMETRY_PATHS:
            app.router.add_post(path, _accept_telemetry, expect_handler=handle_expect_header)
        app.router.add_route("*", _ANY_PATH, self._answer_unknown_path, expect_handler=handle_expect_header)
        self._app_runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=1.0)
        await self._app_runner.setup()
        assert self._app_runner.server is not None
        self._slow_headers = SlowHeaders(self._app_runner.server, self._header_seconds)
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._slow_headers, self.host, self.port, backlog=1024
            )
        except OSError as error:
            await self._app_runner.cleanup()
            raise explain_port_error(error, self.port, self.host) from error
        self.port = int(self._listener.sockets[0].getsockname()[1])

    async def _answer_unknown_path(self, request: web.Request) -> web.StreamResponse:
        """Answer 405 if the path of this request exists for other methods only. Otherwise answer 404, and
        remember the method and the path if they are among the first that were unknown; `on_unknown_path` is
        called once for each."""
        known_methods: set[str] = set()
        for resource in request.app.router.resources():
            if resource is not request.match_info.route.resource:
                known_methods |= (await resource.resolve(request))[1]
        if known_methods:
            raise web.HTTPMethodNotAllowed(request.method, known_methods)
        method_and_path = f"{request.method} {request.path}"
        if method_and_path not in self.unknown_paths and len(self.unknown_paths) < _MAX_UNKNOWN_PATHS:
            self.unknown_paths.append(method_and_path)
            if self.on_unknown_path is not None:
                self.on_unknown_path(method_and_path)
        raise web.HTTPNotFound

    def stop_listening(self) -> None:
        """Accept no new connections on this server's port. Open connections go on, and none is cut off any
        more because its headers are slow."""
        if self._listener is not None:
            self._listener.close()
        if self._slow_headers is not None:
            self._slow_headers.stop()

    async def stop(self) -> None:
        """Stop listening on this port, and end the connections that are still open."""
        self.stop_listening()
        if self._app_runner is not None:
            await self._app_runner.cleanup()

    @web.middleware
    async def _note_arrival(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Stop the timer for the headers of this request, because they have arrived. Then let `handler`
        answer the request. (A middleware of aiohttp.)"""
        if self._slow_headers is not None:
            self._slow_headers.arrived(request.protocol)
        return await handler(request)


async def handle_expect_header(request: web.Request) -> web.StreamResponse | None:
    """Handle the Expect header of an HTTP request. For "100-continue", which clients send before a large
    body, tell the client to go on. For anything else, refuse the request with 417. (aiohttp would repeat the
    header in its answer, and fail if there are letters outside ASCII in it.)"""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="this server knows the expectation 100-continue only")
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


async def _accept_telemetry(request: web.Request) -> web.StreamResponse:
    """Answer 200 to telemetry that a relay's SDK sends, and forget the telemetry. A relay that sends it to us
    sends none to the vendor."""
    await read_body(request)
    text, content_type = answer_telemetry(request.content_type)
    return web.Response(text=text, content_type=content_type)


async def read_body(request: web.Request) -> bytes:
    """Wait for the body of an HTTP request, and return it. If the body takes too long, answer the request
    with 408; if it breaks off, with 400. (aiohttp answers 413 if it is too large.)"""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except ConnectionError as error:
        raise web.HTTPBadRequest from error


def json_response(answer: HttpAnswer) -> web.Response:
    """Return a JSON response for an answer of Console API, without a body if its status allows none."""
    if answer.status in _STATUSES_WITHOUT_BODY:
        return web.Response(status=answer.status)
    return web.Response(status=answer.status, text=answer.body, content_type="application/json")
