"""Serves, on one port of 127.0.0.1, a Motion Server that gives the answers of a tape."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, WSMsgType, web

from spatius_sim.model.server.access_control import AccessControl
from spatius_sim.model.server.match_taped_turns import Match, Matcher, Mismatch, RecordedRun, TapedTurn
from spatius_sim.net.server.ingress_socket import (
    TOO_BIG,
    ingress_socket,
    is_too_big,
    is_upgrade,
    read_library_close,
    too_big_reason,
)
from spatius_sim.net.server.one_port_server import OnePort, handle_expect_header, json_response, read_body
from spatius_sim.net.steady_clock import SteadyClock
from spatius_sim.protocol.close_codes import UNSENDABLE_CODES, read_close_code
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import (
    TOKEN_PATHS,
    WEBSOCKET_PATH,
    HttpAnswer,
    RequestRefusedError,
    read_token_request,
    token_answer,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.ids import NANOID_LENGTH, make_log_id
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, ServerError
from spatius_sim.protocol.replace_ids import replace_ids
from spatius_sim.trace.events import Closed, Lane, Opened, Refused, TokenRequested
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import NullSink, Sink

_NS_PER_SECOND = 1e9


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a tape is replayed.

    `match`: how the turn that answers a request is chosen. `speed`: 1 is the recorded pace, 2 is twice as
    fast, and 0 answers at once when the audio of a request has ended. `original_ids`: whether the recorded
    ids are kept; otherwise new ids replace them everywhere."""

    match: Match = Match.ORDER
    speed: float = 1.0
    original_ids: bool = False


class ReplayServer(OnePort):
    """`async with ReplayServer(...) as server:` serves until the block ends; `port` 0 takes a free port.

    If the tape has no answer to a request, the server answers with a ServerError, calls `on_mismatch`, and
    adds the reason to `mismatches`. Raises UsageError if the port cannot be used, or if audio must be matched
    and the tape holds none.
    """

    def __init__(
        self,
        recorded_run: RecordedRun,
        options: ReplayOptions,
        *,
        port: int = 0,
        seed: int = 0,
        sink: Sink | None = None,
        on_mismatch: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare a server that replays the recorded answers of `recorded_run`; `async with` begins to
        listen. `options` say how they are replayed. `on_mismatch` is called with a line for each request that
        the tape cannot answer.

        Raises UsageError if requests shall be matched by their audio, but the tape holds none."""
        if options.match is Match.AUDIO and not recorded_run.has_speech:
            raise UsageError("the tape holds no speech: it can be replayed in turn order only")
        super().__init__(port)
        self.mismatches: list[str] = []
        self._recorded_run = recorded_run
        self._access_control = AccessControl()
        self._clock = SteadyClock()
        self._random = random.Random(seed)
        self._sink: Sink = sink or NullSink()
        matcher = Matcher(recorded_run.turns)
        self._context = _ReplayContext(options, matcher, self._sink, self._report_mismatch)
        self._on_mismatch = on_mismatch
        self._upgrade_count = 0
        self._sockets: set[web.WebSocketResponse] = set()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of the replay server: token request and WebSocket upgrade."""
        for path in TOKEN_PATHS:
            router.add_post(path, self._answer_token_request, expect_handler=handle_expect_header)
        router.add_get(WEBSOCKET_PATH, self._answer_upgrade, expect_handler=handle_expect_header)

    async def __aenter__(self) -> Self:
        """Let the replay server listen on its port."""
        await self.listen()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, close every WebSocket of a relay to the replay server, and then end all other
        connections that are still open."""
        self.stop_listening()
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"stopping")
        await self.stop()

    async def _answer_token_request(self, request: web.Request) -> web.Response:
        """Answer a relay that asks the replay server for a session token. The answer is a new token, or a
        refusal if the access control refuses the request. Record the request and the answer."""
        api_key, body, asked_at = request.headers.get("X-Api-Key", ""), await read_body(request), time.time()
        session_token, expire_at = "", None
        try:
            expire_at = read_token_request(body).expire_at
            session_token = self._access_control.issue_session_token(
                api_key, body, asked_at, self._new_id(), self._clock.machine_ahead()
            )
            answer = token_answer(request.path, session_token)
        except RequestRefusedError as refusal:
            answer = refusal.answer
        key_reference = self._sink.secret_reference("key", api_key)
        token_reference = self._sink.secret_reference("token", session_token)
        event = TokenRequested(key_reference, expire_at, asked_at, answer.status, token_reference)
        self._sink.emit(Lane.CONSOLE, "", event)
        return json_response(answer)

    async def _answer_upgrade(self, request: web.Request) -> web.StreamResponse:
        """Replay a session to a relay until it ends, or refuse the upgrade if the tape or the access control
        refuses it. Either is recorded."""
        app_id = request.headers.get("X-App-ID", request.query.get("appId", ""))
        session_key = request.headers.get("X-Session-Key", request.query.get("sessionKey", ""))
        # What the tape holds for this upgrade: a refusal, a connection id, or nothing.
        on_tape = next(
            iter(self._recorded_run.connections[self._upgrade_count : self._upgrade_count + 1]), None
        )
        self._upgrade_count += 1
        name = f"upstream-{self._upgrade_count}"
        socket = ingress_socket()
        answer = None
        if isinstance(on_tape, Refused):
            answer = HttpAnswer(on_tape.status, on_tape.reason + "\n")
        elif not is_upgrade(request, socket):
            answer = HttpAnswer(426, '{"message":"a WebSocket upgrade is expected here"}\n')
        else:
            try:
                self._access_control.check_upgrade(
                    app_id, session_key, request.query.get("id", ""), self._clock.now()
                )
            except RequestRefusedError as refused:
                answer = refused.answer
        if answer is not None:
            self._sink.emit(Lane.UPSTREAM, name, Refused(answer.status, answer.body.strip()))
            return json_response(answer)
        await socket.prepare(request)
        token = self._sink.secret_reference("token", session_key)
        self._sink.emit(Lane.UPSTREAM, name, Opened(token, app_id, request.query.get("id", "")))
        original_id = on_tape if isinstance(on_tape, str) and self._context.options.original_ids else ""
        session = _ReplaySession(self._context, name, socket, request, original_id or self._new_id())
        self._sockets.add(socket)
        try:
            await session.run()
        finally:
            self._sockets.discard(socket)
            code, reason = session.closed_with
            closed = Closed(session.closed_by_us, code or read_close_code(socket.close_code), reason)
            self._sink.emit(Lane.UPSTREAM, name, closed)
        return socket

    def _new_id(self) -> str:
        """Return a new id for the replay server, made of the time and seeded random numbers."""
        return make_log_id(time.time(), self._random.randbytes(NANOID_LENGTH))

    def _report_mismatch(self, mismatch: Mismatch) -> None:
        """Keep the reason why the tape has no answer to a request, and report it to `on_mismatch`."""
        self.mismatches.append(mismatch.reason)
        if self._on_mismatch is not None:
            self._on_mismatch(mismatch.reason)


@dataclass(frozen=True, slots=True)
class _ReplayContext:
    """What all sessions of one replay have in common. `on_mismatch` is called for each request of a relay
    that the tape cannot answer."""

    options: ReplayOptions
    matcher: Matcher
    sink: Sink
    on_mismatch: Callable[[Mismatch], None]


@dataclass(slots=True)
class _AudioRequest:
    """A request to the replay server while its audio comes: the audio so far, and when it began and ended
    (monotonic seconds)."""

    first_at: float
    audio: bytearray = field(default_factory=bytearray)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0


class _ReplaySession:
    """One connection of a relay to the replay server, and the tasks that still send recorded answers on
    it."""

    def __init__(
        self,
        context: _ReplayContext,
        name: str,
        socket: web.WebSocketResponse,
        request: web.Request,
        connection_id: str,
    ) -> None:
        """Begin a session of the replay server with one relay. `name` names the session in the trace;
        `connection_id` is sent to the relay.

        `closed_with` is the code and the reason with which our side closed the connection; (0, "") until
        then."""
        self._context, self._name, self._socket, self._request = context, name, socket, request
        self._connection_id = connection_id
        self._sample_rate = 0
        self._audio_requests: dict[str, _AudioRequest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed_by_us = False
        self.closed_with = (0, "")

    async def run(self) -> None:
        """Serve one session until its connection is closed: receive what the relay sends, and answer it from
        the tape. In the end, stop the tasks that still send answers."""
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                    self.closed_with = read_library_close(message)
                    self.closed_by_us |= self.closed_with[0] != 0
                    continue
                if is_too_big(message.data):
                    await self._close(TOO_BIG, too_big_reason())
                    continue
                self._context.sink.record_received(Lane.UPSTREAM, self._name, message.data)
                match read_upstream(message.data):
                    case ConfigureSession(sample_rate=sample_rate):
                        self._sample_rate = sample_rate
                        await self._send(encode(ConfirmSession(self._connection_id)))
                    case AudioInput() as audio_input:
                        self._add_audio(audio_input)
        except ConnectionResetError:
            pass  # The peer left while we were sending: recorded as an abnormal close.
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add_audio(self, audio_input: AudioInput) -> None:
        """Add a piece of audio to the request that it belongs to. With the first piece, start the task that
        sends the recorded answer. With the last piece, note that all audio has come."""
        audio_request = self._audio_requests.get(audio_input.req_id)
        if audio_request is None:
            audio_request = self._audio_requests[audio_input.req_id] = _AudioRequest(time.monotonic())
            matcher, match = self._context.matcher, self._context.options.match
            turn = matcher.take_next_turn(self._sample_rate) if match is Match.ORDER else None
            answer_task = asyncio.create_task(self._send_answer(audio_input.req_id, audio_request, turn))
            self._tasks.add(answer_task)
            answer_task.add_done_callback(self._tasks.discard)
        audio_request.audio += audio_input.audio
        if audio_input.end:
            audio_request.ended_at = time.monotonic()
            audio_request.ended.set()

    async def _send_answer(
        self, req_id: str, audio_request: _AudioRequest, turn: TapedTurn | Mismatch | None
    ) -> None:
        """Send the recorded answers of a turn of the tape to a request, at the pace of the replay. Send a
        ServerError if the tape holds no such turn.

        If `turn` is None, wait for all audio of the request, and choose the turn by the audio."""
        options = self._context.options
        if turn is None:
            await audio_request.ended.wait()
            turn = self._context.matcher.take_turn_with_audio(bytes(audio_request.audio), self._sample_rate)
        if isinstance(turn, Mismatch):
            self._context.on_mismatch(turn)
            error = ServerError(self._connection_id, req_id, 0, f"the tape does not hold this: {turn.reason}")
            await self._send(encode(error), req_id)
            return
        for reply in turn.replies:
            if reply.after_end or not options.speed:
                await audio_request.ended.wait()
            counted_from = audio_request.ended_at if reply.after_end else audio_request.first_at
            if options.speed:
                due = counted_from + reply.delay_ns / _NS_PER_SECOND / options.speed
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not reply.raw:  # The recorded server closed the connection here.
                transport = self._request.transport
                if reply.close_code in UNSENDABLE_CODES and transport is not None:
                    self.closed_by_us = True
                    transport.abort()
                    return
                await self._close(reply.close_code)
                return
            raw = reply.raw if options.original_ids else replace_ids(reply.raw, self._connection_id, req_id)
            await self._send(raw, req_id)

    async def _close(self, code: int, reason: str = "") -> None:
        """Close the relay's connection, and note that the replay server closed it."""
        self.closed_by_us, self.closed_with = True, (code, reason)
        await self._socket.close(code=code, message=reason.encode())

    async def _send(self, raw: bytes, answers: str = "") -> None:
        """Record a replayed frame, and send it. `answers` is the id of the request that the frame answers."""
        self._context.sink.record_sent(Lane.UPSTREAM, self._name, raw, answers)
        await self._socket.send_bytes(raw)
