"""A proxy between a relay and Motion Server that reads along: bytes pass untouched, and are recorded as
events.

It serves Console API and ingress on one port of 127.0.0.1. Only the target and the Host of a request are
replaced, for they name the server. WebSocket frames and bodies that cannot be understood still pass. HTTP
that two readers could read in two ways is refused: with 400 if the relay sent it, with 502 if the upstream
did.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from spatius_sim.net.listening import LOOPBACK, port_fault
from spatius_sim.net.proxy.connection_end import End, close_all, wait_until_gone
from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import Head
from spatius_sim.net.proxy.name_lookup import NameLookup
from spatius_sim.net.proxy.proxy_recorder import Direction, ProxyRecorder
from spatius_sim.protocol.console import (
    AUTH_ROOT,
    CONSOLE_ROOT,
    INGRESS_ROOT,
    TOKEN_DOORS,
    RequestRefusedError,
    read_token_request,
)
from spatius_sim.protocol.errors import RemoteProtocolError, UsageError
from spatius_sim.trace.events import Event, Lane, Opened, Refused, TokenRequested
from spatius_sim.trace.logins import shown_url

_CONNECT_SECONDS = 10.0
_PARTING_SECONDS = 30.0
"""How long a peer may take to read the rest when a connection ends."""
_LAST_SECONDS = 0.5
"""How long a peer may take to read the rest when the proxy itself ends."""
_CATCHING_UP_SECONDS = 0.5
"""How long the proxy still reads, when it ends, what has passed."""
_LINGERING_SECONDS = 1.0
"""How long the proxy throws away what a refused peer still sends."""
_TOKEN_FIELDS = (*TOKEN_DOORS.values(), "sessionKey", "token")


@dataclass(frozen=True, slots=True)
class ProxyTarget:
    """The server to which requests go whose path begins with `root`."""

    root: str
    host: str
    port: int
    path: str
    tls: bool

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        usual = self.port == (443 if self.tls else 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if usual else f"{name}:{self.port}"


def proxy_targets(upstream: tuple[str, ...]) -> tuple[ProxyTarget, ...]:
    """Work out the targets of the Console API, its second door and the ingress, from one base URL or from
    both endpoint URLs; raises UsageError if they do not tell all targets."""
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
    door = _read_target(CONSOLE_ROOT, console)
    beside = replace(door, root=AUTH_ROOT, path=door.path.removesuffix(CONSOLE_ROOT) + AUTH_ROOT)
    return door, beside, _read_target(INGRESS_ROOT, ingress)


def _read_target(root: str, url: str) -> ProxyTarget:
    """Read one target from its URL; raises UsageError for what is no URL of a server."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--upstream {shown_url(url)!r} is no URL") from error
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise UsageError(f"--upstream {shown_url(url)!r}: an http(s):// or ws(s):// URL is needed")
    tls = parts.scheme in ("https", "wss")
    return ProxyTarget(root, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)


class RecordingProxy:
    """`async with RecordingProxy(...) as proxy:` serves until the block ends, and tells `on_event` what
    happens; `port` 0 takes a free one. Raises UsageError if the port cannot be had."""

    def __init__(
        self, upstream: tuple[str, ...], on_event: Callable[[Event], None], *, port: int = 0
    ) -> None:
        self.port = port
        self._targets = proxy_targets(upstream)
        self._recorder = ProxyRecorder(on_event)
        self._lookup = NameLookup()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    @property
    def console_endpoint(self) -> str:
        """The URL that a Server SDK takes as its console endpoint."""
        return f"http://{LOOPBACK}:{self.port}{CONSOLE_ROOT}"

    @property
    def ingress_endpoint(self) -> str:
        """The URL that a Server SDK takes as its ingress endpoint."""
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
        self._recorder.catch_up(_CATCHING_UP_SECONDS)

    def _accept(self) -> End:
        """Make the end of a new connection; once it is made, a task of its own serves it."""
        end = End()

        def begin() -> None:
            """Start a task that passes one new connection on."""
            conversation = _ProxiedConnection(
                self._targets, self._recorder, end, self._lookup, self._new_name
            )
            task = asyncio.create_task(conversation.run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        end.on_made = begin
        return end

    def _new_name(self) -> str:
        self._connections += 1
        return f"upstream-{self._connections}"


class _RefusedError(Exception):
    """The proxy itself answers a request, with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@contextmanager
def _refuse_with(status: int, what: str) -> Iterator[None]:
    """Refuse with this status what a peer sends against the protocol within the context."""
    try:
        yield
    except RemoteProtocolError as error:
        raise _RefusedError(status, f"the proxy cannot pass on {what}: {error}") from error


@dataclass(slots=True)
class _ProxiedConnection:
    """One connection of a relay, and the upstream connection that belongs to it."""

    places: tuple[ProxyTarget, ...]
    recorder: ProxyRecorder
    client: End
    lookup: NameLookup
    next_name: Callable[[], str]
    upstream: End | None = None
    connected_to: ProxyTarget | None = None
    name: str = ""
    """The name of the session that the request wants to open; "" if it wants none."""

    async def run(self) -> None:
        """Serve requests until either side leaves."""
        seconds = _PARTING_SECONDS
        try:
            await self._pass_all_on()
        except asyncio.CancelledError:
            seconds = _LAST_SECONDS
            raise
        finally:
            self.client.on_lost = None
            await close_all([self.client, *([] if self.upstream is None else [self.upstream])], seconds)

    async def _pass_all_on(self) -> None:
        try:
            while await self._pass_one_on():
                pass
        except _RefusedError as refusal:
            await self._refuse(refusal.status, refusal.reason)

    async def _pass_one_on(self) -> bool:
        """Pass one request and its answer on; return whether another may follow."""
        self.name, self.client.said = "", False
        with _refuse_with(400, "this request"):
            request = await self.client.request()
            if request is None:
                return False
            framing = BodyFraming(request)
        path = request.path
        place = next((place for place in self.places if path.startswith(place.root)), None)
        if place is None:
            raise _RefusedError(404, "only the Console API and the ingress are here")
        upgrade = "websocket" in request.header("upgrade").lower()
        self.name = self.next_name() if upgrade else ""
        upstream = await self._connection_to(place)
        self.client.on_lost = upstream.leave
        if self.client.lost.is_set():
            return False
        await upstream.send(request.aimed_at(place.path + path[len(place.root) :], place.host_header))
        key = self.recorder.secret_reference("key", request.header("x-api-key"))
        self.recorder.learn_logins(request.target, request.headers)
        with _refuse_with(400, "this request"):
            request_body = await self.client.body(framing, upstream)
        if not framing.ended:
            return False
        with _refuse_with(502, f"the answer of {place.host_header}"):
            answer = await self._final_answer(upstream)
            if answer.status != 101:
                framing = BodyFraming(answer, request.method)
                answer_body = await upstream.body(framing, self.client, answer.as_bytes())
                if not framing.ended and not framing.until_close:
                    raise RemoteProtocolError("it breaks off")
            elif not upgrade:
                raise RemoteProtocolError("it switches to a protocol that was not asked for")
        if answer.status == 101:
            await self.client.send(answer.as_bytes())
            opened = Opened(*self._credentials(request, self.name))
            up, down = self.recorder.record_opening(
                self.name, opened, answer.header("sec-websocket-extensions")
            )
            await self._pass_both_ways(upstream, up, down)
            return False
        if upgrade:
            token, app_id, avatar_id = self._credentials(request)
            reason = answer_body.decode(errors="replace").strip()
            known = token if answer.status != 400 else ""
            refused = Refused(answer.status, reason, known, app_id, avatar_id)
            self.recorder.emit(Lane.UPSTREAM, self.name, refused)
        elif place.root != INGRESS_ROOT:
            self._record_token_request(key, request_body, answer.status, answer_body)
        return request.keeps_alive and answer.keeps_alive and not framing.until_close

    async def _final_answer(self, upstream: End) -> Head:
        """Wait for the head of the final answer, and pass on those before it."""
        while (answer := await upstream.answer()) is not None:
            if answer.status >= 200 or answer.status == 101:
                self.client.said = False
                return answer
            await self.client.send(answer.as_bytes())
        raise RemoteProtocolError("it hung up before it answered")

    async def _connection_to(self, place: ProxyTarget) -> End:
        """Return a connection to this target: the one at hand, if it fits, or else a new one."""
        old = self.upstream
        if old is not None:
            if self.connected_to is place and not old.lost.is_set() and not old.waiting:
                return old
            self.client.on_lost = None
            old.leave()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                self.upstream, self.connected_to = await self._connect(place), place
        except (OSError, TimeoutError) as error:
            reason = f"{place.host_header} cannot be reached: {str(error) or 'it does not answer'}"
            raise _RefusedError(502, reason) from error
        return self.upstream

    async def _connect(self, place: ProxyTarget) -> End:
        """Connect to the first address of the target that answers; raises OSError if none does."""
        context = ssl.create_default_context() if place.tls else None
        name = place.host if place.tls else None
        loop = asyncio.get_running_loop()
        fault = OSError("the name has no address")
        for address in await self.lookup.addresses(place.host):
            try:
                _, upstream = await loop.create_connection(
                    End, address, place.port, ssl=context, server_hostname=name
                )
                return upstream
            except OSError as error:
                fault = error
        raise fault

    async def _refuse(self, status: int, reason: str) -> None:
        """Answer the relay with a refusal, and end the connection."""
        if self.name:
            self.recorder.emit(Lane.UPSTREAM, self.name, Refused(status, reason))
        if self.upstream is not None:
            self.client.on_lost = None
            self.upstream.leave()
        if self.client.said:
            # Half an answer has passed: only a broken connection shows that the answer is not whole.
            self.client.transport.abort()
            return
        body = json.dumps({"message": reason}).encode() + b"\n"
        head = f"HTTP/1.1 {status} Proxy\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.client.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.client.end_saying()
        await wait_until_gone([self.client], _LINGERING_SECONDS)

    def _record_token_request(self, key: str, asked: bytes, status: int, answered: bytes) -> None:
        """Record a token request: the reference of its key, its body, and the status and body of its
        answer."""
        token = self.recorder.secret_reference("token", _issued_token(answered)) if status == 200 else ""
        try:
            expire_at: int | None = read_token_request(asked).expire_at
        except RequestRefusedError:
            expire_at = None
        self.recorder.emit(Lane.CONSOLE, "", TokenRequested(key, expire_at, time.time(), status, token))

    def _credentials(self, request: Head, holder: str = "") -> tuple[str, str, str]:
        """Read the reference of the session token, the app and the avatar of an upgrade."""
        query = parse_qs(urlsplit(request.target).query)

        def header_or_query(header: str, parameter: str) -> str:
            return request.header(header) or query.get(parameter, [""])[0]

        token = self.recorder.secret_reference(
            "token", header_or_query("x-session-key", "sessionKey"), holder
        )
        return token, header_or_query("x-app-id", "appId"), query.get("id", [""])[0]

    async def _pass_both_ways(self, upstream: End, up: Direction, down: Direction) -> None:
        """Pass bytes on in both directions until either side leaves."""
        client = self.client
        client.on_lost = None
        client.other, upstream.other = upstream, client
        for source, to, line in ((client, upstream, up), (upstream, client, down)):
            line.hold, line.release = partial(source.hold, "recorder"), partial(source.release, "recorder")
            source.hand_on(self._pass_on_to(to, line))
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
            self.recorder.record_loss(up.session, by_server=by_server)

    def _pass_on_to(self, to: End, line: Direction) -> Callable[[bytes], None]:
        """Make the function that writes bytes to an end, and records that they passed."""
        write, record = to.transport.write, self.recorder.add_bytes

        def pass_on(data: bytes) -> None:
            write(data)
            record(line, data)

        return pass_on


def _issued_token(body: bytes) -> str:
    """Find the token in the Console API's answer, in any place that is documented for it; "" if there is
    none."""
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
