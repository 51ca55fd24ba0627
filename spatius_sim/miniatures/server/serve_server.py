"""Serves the brain of a small Motion Server, over real sockets or in virtual time."""

import asyncio
import time
from types import TracebackType
from typing import Self

from aiohttp import WSMsgType, web

from spatius_sim.miniatures.server.plain_server import DelayedFrame, PlainServer, PlainSession
from spatius_sim.net.server.ingress_socket import ingress_socket
from spatius_sim.net.server.one_port_server import OnePort, json_response, read_body
from spatius_sim.protocol.codec import MessageReader
from spatius_sim.protocol.console_api import (
    SESSION_TOKENS_PATH,
    WEBSOCKET_PATH,
    HttpAnswer,
    RequestRefusedError,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.virtual.memory_connection import MemoryEnd, open_connection
from spatius_sim.virtual.virtual_loop import VirtualLoop


class MiniatureServer(OnePort):
    """`async with MiniatureServer(brain) as server:` serves on a free port of 127.0.0.1 until the block
    ends."""

    def __init__(self, brain: PlainServer) -> None:
        super().__init__()
        self._brain = brain
        self._sockets: list[web.WebSocketResponse] = []

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The protocol's own."""
        router.add_post(SESSION_TOKENS_PATH, self._token)
        router.add_get(WEBSOCKET_PATH, self._upgrade)

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for socket in self._sockets:
            await socket.close()
        await self.stop()

    async def _token(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Api-Key", "")
        return json_response(self._brain.ask_token(key, await read_body(request), time.time()))

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        session_key = request.headers.get("X-Session-Key", query.get("sessionKey", ""))
        self._brain.asked_in_query = "sessionKey" in query
        session = self._brain.knock(session_key, query.get("id", ""), time.time())
        if isinstance(session, HttpAnswer):
            return json_response(session)
        socket = ingress_socket()
        await socket.prepare(request)
        self._sockets.append(socket)
        closing = asyncio.create_task(self._close_when_told(socket, session))
        waiting: set[asyncio.Task[None]] = set()
        latest: dict[str, asyncio.Task[None]] = {}
        try:
            async for frame in socket:
                if frame.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                    for raw in self._brain.receive(session, read_upstream(frame.data)):
                        await socket.send_bytes(raw)
                    while session.later:
                        later = session.later.pop(0)
                        sending = self._send_later(socket, session, later, latest.get(later.req_id))
                        latest[later.req_id] = asyncio.create_task(sending)
                        waiting.add(latest[later.req_id])
                    if self._brain.hangs_up(session):
                        await socket.close(code=session.close_code)
        except ConnectionResetError:
            pass  # The peer left while we were sending to it.
        finally:
            for task in (closing, *waiting):
                task.cancel()
            self._brain.leave(session)
            self._sockets.remove(socket)
        return socket

    async def _send_later(
        self,
        socket: web.WebSocketResponse,
        session: PlainSession,
        frame: DelayedFrame,
        earlier: asyncio.Task[None] | None,
    ) -> None:
        """Send a frame when it is due, and after the `earlier` one of its request: timers that ring one right
        after the other may ring in any order on a busy machine."""
        await asyncio.sleep(frame.seconds)
        if earlier is not None:
            await earlier
        if self._brain.is_wanted(session, frame):
            await socket.send_bytes(frame.raw)

    async def _close_when_told(self, socket: web.WebSocketResponse, session: PlainSession) -> None:
        at = self._brain.closes_at(session)
        if at is not None:
            await asyncio.sleep(at - time.time())
            await socket.close()


class VirtualMiniatureServer:
    """The host of such a brain in virtual time."""

    def __init__(self, loop: VirtualLoop, brain: PlainServer) -> None:
        self._loop, self._brain = loop, brain
        brain.clock = loop.time

    async def ask_for_token(self, api_key: str, body: bytes) -> HttpAnswer:
        """Answer a token request."""
        return self._brain.ask_token(api_key, body, self._loop.unix_time())

    async def upgrade(
        self, app_id: str, session_key: str, avatar_id: str, *, in_query: bool = False
    ) -> MemoryEnd:
        """Open a session, and return the client's end. Raises RequestRefusedError."""
        self._brain.asked_in_query = in_query
        session = self._brain.knock(session_key, avatar_id, self._loop.unix_time())
        if isinstance(session, HttpAnswer):
            raise RequestRefusedError(session)
        ours, theirs = open_connection()
        read = MessageReader().read

        def receive(raw: str | bytes) -> None:
            self._loop.note_activity("the server")
            for answer in self._brain.receive(session, read_upstream(raw, read)):
                ours.send(answer)
            while session.later:
                frame = session.later.pop(0)
                self._loop.call_later(frame.seconds, send_later, frame)
            if self._brain.hangs_up(session):
                ours.close(session.close_code)

        def send_later(frame: DelayedFrame) -> None:
            if self._brain.is_wanted(session, frame):
                ours.send(frame.raw)

        ours.on_frame = receive
        ours.on_end = lambda code, reason: self._brain.leave(session)
        closes_at = self._brain.closes_at(session)
        if closes_at is not None:
            self._loop.call_later(closes_at - self._loop.unix_time(), ours.close)
        return theirs
