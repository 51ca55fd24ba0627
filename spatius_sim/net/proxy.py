"""A proxy between a relay and Motion Server that reads along: bytes pass untouched, and are told as events.

Console API and ingress on one port of 127.0.0.1. Only the target and the Host of a request are replaced, for
they name the place. What cannot be understood still passes.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from spatius_sim.model.trace import Event, Lane, Opened, Refused, TokenRequested
from spatius_sim.net.http_heads import END_OF_HEAD, LARGEST_HEAD, BodyFraming, Head, read_head
from spatius_sim.net.listening import LOOPBACK, port_fault
from spatius_sim.net.proxy_book import Book, Line
from spatius_sim.protocol.console import (
    CONSOLE_ROOT,
    INGRESS_ROOT,
    RequestRefusedError,
    read_token_request,
)
from spatius_sim.protocol.errors import RemoteProtocolError, UsageError

_CONNECT_SECONDS = 10.0
_MOST_BUFFERED = 1_048_576
_READ_INTO = memoryview(bytearray(256 * 1024))
"""Of all connections: what is read into it is taken out at once."""
_LARGEST_TOLD_BODY = 64 * 1024
_TOKEN_FIELDS = ("sessionToken", "sessionKey", "token")


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go whose path begins with `root`."""

    root: str
    host: str
    port: int
    path: str
    tls: bool

    @property
    def host_header(self) -> str:
        """What the Host header says."""
        usual = self.port == (443 if self.tls else 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if usual else f"{name}:{self.port}"


def places(upstream: tuple[str, ...]) -> tuple[Place, Place]:
    """Console and ingress from one base URL or from both endpoint URLs; raises UsageError for others."""
    console = ingress = ""
    for url in upstream:
        path = urlsplit(url).path.rstrip("/")
        if path.endswith(CONSOLE_ROOT):
            console = url
        elif path.endswith(INGRESS_ROOT):
            ingress = url
        else:
            console = console or url.rstrip("/") + CONSOLE_ROOT
            ingress = ingress or url.rstrip("/") + INGRESS_ROOT
    if not console or not ingress:
        raise UsageError(
            "--upstream: a base URL is needed, or two: one that ends in "
            f"{CONSOLE_ROOT} and one that ends in {INGRESS_ROOT}"
        )
    return _place(CONSOLE_ROOT, console), _place(INGRESS_ROOT, ingress)


def _place(root: str, url: str) -> Place:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--upstream {url!r}: {error}") from error
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise UsageError(f"--upstream {url!r}: an http(s):// or ws(s):// URL is needed")
    tls = parts.scheme in ("https", "wss")
    return Place(root, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)


class RecordingProxy:
    """`async with RecordingProxy(...) as proxy:` serves until the block ends, and tells `on_event` what
    happens; `port` 0 takes a free one. Raises UsageError where the port cannot be had."""

    def __init__(
        self, upstream: tuple[str, ...], on_event: Callable[[Event], None], *, port: int = 0
    ) -> None:
        self.port = port
        self._places = places(upstream)
        self._book = Book(on_event)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    @property
    def console_endpoint(self) -> str:
        """What a Server SDK takes as its console endpoint URL."""
        return f"http://{LOOPBACK}:{self.port}{CONSOLE_ROOT}"

    @property
    def ingress_endpoint(self) -> str:
        """What a Server SDK takes as its ingress endpoint URL."""
        return f"ws://{LOOPBACK}:{self.port}{INGRESS_ROOT}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._accept, LOOPBACK, self.port)
        except OSError as error:
            raise port_fault(error, self.port) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._book.catch_up()

    def _accept(self) -> "_End":
        end = _End()

        def begin() -> None:
            task = asyncio.create_task(_Conversation(self._places, self._book, end, self._name).run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        end.on_made = begin
        return end

    def _name(self) -> str:
        self._connections += 1
        return f"upstream-{self._connections}"


class _End(asyncio.BufferedProtocol):
    """One TCP connection: first read piece by piece, later handed on as it comes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = asyncio.Transport()
        self.on_made: Callable[[], None] | None = None
        self.on_data: Callable[[bytes], None] | None = None
        self.other: _End | None = None
        self.lost = asyncio.Event()
        self.reset = False
        self._buffer = bytearray()
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.on_made is not None:
            self.on_made()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _READ_INTO

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(_READ_INTO[:nbytes])
        if self.on_data is not None:
            self.on_data(data)
            return
        self._buffer += data
        self._news.set()
        if len(self._buffer) > _MOST_BUFFERED:
            self.transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.reset = error is not None
        self.lost.set()
        self._news.set()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    async def head(self) -> Head | None:
        """The next head; None where the connection ends before one. Raises RemoteProtocolError."""
        while (end := self._buffer.find(END_OF_HEAD)) < 0:
            if len(self._buffer) > LARGEST_HEAD:
                raise RemoteProtocolError("an HTTP head without an end")
            if not await self._more():
                return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + len(END_OF_HEAD)]
        return read_head(raw)

    async def body(self, framing: BodyFraming, to: "_End") -> bytes:
        """Pass a body on while it comes; its beginning, as much as is told."""
        seen = b""
        while not framing.ended:
            if not self._buffer and not await self._more():
                break
            taken = framing.take(bytes(self._buffer))
            piece = bytes(self._buffer[:taken])
            del self._buffer[:taken]
            to.transport.write(piece)
            seen = (seen + piece)[:_LARGEST_TOLD_BODY]
        return seen

    def hand_on(self, on_data: Callable[[bytes], None]) -> None:
        """From here on everything goes to `on_data`, what is there already first."""
        self.on_data = on_data
        if self._buffer:
            waiting, self._buffer = bytes(self._buffer), bytearray()
            on_data(waiting)
        if not self.lost.is_set():
            self.transport.resume_reading()

    async def _more(self) -> bool:
        if self.lost.is_set():
            return False
        self._news.clear()
        self.transport.resume_reading()
        await self._news.wait()
        return bool(self._buffer) or not self.lost.is_set()


@dataclass(slots=True)
class _Conversation:
    """One connection of a relay, and the upstream connection that belongs to it."""

    places: tuple[Place, Place]
    book: Book
    client: _End
    name: Callable[[], str]
    upstream: _End | None = None
    connected_to: Place | None = None

    async def run(self) -> None:
        """Until either side leaves."""
        try:
            while await self._exchange():
                pass
        except (RemoteProtocolError, OSError, TimeoutError) as error:
            self._refuse(502, f"the proxy cannot pass this on: {error}")
        finally:
            self.client.transport.close()
            if self.upstream is not None:
                self.upstream.transport.close()

    async def _exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        request = await self.client.head()
        if request is None:
            return False
        place = next((place for place in self.places if request.target.startswith(place.root)), None)
        if place is None:
            self._refuse(404, "only the Console API and the ingress are here")
            return False
        path = place.path + request.target[len(place.root) :]
        upgrade = "websocket" in request.header("upgrade").lower()
        name = self.name() if upgrade else ""
        try:
            upstream = await self._connected(place)
        except (OSError, TimeoutError) as error:
            reason = f"{place.host_header} cannot be reached: {error or 'it does not answer'}"
            if upgrade:
                self.book.emit(Lane.UPSTREAM, name, Refused(502, reason))
            self._refuse(502, reason)
            return False
        upstream.transport.write(request.aimed_at(path, place.host_header))
        key = self.book.secret("key", request.header("x-api-key"))
        self.book.secret("authorization", request.header("authorization").rpartition(" ")[2])
        asked = await self.client.body(BodyFraming(request), upstream)
        answer = await upstream.head()
        while answer is not None and answer.status < 200 and answer.status != 101:
            self.client.transport.write(answer.written())
            answer = await upstream.head()
        if answer is None:
            raise RemoteProtocolError("Motion Server hung up before it answered")
        self.client.transport.write(answer.written())
        if answer.status == 101:
            opened = Opened(*self._credentials(request))
            up, down = self.book.opened(name, opened, answer.header("sec-websocket-extensions"))
            await self._tunnel(upstream, up, down)
            return False
        framing = BodyFraming(answer, request.method)
        said = await upstream.body(framing, self.client)
        if upgrade:
            token, app_id, avatar_id = self._credentials(request)
            reason = said.decode(errors="replace").strip()
            known = token if answer.status != 400 else ""
            self.book.emit(Lane.UPSTREAM, name, Refused(answer.status, reason, known, app_id, avatar_id))
        elif place is self.places[0]:
            self._token_requested(key, asked, answer.status, said)
        return request.keeps_alive and answer.keeps_alive and not framing.until_close

    async def _connected(self, place: Place) -> _End:
        if self.upstream is not None and self.connected_to is place and not self.upstream.lost.is_set():
            return self.upstream
        if self.upstream is not None:
            self.upstream.transport.close()
        context = ssl.create_default_context() if place.tls else None
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(_End, place.host, place.port, ssl=context)
        _, upstream = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
        self.upstream, self.connected_to = upstream, place
        return upstream

    def _refuse(self, status: int, reason: str) -> None:
        body = json.dumps({"message": reason}).encode() + b"\n"
        head = f"HTTP/1.1 {status} Proxy\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.client.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def _token_requested(self, key: str, asked: bytes, status: int, said: bytes) -> None:
        token = self.book.secret("token", _issued_token(said)) if status == 200 else ""
        try:
            expire_at: int | None = read_token_request(asked).expire_at
        except RequestRefusedError:
            expire_at = None
        self.book.emit(Lane.CONSOLE, "", TokenRequested(key, expire_at, time.time(), status, token))

    def _credentials(self, request: Head) -> tuple[str, str, str]:
        """The reference of the session token, the app and the avatar of an upgrade."""
        query = parse_qs(urlsplit(request.target).query)

        def named(header: str, parameter: str) -> str:
            return request.header(header) or query.get(parameter, [""])[0]

        token = self.book.secret("token", named("x-session-key", "sessionKey"))
        return token, named("x-app-id", "appId"), query.get("id", [""])[0]

    async def _tunnel(self, upstream: _End, up: Line, down: Line) -> None:
        client = self.client
        client.other, upstream.other = upstream, client
        client.hand_on(self._passing(upstream, up))
        upstream.hand_on(self._passing(client, down))
        waits = [asyncio.ensure_future(end.lost.wait()) for end in (client, upstream)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            by_server = upstream.lost.is_set()
            left, other = (upstream, client) if by_server else (client, upstream)
            if left.reset:
                other.transport.abort()
            self.book.lost(up.session, by_server=by_server)

    def _passing(self, to: _End, line: Line) -> Callable[[bytes], None]:
        write, passed = to.transport.write, self.book.passed

        def passing(data: bytes) -> None:
            write(data)
            passed(line, data)

        return passing


def _issued_token(body: bytes) -> str:
    """The token in the Console API's answer, wherever the service has been documented to put it."""
    try:
        stored = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for place in (stored, stored.get("data") if isinstance(stored, dict) else None):
        if isinstance(place, dict):
            for name in _TOKEN_FIELDS:
                if isinstance(place.get(name), str):
                    return str(place[name])
    return ""
