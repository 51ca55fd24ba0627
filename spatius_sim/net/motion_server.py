"""Motion Server on one port of 127.0.0.1: Console API and ingress around the pure brain."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, WSMsgType, web

from spatius_sim.model.answers import Answer, AnswerFactory, RecordedAnswer, SynthesizedAnswer
from spatius_sim.model.motion_server import Close, Command, Gate, Send, ServerSession
from spatius_sim.model.session_tokens import read_token
from spatius_sim.model.trace import (
    Closed,
    Injected,
    Lane,
    Opened,
    Refused,
    TokenRequested,
    read_upstream,
)
from spatius_sim.net.listening import LOOPBACK, port_fault
from spatius_sim.net.recorder import Nobody, Sink
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES
from spatius_sim.protocol.console import (
    CONSOLE_ROOT,
    INGRESS_ROOT,
    SESSION_TOKENS_PATH,
    WEBSOCKET_PATH,
    HttpAnswer,
    RequestRefusedError,
    read_token_request,
)
from spatius_sim.protocol.ids import NANOID_LENGTH, log_id

_LARGEST_TOKEN_REQUEST = 16 * 1024
_ABNORMAL_CLOSE = 1006


@dataclass(slots=True)
class _Connection:
    name: str
    request: web.Request
    socket: web.WebSocketResponse
    closed_by_us: bool = False


class MotionServer:
    """`async with MotionServer(...) as server:` serves until the block ends.

    `port` 0 takes a free one. `gate` says who may come in, `new_answer` how requests are answered (motion
    synthesised from the audio and `seed` unless told otherwise). What happens is told to `sink`. Raises
    UsageError where the port cannot be had.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        gate: Gate | None = None,
        new_answer: AnswerFactory | None = None,
        sink: Sink | None = None,
    ) -> None:
        self.port = port
        self.new_answer: AnswerFactory = new_answer or self._synthesize
        self._seed = seed
        self._gate = gate or Gate()
        self._sink: Sink = sink or Nobody()
        self._dice = random.Random(seed)
        self._connections = 0
        self._open: dict[str, _Connection] = {}
        self._runner: web.AppRunner | None = None

    @property
    def console_endpoint(self) -> str:
        """What a Server SDK takes as its console endpoint URL."""
        return f"http://{LOOPBACK}:{self.port}{CONSOLE_ROOT}"

    @property
    def ingress_endpoint(self) -> str:
        """What a Server SDK takes as its ingress endpoint URL."""
        return f"ws://{LOOPBACK}:{self.port}{INGRESS_ROOT}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_TOKEN_REQUEST)
        app.router.add_post(SESSION_TOKENS_PATH, self._token_requested)
        app.router.add_get(WEBSOCKET_PATH, self._upgrade_requested)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise port_fault(error, self.port) from error
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for connection in list(self._open.values()):
            connection.closed_by_us = True
            await connection.socket.close(code=WSCloseCode.GOING_AWAY, message=b"stopping")
        if self._runner is not None:
            await self._runner.cleanup()

    def die(self) -> None:
        """Cut every open connection off, as a crashing server would."""
        self._sink.emit(Lane.KIT, "", Injected("Motion Server dies"))
        for connection in list(self._open.values()):
            connection.closed_by_us = True
            if connection.request.transport is not None:
                connection.request.transport.abort()

    def answer_with_recording(self, payloads: Sequence[bytes]) -> None:
        """Answer every request from here on with these payloads, byte for byte, at the audio's pace."""

        def recorded(connection_id: str, req_id: str, sample_rate: int) -> Answer:
            return RecordedAnswer(payloads, sample_rate)

        self.new_answer = recorded

    def _synthesize(self, connection_id: str, req_id: str, sample_rate: int) -> Answer:
        return SynthesizedAnswer(connection_id, req_id, sample_rate, self._seed)

    def _new_id(self) -> str:
        return log_id(time.time(), self._dice.randbytes(NANOID_LENGTH))

    async def _token_requested(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Api-Key", "")
        body = await request.read()
        now = time.time()
        token = ""
        try:
            token = self._gate.issue(key, body, now, self._new_id())
            answer = HttpAnswer(200, json.dumps({"sessionToken": token}))
        except RequestRefusedError as refused:
            answer = refused.answer
        what = TokenRequested(
            self._sink.secret("key", key),
            _asked_expiry(body),
            now,
            answer.status,
            self._sink.secret("token", token),
        )
        self._sink.emit(Lane.CONSOLE, "", what)
        return _response(answer)

    async def _upgrade_requested(self, request: web.Request) -> web.StreamResponse:
        headers, query = request.headers, request.query
        app_id = headers.get("X-App-ID", query.get("appId", ""))
        session_key = headers.get("X-Session-Key", query.get("sessionKey", ""))
        avatar_id = query.get("id", "")
        self._connections += 1
        name = f"upstream-{self._connections}"
        try:
            self._gate.admit(app_id, session_key, avatar_id, time.time())
        except RequestRefusedError as refused:
            self._tell_refused(name, refused.answer, session_key)
            return _response(refused.answer)
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, compress=False)
        if not socket.can_prepare(request):
            answer = HttpAnswer(426, '{"message":"a WebSocket upgrade is expected here"}\n')
            self._tell_refused(name, answer, session_key)
            return _response(answer)
        await socket.prepare(request)
        token = self._sink.secret("token", session_key)
        self._sink.emit(Lane.UPSTREAM, name, Opened(token, app_id, avatar_id))
        connection = self._open[name] = _Connection(name, request, socket)
        session = ServerSession(self._new_id(), self.new_answer)
        try:
            await self._converse(connection, session)
        except ConnectionResetError:
            pass  # The peer left while we were sending to it: told below as an abnormal close.
        finally:
            del self._open[name]
            session.closed()
            code = socket.close_code or _ABNORMAL_CLOSE
            self._sink.emit(Lane.UPSTREAM, name, Closed(connection.closed_by_us, code))
        return socket

    async def _converse(self, connection: _Connection, session: ServerSession) -> None:
        async for frame in connection.socket:
            if frame.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                continue
            self._sink.received(Lane.UPSTREAM, connection.name, frame.data)
            for command in session.receive(read_upstream(frame.data)):
                await self._carry_out(connection, command)

    async def _carry_out(self, connection: _Connection, command: Command) -> None:
        match command:
            case Send(raw, answers):
                self._sink.sent(Lane.UPSTREAM, connection.name, raw, answers)
                await connection.socket.send_bytes(raw)
            case Close(code, reason):
                connection.closed_by_us = True
                await connection.socket.close(code=code, message=reason.encode())

    def _tell_refused(self, connection: str, answer: HttpAnswer, session_key: str) -> None:
        # Anything else than a genuine token never came from a Console API.
        token = self._sink.secret("token", session_key) if read_token(session_key) else ""
        refused = Refused(answer.status, answer.body.strip(), token)
        self._sink.emit(Lane.UPSTREAM, connection, refused)


def _asked_expiry(body: bytes) -> int | None:
    try:
        return read_token_request(body).expire_at
    except RequestRefusedError:
        return None


def _response(answer: HttpAnswer) -> web.Response:
    return web.Response(status=answer.status, text=answer.body, content_type="application/json")
