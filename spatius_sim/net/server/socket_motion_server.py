"""Serves our Motion Server on one port: Console API, bootstrap and ingress."""

import asyncio
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, web

from spatius_sim.model.scenario.faults_by_id import faults_of
from spatius_sim.model.scenario.scenario import NO_FAULTS, Moment, Refuse, Reset, Scenario, Stall
from spatius_sim.model.scenario.scenario_player import Admission, ScenarioPlayer
from spatius_sim.model.server.access_control import AccessControl, make_refusal
from spatius_sim.model.server.capabilities import CAPABILITIES
from spatius_sim.model.server.motion_answers import AnswerFactory, RequestMotion, SynthesizedAnswer
from spatius_sim.model.server.price_plan_limits import UNLIMITED, SessionPlan
from spatius_sim.model.server.response_pace import FAST, Pace
from spatius_sim.model.server.send_responses import Limits
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.session_tokens import read_token
from spatius_sim.model.server.simulated_rooms import SimulatedRooms
from spatius_sim.net.egress_publisher import NewPublisher
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.reset_connection import reset_connection
from spatius_sim.net.server.ingress_socket import ingress_socket, is_upgrade
from spatius_sim.net.server.load_opus_codec import find_opus_codec
from spatius_sim.net.server.one_port_server import OnePort, handle_expect_header, json_response, read_body
from spatius_sim.net.server.session_connection import MAX_UNREAD, UpstreamConnection
from spatius_sim.net.server.session_log import SessionLog, SessionRecord
from spatius_sim.net.server.slow_headers import HEADER_SECONDS
from spatius_sim.net.steady_clock import SteadyClock
from spatius_sim.protocol.console_api import (
    BOOTSTRAP_PATH,
    TOKEN_PATHS,
    WEBSOCKET_PATH,
    HttpAnswer,
    RequestRefusedError,
    answer_bootstrap,
    read_token_request,
    token_answer,
)
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.ids import NANOID_LENGTH, make_log_id
from spatius_sim.trace.events import LEFT_BEFORE_ANSWER, SERVER_DIES, Lane, Opened, Refused, TokenRequested
from spatius_sim.trace.recorder import NullSink, Sink

SIMULATED_ROOM = (
    "an egress goes to a simulated room: nobody will join the real one. LiveKit rooms: serve --livekit"
)

_LONGEST_STALL = 120.0
"""How many seconds a stalled request waits for nothing: longer than any SDK waits, but not for ever."""


class SocketMotionServer(OnePort):
    """`async with MotionServer(...) as server:` serves until the block ends.

    `port`: 0 takes a free port. `access`: who may connect. `new_answer`: how requests are answered (by
    default with motion synthesised from the audio and `seed`). `sink`: where events are recorded.
    `scenario`: what goes wrong. `pace`: how fast answers come. `limits` and `most_unread` (bytes): how much
    one session may hold. `header_seconds`: how long its headers may take. `host`: the address to listen at.
    `plan`: how many sessions an app may have at once, and how long each may be. `new_publisher`: who
    publishes in real LiveKit rooms; None if all rooms are simulated. `on_note` gets a line for each thing
    that the user should know. `capabilities`: what is declared beyond the public protocol
    (model/server/capabilities.py). `agora_certificate`: that of the app, which must have signed the token of
    each Agora egress ("": the signature is not looked at). Raises UsageError if the port cannot be used,
    or for an unknown capability.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        access: AccessControl | None = None,
        new_answer: AnswerFactory | None = None,
        sink: Sink | None = None,
        scenario: Scenario = NO_FAULTS,
        pace: Pace = FAST,
        limits: Limits | None = None,
        most_unread: int = MAX_UNREAD,
        header_seconds: float = HEADER_SECONDS,
        host: str = LOOPBACK,
        plan: SessionPlan = UNLIMITED,
        new_publisher: NewPublisher | None = None,
        on_note: Callable[[str], None] | None = None,
        capabilities: tuple[str, ...] = (),
        agora_certificate: str = "",
    ) -> None:
        """Prepare Motion Server on one port; `async with` begins to listen. The class explains the
        parameters. Raises UsageError for an unknown capability."""
        super().__init__(port, header_seconds, host)
        self.seed = seed
        self.new_answer: AnswerFactory = new_answer or self._synthesize_answer
        self.journal = SessionLog(sink or NullSink())
        self.rooms = SimulatedRooms()
        self.pace, self.plan = pace, plan
        for name in capabilities:
            if name not in CAPABILITIES:
                raise UsageError(f"no capability is named {name!r}: {suggest_names(name, CAPABILITIES)}")
        self._capabilities, self._agora_certificate = capabilities, agora_certificate
        self._access_control = access or AccessControl()
        self._clock = SteadyClock()
        self._limits = limits or Limits()
        self._most_unread = most_unread
        self._opus_codec = find_opus_codec()
        self._new_publisher = new_publisher
        self._on_note = on_note
        self._simulated_rooms_reported = False
        self._scenario_player = ScenarioPlayer(seed, scenario)
        self._first_scenario = scenario
        self._random = random.Random(seed)
        self._session_count = 0
        self._connection_by_name: dict[str, UpstreamConnection] = {}
        self._stop_requested = asyncio.Event()

    @property
    def scenario(self) -> Scenario:
        """The scenario that Motion Server plays for new connections and requests."""
        return self._scenario_player.scenario

    async def __aenter__(self) -> Self:
        """Let Motion Server listen on its port."""
        self._stop_requested = asyncio.Event()
        await self.listen()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop this Motion Server: stop listening, let requests that a scenario delays wait no longer, and
        close every connection."""
        self._stop_requested.set()
        self.stop_listening()
        await self.close_all("stopping")
        await self.stop()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the HTTP routes that this Motion Server answers: token requests, the WebSocket upgrade, and
        bootstrap (an SDK asks for its region and the time)."""
        for path in TOKEN_PATHS:
            router.add_post(path, self._answer_token_request, expect_handler=handle_expect_header)
        router.add_get(WEBSOCKET_PATH, self._answer_upgrade, expect_handler=handle_expect_header)
        router.add_route("POST", BOOTSTRAP_PATH, self._answer_bootstrap, expect_handler=handle_expect_header)
        router.add_route(
            "OPTIONS", BOOTSTRAP_PATH, self._answer_preflight, expect_handler=handle_expect_header
        )

    def die(self) -> None:
        """Record that Motion Server dies, and abort every open connection, as a crashing server would."""
        self.journal.emit(Lane.KIT, "", SERVER_DIES)
        for connection in list(self._connection_by_name.values()):
            connection.cut()

    async def close_all(self, reason: str) -> None:
        """Close all open connections of this Motion Server, with the close code 1001 (going away) and this
        reason."""
        connections = list(self._connection_by_name.values())
        closings = (connection.close(WSCloseCode.GOING_AWAY, reason) for connection in connections)
        await asyncio.gather(*closings)

    def play(self, scenario: Scenario, *, also_open: bool = False) -> None:
        """Play this scenario (a plan of faults) from its beginning. The next WebSocket connection and the
        next request count as the first ones of the scenario.

        If `also_open`, its faults also happen on the sockets that are open now, unless a fault names a
        connection. There, the faults that the app id and the avatar id ask for stay."""
        self._scenario_player.play(scenario)
        if also_open:
            for name, connection in self._connection_by_name.items():
                session_record = self.journal.open_sessions[name]
                app_and_avatar = session_record.app_id, session_record.avatar_id
                faults_by_ids = faults_of(*app_and_avatar)
                connection.session.replace_faults(
                    self._scenario_player.faults_of_open_connection(*app_and_avatar, faults_by_ids)
                )

    async def reset(self) -> None:
        """Bring this Motion Server back to the state in which it started; it goes on listening. Close the
        sockets of all sessions with the close code 1001, forget past sessions and rooms, and play the first
        scenario from its beginning."""
        await self.close_all("reset")
        self.journal.forget()
        self.rooms.clear()
        self.play(self._first_scenario)

    def _synthesize_answer(self, connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
        """Return an answer of Motion Server whose motion is synthesized from the audio of the request."""
        return SynthesizedAnswer(connection_id, req_id, sample_rate, self.seed)

    def _report_simulated_room(self) -> None:
        """Tell the user of this socket server, once, that it only simulates rooms. A session has asked for a
        room, and nobody will join the real one."""
        if self._on_note is not None and not self._simulated_rooms_reported:
            self._simulated_rooms_reported = True
            self._on_note(SIMULATED_ROOM)

    def _new_id(self) -> str:
        """Return a new id for Motion Server, made of the time and seeded random numbers."""
        return make_log_id(time.time(), self._random.randbytes(NANOID_LENGTH))

    async def _answer_token_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a relay that asks Motion Server for a session token, and record the request. The faults of
        the scenario come first; then the access control issues the token or refuses it."""
        api_key = request.headers.get("X-Api-Key", "")
        body = await read_body(request)
        asked_at = time.time()
        expire_at, app_id = _read_expiry_and_app_id(body)
        admission = self._scenario_player.admit_token_request(app_id)
        session_token = ""
        answer: HttpAnswer | None
        try:
            answer = await self._apply_scenario(request, admission, Moment.TOKEN, "")
            if answer is not None:
                session_token = self._access_control.issue_session_token(
                    api_key, body, asked_at, self._new_id(), self._clock.machine_ahead()
                )
                answer = token_answer(request.path, session_token)
        except RequestRefusedError as refusal:
            answer = refusal.answer
        event = TokenRequested(
            self.journal.secret_reference("key", api_key),
            expire_at,
            asked_at,
            answer.status if answer is not None else 0,  # 0: Motion Server gives no answer.
            self.journal.secret_reference("token", session_token),
        )
        self.journal.emit(Lane.CONSOLE, "", event)
        return _web_response(answer)

    async def _answer_upgrade(self, request: web.Request) -> web.StreamResponse:
        """Open a session of Motion Server for a WebSocket upgrade and serve it until it ends, or refuse the
        upgrade. Either is recorded."""
        headers, query = request.headers, request.query
        app_id = headers.get("X-App-ID", query.get("appId", ""))
        session_key = headers.get("X-Session-Key", query.get("sessionKey", ""))
        avatar_id = query.get("id", "")
        self._session_count += 1
        name = f"upstream-{self._session_count}"
        asked_for = faults_of(app_id, avatar_id)
        if self.plan is not UNLIMITED:
            sessions = sum(record.app_id == app_id for record in self.journal.open_sessions.values())
            asked_for = [*asked_for, *self.plan.make_faults(sessions)]
        faults = self._scenario_player.faults_of_new_connection(app_id, avatar_id, asked_for)
        try:
            answer = await self._apply_scenario(
                request, faults.admit_upgrade(), Moment.UPGRADE, name, avatar_id
            )
            if answer is not None:
                self._access_control.check_upgrade(app_id, session_key, avatar_id, self._clock.now())
        except RequestRefusedError as refused:
            answer = refused.answer
            self._record_refusal(name, answer, session_key)
            return _web_response(answer)
        if answer is None:
            self._record_refusal(name, HttpAnswer(0, "no answer"), session_key)
            return _web_response(None)
        if request.transport is None:
            self._record_refusal(name, HttpAnswer(0, LEFT_BEFORE_ANSWER), session_key)
            return _web_response(None)
        socket = ingress_socket()
        if not is_upgrade(request, socket):
            answer = HttpAnswer(426, '{"message":"a WebSocket upgrade is expected here"}\n')
            self._record_refusal(name, answer, session_key)
            return _web_response(answer)
        await socket.prepare(request)
        session = ServerSession(
            self._new_id(),
            self.new_answer,
            faults,
            self.pace,
            self._opus_codec,
            self._limits,
            unix_time=time.time(),
            real_rooms=self._new_publisher is not None,
            capabilities=self._capabilities,
            agora_certificate=self._agora_certificate,
        )
        record = SessionRecord(name, session.connection_id, app_id, avatar_id, time.time())
        self.journal.add_session(record)
        token = self.journal.secret_reference("token", session_key)
        self.journal.emit(Lane.UPSTREAM, name, Opened(token, app_id, avatar_id))
        connection = self._connection_by_name[name] = UpstreamConnection(
            name,
            request,
            socket,
            session,
            self.journal,
            self.rooms,
            self._most_unread,
            self._new_publisher,
            self._report_simulated_room,
        )
        try:
            await connection.run()
        finally:
            del self._connection_by_name[name]
            self.journal.end_session(name, connection.close_event())
        return socket

    async def _answer_bootstrap(self, request: web.Request) -> web.StreamResponse:
        """Answer a bootstrap request, with which an SDK asks for its region and the time. Web pages of any
        origin may read the answer."""
        answer = answer_bootstrap(await read_body(request), time.time())
        response = _web_response(answer)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def _answer_preflight(self, request: web.Request) -> web.StreamResponse:
        """Answer a browser that asks, by a CORS preflight, whether a page of another origin may use the
        bootstrap route (at which an SDK asks for its region and the time). It may, by POST."""
        headers = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
        }
        return web.Response(status=204, headers=headers)

    async def _apply_scenario(
        self, request: web.Request, admission: Admission, moment: Moment, connection: str, avatar_id: str = ""
    ) -> HttpAnswer | None:
        """Let the faults of the scenario happen to an HTTP request: record them, wait, and then refuse the
        request, stall it, or reset its connection. `admission` says which faults these are.

        Return an answer without a body if the request passes, and None if it gets no answer. Raises
        RequestRefusedError if the request is refused."""
        for fault in admission.faults:
            self.journal.emit(Lane.KIT, connection, fault)
        if admission.wait:
            await self._wait_unless_stopping(admission.wait)
        match admission.ending:
            case Refuse():
                raise make_refusal(admission.ending, moment, avatar_id)
            case Stall():
                await self._wait_unless_stopping(_LONGEST_STALL)
                reset_connection(request.transport)
                return None
            case Reset():
                reset_connection(request.transport)
                return None
            case _:
                return HttpAnswer(200, "")

    async def _wait_unless_stopping(self, seconds: float) -> None:
        """Wait this many seconds, but no longer than until this Motion Server stops."""
        try:
            await asyncio.wait_for(self._stop_requested.wait(), seconds)
        except TimeoutError:
            return

    def _record_refusal(self, session_name: str, answer: HttpAnswer, session_key: str) -> None:
        """Record that the request for a session was refused, and with which answer. The session key of the
        request is recorded as a token only if it is one of ours."""
        # Only a genuine token is recorded as a token: anything else did not come from a Console API.
        is_genuine = read_token(session_key)
        token_reference = self.journal.secret_reference("token", session_key) if is_genuine else ""
        refused = Refused(answer.status, answer.body.strip(), token_reference)
        self.journal.emit(Lane.UPSTREAM, session_name, refused)


def _read_expiry_and_app_id(body: bytes) -> tuple[int | None, str]:
    """Return two values from the body of a token request to Motion Server: the time at which the token shall
    expire (`expireAt`, unix seconds) and the app id. Return (None, "") if the body is not a token request."""
    try:
        token_request = read_token_request(body)
    except RequestRefusedError:
        return None, ""
    return token_request.expire_at, token_request.app_id


def _web_response(answer: HttpAnswer | None) -> web.Response:
    """Return the response of Motion Server for aiohttp to send. For None the connection is gone, and nobody
    reads the response."""
    return web.Response(status=503) if answer is None else json_response(answer)
