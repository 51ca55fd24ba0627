"""One connection of a relay that passes through a recording proxy to Motion Server."""

import asyncio
import json
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
from spatius_sim.protocol.console_api import INGRESS_ROOT
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.trace.events import Lane, Opened, Refused

_CLOSE_SECONDS = 30.0
"""How long a peer may take to read the rest when a connection ends."""


_CLOSE_AT_END_SECONDS = 0.5
"""How long a peer may take to read the rest when the proxy itself ends."""


_AFTER_REFUSAL_SECONDS = 1.0
"""How long the proxy throws away the bytes that a peer still sends after a refusal."""


class _RefusedError(Exception):
    """The proxy refuses a request: it answers with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Make the refusal from the HTTP status and the reason."""
        super().__init__(reason)
        self.status, self.reason = status, reason


@contextmanager
def _refuse_malformed(status: int, message_name: str) -> Iterator[None]:
    """If the code inside this context raises RemoteProtocolError, let the proxy refuse the exchange with this
    HTTP status: raise _RefusedError instead. `message_name` names the malformed message."""
    try:
        yield
    except RemoteProtocolError as error:
        raise _RefusedError(status, f"the proxy cannot pass on {message_name}: {error}") from error


@dataclass(slots=True)
class ProxiedConnection:
    """One connection of a relay to the proxy, and the upstream connection that belongs to it."""

    targets: tuple[ProxyTarget, ...]
    recorder: ProxyRecorder
    relay_end: ConnectionEnd
    name_lookup: NameLookup
    next_session_name: Callable[[], str]
    upstream_end: ConnectionEnd | None = None
    upstream_target: ProxyTarget | None = None
    session_name: str = ""
    """The name of the session that the request wants to open; "" if it wants none."""

    async def run(self) -> None:
        """Serve the requests of a relay at the proxy until one side ends the connection. Then close the
        proxy's connections to both sides, and wait for that. The wait is shorter if the proxy itself ends."""
        closing_seconds = _CLOSE_SECONDS
        try:
            await self._serve_requests()
        except asyncio.CancelledError:
            closing_seconds = _CLOSE_AT_END_SECONDS
            raise
        finally:
            self.relay_end.on_lost = None
            open_ends = [end for end in (self.relay_end, self.upstream_end) if end is not None]
            await close_all(open_ends, closing_seconds)

    async def _serve_requests(self) -> None:
        """Pass the relay's requests on through the proxy, one after another, until no further request may
        follow. If the proxy refuses a request or an answer, send the relay the refusal and end."""
        try:
            while await self._pass_request_on():
                pass
        except _RefusedError as refusal:
            await self._end_with_refusal(refusal.status, refusal.reason)

    async def _pass_request_on(self) -> bool:
        """Pass one request and its answer through the proxy, record both, and return whether another request
        may follow.

        If the answer opens a WebSocket, pass its bytes on until either side leaves. Raises _RefusedError if
        the proxy refuses the request."""
        self.session_name, self.relay_end.has_sent = "", False
        with _refuse_malformed(400, "this request"):
            request = await self.relay_end.read_request_head()
            if request is None:
                return False
            framing = BodyFraming(request)
        path = request.path
        target = next((target for target in self.targets if path.startswith(target.root)), None)
        if target is None:
            raise _RefusedError(404, "only the Console API and the ingress are here")
        upgrade = "websocket" in request.header("upgrade").lower()
        self.session_name = self.next_session_name() if upgrade else ""
        upstream = await self._connect_upstream(target)
        self.relay_end.on_lost = upstream.close_after_writing
        if self.relay_end.lost.is_set():
            return False
        await upstream.send(
            request.encode_with_target_and_host(target.path + path[len(target.root) :], target.host_header)
        )
        key = self.recorder.secret_reference("key", request.header("x-api-key"))
        self.recorder.learn_secrets(request.target, request.headers)
        with _refuse_malformed(400, "this request"):
            request_body = await self.relay_end.pass_on_body(framing, upstream)
        if not framing.ended:
            return False
        with _refuse_malformed(502, f"the answer of {target.host_header}"):
            answer = await self._read_final_answer(upstream)
            if answer.status != 101:
                framing = BodyFraming(answer, request.method)
                answer_body = await upstream.pass_on_body(framing, self.relay_end, answer.as_bytes())
                if not framing.ended and not framing.until_close:
                    raise RemoteProtocolError("it breaks off")
            elif not upgrade:
                raise RemoteProtocolError("it switches to a protocol that was not asked for")
        if answer.status == 101:
            await self.relay_end.send(answer.as_bytes())
            opened = Opened(*self._read_credentials(request, self.session_name))
            up, down = self.recorder.record_opening(
                self.session_name, opened, answer.header("sec-websocket-extensions")
            )
            await self._pass_both_ways(upstream, up, down)
            return False
        if upgrade:
            token, app_id, avatar_id = self._read_credentials(request)
            reason = answer_body.decode(errors="replace").strip()
            accepted_token = token if answer.status != 400 else ""
            refused = Refused(answer.status, reason, accepted_token, app_id, avatar_id)
            self.recorder.emit(Lane.UPSTREAM, self.session_name, refused)
        elif target.root != INGRESS_ROOT:
            self.recorder.record_token_request(key, request_body, answer.status, answer_body)
        return request.keeps_alive and answer.keeps_alive and not framing.until_close

    async def _read_final_answer(self, upstream_end: ConnectionEnd) -> Head:
        """Wait for Motion Server's final answer to a request that the proxy passed on, and return the head of
        this answer. Interim answers (status 1xx except 101) are passed on to the relay. Set `has_sent` of the
        relay's connection to False then: no part of the final answer has passed yet.

        Raises RemoteProtocolError if Motion Server closes the connection first."""
        while (answer := await upstream_end.read_response_head()) is not None:
            if answer.status >= 200 or answer.status == 101:
                self.relay_end.has_sent = False
                return answer
            await self.relay_end.send(answer.as_bytes())
        raise RemoteProtocolError("it hung up before it answered")

    async def _connect_upstream(self, target: ProxyTarget) -> ConnectionEnd:
        """Return a connection of the proxy to this target, for the next request. Reuse the open connection if
        it leads to this target and no unread bytes wait on it. Otherwise close it, and make a new one.

        Raises _RefusedError with status 502 if the target cannot be reached."""
        open_end = self.upstream_end
        if open_end is not None:
            if self.upstream_target is target and not open_end.lost.is_set() and not open_end.unread_bytes:
                return open_end
            self.relay_end.on_lost = None  # It would close the old connection.
            open_end.close_after_writing()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self.upstream_end = await connect_to_target(target, self.name_lookup)
                self.upstream_target = target
        except (OSError, TimeoutError) as error:
            raise _RefusedError(502, describe_unreachable(target, error)) from error
        return self.upstream_end

    async def _end_with_refusal(self, status: int, reason: str) -> None:
        """Answer the relay, as the proxy, with this HTTP status and reason, and end both connections. If a
        part of another answer has passed already, abort the relay's connection instead. Record the refusal if
        the request wanted to open a session."""
        if self.session_name:
            self.recorder.emit(Lane.UPSTREAM, self.session_name, Refused(status, reason))
        if self.upstream_end is not None:
            self.relay_end.on_lost = None
            self.upstream_end.close_after_writing()
        if self.relay_end.has_sent:
            # Part of an answer has passed: only a broken connection shows that the answer is incomplete.
            self.relay_end.transport.abort()
            return
        body = json.dumps({"message": reason}).encode() + b"\n"
        head = f"HTTP/1.1 {status} Proxy\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.relay_end.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.relay_end.finish_sending()
        await wait_until_gone([self.relay_end], _AFTER_REFUSAL_SECONDS)

    def _read_credentials(self, request: Head, session_name: str = "") -> tuple[str, str, str]:
        """Read the credentials in the HTTP request by which a relay's connection asks for a WebSocket. Return
        a reference that stands for the session token, then the app id and the avatar id ("" for each that is
        missing).

        The recorder remembers the token at least until the session `session_name` ends."""
        query = parse_qs(urlsplit(request.target).query)

        def header_or_query(header: str, parameter: str) -> str:
            """Return the value of a header of the request or, if it is missing, of a query parameter."""
            return request.header(header) or query.get(parameter, [""])[0]

        token_reference = self.recorder.secret_reference(
            "token", header_or_query("x-session-key", "sessionKey"), session_name
        )
        return token_reference, header_or_query("x-app-id", "appId"), query.get("id", [""])[0]

    async def _pass_both_ways(self, upstream_end: ConnectionEnd, up: Direction, down: Direction) -> None:
        """Pass the bytes of a WebSocket through the proxy, from the relay to Motion Server (`up`) and back
        (`down`), until one side leaves. Tell the recorder which side left.

        If the side that left has reset its connection, reset the other connection too."""
        relay_end = self.relay_end
        relay_end.on_lost = None
        relay_end.other_end, upstream_end.other_end = upstream_end, relay_end
        for source, sink, direction in ((relay_end, upstream_end, up), (upstream_end, relay_end, down)):
            direction.pause_source, direction.resume_source = (
                partial(source.pause_reading_for, "recorder"),
                partial(source.resume_reading_for, "recorder"),
            )
            source.call_with_bytes(self._make_forwarder(sink, direction))
        loss_waits = [asyncio.ensure_future(end.lost.wait()) for end in (relay_end, upstream_end)]
        try:
            await asyncio.wait(loss_waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for loss_wait in loss_waits:
                loss_wait.cancel()
            server_left = upstream_end.lost.is_set()
            left_side, other_side = (upstream_end, relay_end) if server_left else (relay_end, upstream_end)
            if left_side.was_reset:
                other_side.transport.abort()
            self.recorder.record_loss(up.session, by_server=server_left)

    def _make_forwarder(self, destination: ConnectionEnd, direction: Direction) -> Callable[[bytes], None]:
        """Return a function that takes bytes from one side of the proxy. It writes them to `destination`, the
        other side, and gives them to the recorder as bytes of this direction."""
        write, record = destination.transport.write, self.recorder.queue_bytes

        def forward(data: bytes) -> None:
            """Write bytes to the other side, and give them to the recorder."""
            write(data)
            record(direction, data)

        return forward
