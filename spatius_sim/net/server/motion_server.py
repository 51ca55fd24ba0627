"""Motion Server on one port of 127.0.0.1: Console API, bootstrap and ingress around the pure brain."""

import asyncio
import random
import time
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, web

from spatius_sim.model.scenario.meaningful_ids import faults_of
from spatius_sim.model.scenario.player import Admission, ScenarioPlayer
from spatius_sim.model.scenario.scenario import NO_FAULTS, Moment, Refuse, Reset, Scenario, Stall
from spatius_sim.model.server.answers import AnswerFactory, RequestMotion, SynthesizedAnswer
from spatius_sim.model.server.gate import Gate, refusal
from spatius_sim.model.server.pace import FAST, Pace
from spatius_sim.model.server.rooms import Rooms
from spatius_sim.model.server.session import Limits, ServerSession
from spatius_sim.model.server.session_tokens import read_token
from spatius_sim.net.server.connection import MOST_UNREAD, UpstreamConnection, reset
from spatius_sim.net.server.ingress_socket import ingress_socket
from spatius_sim.net.server.one_port import OnePort, body_of, response
from spatius_sim.net.server.opus import installed_codec
from spatius_sim.net.server.session_log import SessionLog, SessionRecord
from spatius_sim.net.server.slow_headers import HEADER_SECONDS
from spatius_sim.protocol.console import (
    BOOTSTRAP_PATH,
    TOKEN_DOORS,
    WEBSOCKET_PATH,
    HttpAnswer,
    RequestRefusedError,
    answer_bootstrap,
    read_token_request,
    token_answer,
)
from spatius_sim.protocol.ids import NANOID_LENGTH, log_id
from spatius_sim.trace.events import Injected, Lane, Opened, Refused, TokenRequested
from spatius_sim.trace.recorder import NullSink, Sink

_LONGEST_STALL = 120.0
"""Seconds: longer than any SDK waits, and not for ever."""


class MotionServerShell(OnePort):
    """`async with MotionServer(...) as server:` serves until the block ends.

    `port` 0 takes a free one. `gate` says who may come in, `new_answer` how requests are answered (motion
    synthesised from the audio and `seed` unless told otherwise). What happens is told to `sink`.
    `scenario` says what goes wrong, `pace` how fast answers come. `limits` and `most_unread` (bytes) bound
    what one session holds, `header_seconds` what its headers may take. Raises UsageError where the port
    cannot be had.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        gate: Gate | None = None,
        new_answer: AnswerFactory | None = None,
        sink: Sink | None = None,
        scenario: Scenario = NO_FAULTS,
        pace: Pace = FAST,
        limits: Limits | None = None,
        most_unread: int = MOST_UNREAD,
        header_seconds: float = HEADER_SECONDS,
    ) -> None:
        super().__init__(port, header_seconds)
        self.seed = seed
        self.new_answer: AnswerFactory = new_answer or self._synthesize
        self.journal = SessionLog(sink or NullSink())
        self.rooms = Rooms()
        self.pace = pace
        self._gate = gate or Gate()
        self._limits = limits or Limits()
        self._most_unread = most_unread
        self._opus = installed_codec()
        self._director = ScenarioPlayer(seed, scenario)
        self._first_scenario = scenario
        self._dice = random.Random(seed)
        self._connections = 0
        self._open: dict[str, UpstreamConnection] = {}
        self._stopping = asyncio.Event()

    @property
    def scenario(self) -> Scenario:
        """What goes wrong for those who come from now on."""
        return self._director.scenario

    async def __aenter__(self) -> Self:
        self._stopping = asyncio.Event()
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.stop_listening()
        await self.close_all("stopping")
        await self.stop()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The protocol's own."""
        for door in TOKEN_DOORS:
            router.add_post(door, self._token_requested)
        router.add_get(WEBSOCKET_PATH, self._upgrade_requested)
        router.add_route("POST", BOOTSTRAP_PATH, self._bootstrap_requested)
        router.add_route("OPTIONS", BOOTSTRAP_PATH, self._bootstrap_preflight)

    def die(self) -> None:
        """Cut every open connection off, as a crashing server would."""
        self.journal.emit(Lane.KIT, "", Injected("Motion Server dies"))
        for connection in list(self._open.values()):
            connection.cut()

    async def close_all(self, reason: str) -> None:
        """Close every open connection with 1001."""
        closing = (c.close(WSCloseCode.GOING_AWAY, reason) for c in list(self._open.values()))
        await asyncio.gather(*closing)

    def play(self, scenario: Scenario, *, also_open: bool = False) -> None:
        """This goes wrong for those who come from now on; the next connection is the first, and the next
        request. With `also_open`, connections that are open meet what names no connection, too."""
        self._director.play(scenario)
        if also_open:
            for name, connection in self._open.items():
                record = self.journal.open[name]
                ids = record.app_id, record.avatar_id
                connection.session.meet(self._director.was_connected(*ids, faults_of(*ids)))

    async def reset(self) -> None:
        """As after the start: open sessions are closed with 1001, past ones and rooms forgotten, and the
        first scenario is played from its beginning."""
        await self.close_all("reset")
        self.journal.forget()
        self.rooms.clear()
        self.play(self._first_scenario)

    def _synthesize(self, connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
        return SynthesizedAnswer(connection_id, req_id, sample_rate, self.seed)

    def _new_id(self) -> str:
        return log_id(time.time(), self._dice.randbytes(NANOID_LENGTH))

    async def _token_requested(self, request: web.Request) -> web.StreamResponse:
        key = request.headers.get("X-Api-Key", "")
        body = await body_of(request)
        now = time.time()
        asked = _asked(body)
        entrance = self._director.token_requested(asked[1])
        token = ""
        answer: HttpAnswer | None
        try:
            answer = await self._meet(request, entrance, Moment.TOKEN, "")
            if answer is not None:
                token = self._gate.issue(key, body, now, self._new_id())
                answer = token_answer(request.path, token)
        except RequestRefusedError as refused:
            answer = refused.answer
        what = TokenRequested(
            self.journal.secret("key", key),
            asked[0],
            now,
            answer.status if answer is not None else 0,
            self.journal.secret("token", token),
        )
        self.journal.emit(Lane.CONSOLE, "", what)
        return _response(answer)

    async def _upgrade_requested(self, request: web.Request) -> web.StreamResponse:
        headers, query = request.headers, request.query
        app_id = headers.get("X-App-ID", query.get("appId", ""))
        session_key = headers.get("X-Session-Key", query.get("sessionKey", ""))
        avatar_id = query.get("id", "")
        self._connections += 1
        name = f"upstream-{self._connections}"
        faults = self._director.connected(app_id, avatar_id, faults_of(app_id, avatar_id))
        try:
            answer = await self._meet(request, faults.entrance(), Moment.UPGRADE, name, avatar_id)
            if answer is not None:
                self._gate.admit(app_id, session_key, avatar_id, time.time())
        except RequestRefusedError as refused:
            answer = refused.answer
            self._tell_refused(name, answer, session_key)
            return _response(answer)
        if answer is None:
            self._tell_refused(name, HttpAnswer(0, "no answer"), session_key)
            return _response(None)
        socket = ingress_socket()
        if not socket.can_prepare(request):
            answer = HttpAnswer(426, '{"message":"a WebSocket upgrade is expected here"}\n')
            self._tell_refused(name, answer, session_key)
            return _response(answer)
        await socket.prepare(request)
        session = ServerSession(self._new_id(), self.new_answer, faults, self.pace, self._opus, self._limits)
        record = SessionRecord(name, session.connection_id, app_id, avatar_id, time.time())
        self.journal.opened(record)
        token = self.journal.secret("token", session_key)
        self.journal.emit(Lane.UPSTREAM, name, Opened(token, app_id, avatar_id))
        connection = self._open[name] = UpstreamConnection(
            name, request, socket, session, self.journal, self.rooms, self._most_unread
        )
        try:
            await connection.run()
        finally:
            del self._open[name]
            self.journal.closed(name, connection.how_closed())
        return socket

    async def _bootstrap_requested(self, request: web.Request) -> web.StreamResponse:
        answer = answer_bootstrap(await body_of(request), time.time())
        response = _response(answer)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def _bootstrap_preflight(self, request: web.Request) -> web.StreamResponse:
        allowed = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
        }
        return web.Response(status=204, headers=allowed)

    async def _meet(
        self, request: web.Request, entrance: Admission, moment: Moment, connection: str, avatar_id: str = ""
    ) -> HttpAnswer | None:
        """An answer that is still to be filled in where the request passes, None where it got no answer.

        Raises RequestRefusedError where the scenario refuses it.
        """
        for fault in entrance.faults:
            self.journal.emit(Lane.KIT, connection, Injected(fault))
        if entrance.wait:
            await self._stopped_within(entrance.wait)
        match entrance.ending:
            case Refuse():
                raise refusal(entrance.ending, moment, avatar_id)
            case Stall():
                await self._stopped_within(_LONGEST_STALL)
                reset(request.transport)
                return None
            case Reset():
                reset(request.transport)
                return None
            case _:
                return HttpAnswer(200, "")

    async def _stopped_within(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _tell_refused(self, connection: str, answer: HttpAnswer, session_key: str) -> None:
        # Anything else than a genuine token never came from a Console API.
        token = self.journal.secret("token", session_key) if read_token(session_key) else ""
        refused = Refused(answer.status, answer.body.strip(), token)
        self.journal.emit(Lane.UPSTREAM, connection, refused)


def _asked(body: bytes) -> tuple[int | None, str]:
    try:
        asked = read_token_request(body)
    except RequestRefusedError:
        return None, ""
    return asked.expire_at, asked.app_id


def _response(answer: HttpAnswer | None) -> web.Response:
    """The answer; where there is none, the connection is gone and nobody reads this one."""
    return web.Response(status=503) if answer is None else response(answer)
