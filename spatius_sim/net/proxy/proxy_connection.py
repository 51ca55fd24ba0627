"""One connection of a relay that passes through a recording proxy to Motion Server."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs, urlsplit

from spatius_sim.net.proxy.connection_end import ConnectionEnd, close_all, wait_until_gone
from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import Head
from spatius_sim.net.proxy.name_lookup import NameLookup
from spatius_sim.net.proxy.proxy_recorder import Direction, ProxyRecorder
from spatius_sim.net.proxy.proxy_target import (
    CONNECT_SECONDS,
    ProxyTarget,
    connect_to_target,
    describe_unreachable,
)
from spatius_sim.protocol.console_api import (
    INGRESS_ROOT,
    TOKEN_DOORS,
    RequestRefusedError,
    read_token_request,
)
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.trace.events import Lane, Opened, Refused, TokenRequested

_CLOSE_SECONDS = 30.0
"""How long a peer may take to read the rest when a connection ends."""


_CLOSE_AT_END_SECONDS = 0.5
"""How long a peer may take to read the rest when the proxy itself ends."""


_AFTER_REFUSAL_SECONDS = 1.0
"""How long the proxy throws away the bytes that a peer still sends after a refusal."""


_TOKEN_FIELDS = (*TOKEN_DOORS.values(), "sessionKey", "token")


class _RefusedError(Exception):
    """The proxy refuses a request: it answers with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Make the refusal from the HTTP status and the reason."""
        super().__init__(reason)
        self.status, self.reason = status, reason


@contextmanager
def _refuse_with(status: int, message_name: str) -> Iterator[None]:
    """Turn a RemoteProtocolError inside the context into a refusal by the proxy, with this HTTP status.

    `message_name` names the message that breaks the protocol."""
    try:
        yield
    except RemoteProtocolError as error:
        raise _RefusedError(status, f"the proxy cannot pass on {message_name}: {error}") from error


@dataclass(slots=True)
class ProxiedConnection:
    """One connection of a relay to the proxy, and the upstream connection that belongs to it."""

    targets: tuple[ProxyTarget, ...]
    recorder: ProxyRecorder
    client: ConnectionEnd
    lookup: NameLookup
    next_name: Callable[[], str]
    upstream: ConnectionEnd | None = None
    connected_to: ProxyTarget | None = None
    name: str = ""
    """The name of the session that the request wants to open; "" if it wants none."""

    async def run(self) -> None:
        """Serve the requests of a relay until either side leaves, then close both of the proxy's
        connections."""
        seconds = _CLOSE_SECONDS
        try:
            await self._serve_requests()
        except asyncio.CancelledError:
            seconds = _CLOSE_AT_END_SECONDS
            raise
        finally:
            self.client.on_lost = None
            await close_all([self.client, *([] if self.upstream is None else [self.upstream])], seconds)

    async def _serve_requests(self) -> None:
        """Pass the requests of the relay on through the proxy, one after another, until the relay sends no
        more or the proxy refuses one."""
        try:
            while await self._pass_request_on():
                pass
        except _RefusedError as refusal:
            await self._refuse_exchange(refusal.status, refusal.reason)

    async def _pass_request_on(self) -> bool:
        """Pass one request and its answer through the proxy, record both, and return whether another request
        may follow.

        If the answer opens a WebSocket, pass its bytes on until either side leaves. Raises _RefusedError if
        the proxy refuses the request."""
        self.name, self.client.has_sent = "", False
        with _refuse_with(400, "this request"):
            request = await self.client.read_request_head()
            if request is None:
                return False
            framing = BodyFraming(request)
        path = request.path
        target = next((target for target in self.targets if path.startswith(target.root)), None)
        if target is None:
            raise _RefusedError(404, "only the Console API and the ingress are here")
        upgrade = "websocket" in request.header("upgrade").lower()
        self.name = self.next_name() if upgrade else ""
        upstream = await self._connection_to(target)
        self.client.on_lost = upstream.close_after_writing
        if self.client.lost.is_set():
            return False
        await upstream.send(
            request.with_target_and_host(target.path + path[len(target.root) :], target.host_header)
        )
        key = self.recorder.secret_reference("key", request.header("x-api-key"))
        self.recorder.learn_logins(request.target, request.headers)
        with _refuse_with(400, "this request"):
            request_body = await self.client.pass_on_body(framing, upstream)
        if not framing.ended:
            return False
        with _refuse_with(502, f"the answer of {target.host_header}"):
            answer = await self._final_answer(upstream)
            if answer.status != 101:
                framing = BodyFraming(answer, request.method)
                answer_body = await upstream.pass_on_body(framing, self.client, answer.as_bytes())
                if not framing.ended and not framing.until_close:
                    raise RemoteProtocolError("it breaks off")
            elif not upgrade:
                raise RemoteProtocolError("it switches to a protocol that was not asked for")
        if answer.status == 101:
            await self.client.send(answer.as_bytes())
            opened = Opened(*self._read_credentials(request, self.name))
            up, down = self.recorder.record_opening(
                self.name, opened, answer.header("sec-websocket-extensions")
            )
            await self._pass_both_ways(upstream, up, down)
            return False
        if upgrade:
            token, app_id, avatar_id = self._read_credentials(request)
            reason = answer_body.decode(errors="replace").strip()
            accepted_token = token if answer.status != 400 else ""
            refused = Refused(answer.status, reason, accepted_token, app_id, avatar_id)
            self.recorder.emit(Lane.UPSTREAM, self.name, refused)
        elif target.root != INGRESS_ROOT:
            self._record_token_request(key, request_body, answer.status, answer_body)
        return request.keeps_alive and answer.keeps_alive and not framing.until_close

    async def _final_answer(self, upstream: ConnectionEnd) -> Head:
        """Wait until Motion Server sends the head of its final answer to the request in the proxy, and return
        the head. Interim answers (status 1xx) are passed on to the relay before it.

        Raises RemoteProtocolError if Motion Server closes the connection before."""
        while (answer := await upstream.read_response_head()) is not None:
            if answer.status >= 200 or answer.status == 101:
                self.client.has_sent = False
                return answer
            await self.client.send(answer.as_bytes())
        raise RemoteProtocolError("it hung up before it answered")

    async def _connection_to(self, target: ProxyTarget) -> ConnectionEnd:
        """Return the proxy's connection to this target, for the next request of the relay: the open upstream
        connection if it leads to the target, or a new one. Raises _RefusedError if the target cannot be
        reached."""
        current = self.upstream
        if current is not None:
            if self.connected_to is target and not current.lost.is_set() and not current.unread_bytes:
                return current
            self.client.on_lost = None
            current.close_after_writing()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self.upstream, self.connected_to = await connect_to_target(target, self.lookup), target
        except (OSError, TimeoutError) as error:
            raise _RefusedError(502, describe_unreachable(target, error)) from error
        return self.upstream

    async def _refuse_exchange(self, status: int, reason: str) -> None:
        """Refuse, as the recording proxy, what the relay or the upstream sent: answer the relay with this
        HTTP status and end both connections; record the refusal if it concerns a session. If a part of an
        answer has passed already, only abort the relay's connection."""
        if self.name:
            self.recorder.emit(Lane.UPSTREAM, self.name, Refused(status, reason))
        if self.upstream is not None:
            self.client.on_lost = None
            self.upstream.close_after_writing()
        if self.client.has_sent:
            # Part of an answer has passed: only a broken connection shows that the answer is incomplete.
            self.client.transport.abort()
            return
        body = json.dumps({"message": reason}).encode() + b"\n"
        head = f"HTTP/1.1 {status} Proxy\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.client.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.client.finish_sending()
        await wait_until_gone([self.client], _AFTER_REFUSAL_SECONDS)

    def _record_token_request(self, key: str, request_body: bytes, status: int, answer_body: bytes) -> None:
        """Record a token request that the relay sent through the recording proxy, and the answer. `key` is
        the reference of the API key."""
        token = self.recorder.secret_reference("token", _issued_token(answer_body)) if status == 200 else ""
        try:
            expire_at: int | None = read_token_request(request_body).expire_at
        except RequestRefusedError:
            expire_at = None
        self.recorder.emit(Lane.CONSOLE, "", TokenRequested(key, expire_at, time.time(), status, token))

    def _read_credentials(self, request: Head, holder: str = "") -> tuple[str, str, str]:
        """Read the credentials in an upgrade request that passes through the proxy. Return the reference of
        its session token, its app id and its avatar id.

        The token is remembered until the session `holder` ends.
        """
        query = parse_qs(urlsplit(request.target).query)

        def header_or_query(header: str, parameter: str) -> str:
            """Return the value of a header of the request or, if it is missing, of a query parameter."""
            return request.header(header) or query.get(parameter, [""])[0]

        token = self.recorder.secret_reference(
            "token", header_or_query("x-session-key", "sessionKey"), holder
        )
        return token, header_or_query("x-app-id", "appId"), query.get("id", [""])[0]

    async def _pass_both_ways(self, upstream: ConnectionEnd, up: Direction, down: Direction) -> None:
        """Pass the bytes of a WebSocket between the relay and Motion Server through the recording proxy, in
        both directions, until one side leaves. Note for the recorder which side left.

        If one side resets its connection, reset the other too."""
        client = self.client
        client.on_lost = None
        client.other, upstream.other = upstream, client
        for source, destination, direction in ((client, upstream, up), (upstream, client, down)):
            direction.hold, direction.release = (
                partial(source.pause_reading_for, "recorder"),
                partial(source.resume_reading_for, "recorder"),
            )
            source.call_with_bytes(self._pass_on_to(destination, direction))
        waits = [asyncio.ensure_future(end.lost.wait()) for end in (client, upstream)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            by_server = upstream.lost.is_set()
            left_side, other_side = (upstream, client) if by_server else (client, upstream)
            if left_side.reset:
                other_side.transport.abort()
            self.recorder.record_loss(up.session, by_server=by_server)

    def _pass_on_to(self, destination: ConnectionEnd, direction: Direction) -> Callable[[bytes], None]:
        """Return a function that passes the bytes of one side through the proxy to `destination`, and then
        gives them to the recorder, which reads them as a part of this direction."""
        write, record = destination.transport.write, self.recorder.add_bytes

        def pass_on(data: bytes) -> None:
            """Pass bytes on through the proxy, and record them."""
            write(data)
            record(direction, data)

        return pass_on


def _issued_token(body: bytes) -> str:
    """Return the session token that the Console API issued in an answer which the proxy passes on; "" if
    there is none. The documents name several places for the token, and each is searched."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for fields in (document, document.get("data") if isinstance(document, dict) else None):
        if isinstance(fields, dict):
            for name in _TOKEN_FIELDS:
                if isinstance(fields.get(name), str):
                    return str(fields[name])
    return ""
