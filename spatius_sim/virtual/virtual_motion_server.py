"""Motion Server in virtual time: token requests, upgrades and sessions around the logic of ServerSession."""

import asyncio
import random
from collections.abc import Callable, Iterable

from spatius_sim.model.scenario.faults_by_id import faults_of
from spatius_sim.model.scenario.scenario import NO_FAULTS, Moment, Refuse, Reset, Scenario, Stall
from spatius_sim.model.scenario.scenario_player import Admission, ScenarioPlayer
from spatius_sim.model.server.access_control import AccessControl, make_refusal
from spatius_sim.model.server.commands import (
    Close,
    Inject,
    Join,
    PlayInRoom,
    Publish,
    ResetConnection,
    Send,
    SendText,
    SendTruncated,
    ServerCommand,
    SetTimer,
)
from spatius_sim.model.server.decode_audio_input import OpusCodec
from spatius_sim.model.server.motion_answers import AnswerFactory, RequestMotion, SynthesizedAnswer
from spatius_sim.model.server.price_plan_limits import UNLIMITED, SessionPlan
from spatius_sim.model.server.response_pace import FAST, Pace
from spatius_sim.model.server.send_responses import POLICY_VIOLATION, RESOURCE_EXHAUSTED
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.session_tokens import read_token
from spatius_sim.protocol.codec import MessageReader, encode
from spatius_sim.protocol.console_api import (
    SESSION_TOKENS_PATH,
    HttpAnswer,
    RequestRefusedError,
    read_token_request,
    token_answer,
)
from spatius_sim.protocol.ids import NANOID_LENGTH, make_log_id
from spatius_sim.protocol.messages import ServerError
from spatius_sim.trace.events import (
    LEFT_BEFORE_ANSWER,
    Closed,
    Lane,
    Opened,
    Published,
    Refused,
    TokenRequested,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import NullSink, Sink
from spatius_sim.virtual.memory_connection import IDEAL, Frame, Link, MemoryEnd, open_connection
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_room import VirtualRoom
from spatius_sim.virtual.virtual_server_sdk import NoAnswerError

MAX_UNREAD_BYTES = 16 * 1_048_576
"""Bytes that a peer may leave unread before its session is ended. ASSUMED, as over sockets."""

_LONGEST_STALL_SECONDS = 120.0
"""How many seconds a stalled request hangs."""


class VirtualMotionServer:
    """Our Motion Server in virtual time."""

    def __init__(
        self,
        loop: VirtualLoop,
        seed: int = 0,
        sink: Sink | None = None,
        access: AccessControl | None = None,
        new_answer: AnswerFactory | None = None,
        link: Link = IDEAL,
        room_class: type[VirtualRoom] = VirtualRoom,
        pace: Pace = FAST,
        opus: OpusCodec | None = None,
        plan: SessionPlan = UNLIMITED,
    ) -> None:
        """Make a Motion Server in virtual time that has no sessions yet. `seed` makes its ids and motion,
        `sink` records what happens, `access` decides who may connect, and `pace` is how fast it answers.

        `new_answer` makes the answer to a request; if it is None, the motion of the answer is made from the
        request's audio. `link` carries the frames of each session. `room_class` is the class of the rooms in
        which sessions with an egress play. `opus` decodes Ogg Opus; None: the server takes none. `plan` says
        how many sessions an app may have at once, and how long each may be."""
        self.loop, self.seed, self.link, self._pace = loop, seed, link, pace
        self._opus, self._plan = opus, plan
        self.sink: Sink = sink or NullSink()
        self.new_answer: AnswerFactory = new_answer or self._synthesize
        self.room_class = room_class
        self.rooms: list[VirtualRoom] = []
        self._access = access or AccessControl()
        self._scenario_player = ScenarioPlayer(seed, NO_FAULTS)
        self._random = random.Random(seed)
        self._connection_count = 0
        self._open_sessions: dict[str, _Session] = {}

    def play(self, scenario: Scenario, *, also_open: bool = False) -> None:
        """Let the virtual Motion Server play this scenario from its beginning, instead of the scenario
        before. If `also_open` is True, faults that name no connection also happen to sessions that are open
        now."""
        self._scenario_player.play(scenario)
        if also_open:
            for session in self._open_sessions.values():
                ids = session.app_id, session.avatar_id
                session.logic.replace_faults(
                    self._scenario_player.faults_of_open_connection(*ids, faults_of(*ids))
                )

    async def ask_for_token(self, api_key: str, body: bytes) -> HttpAnswer:
        """Answer a token request, as the scenario (which may inject faults) and the access control decide,
        and record the request. Raises NoAnswerError if the scenario lets the request go without an answer."""
        now = self.loop.unix_time()
        try:
            token_request = read_token_request(body)
            expire_at, app_id = token_request.expire_at, token_request.app_id
        except RequestRefusedError:
            expire_at, app_id = None, ""
        admission = self._scenario_player.admit_token_request(app_id)
        token, answer = "", None
        try:
            if await self._is_answered_after_faults(admission, Moment.TOKEN, ""):
                token = self._access.issue_session_token(api_key, body, now, self._make_log_id())
                answer = token_answer(SESSION_TOKENS_PATH, token)
        except RequestRefusedError as refused:
            answer = refused.answer
        status = answer.status if answer is not None else 0
        key_reference = self.sink.secret_reference("key", api_key)
        token_reference = self.sink.secret_reference("token", token)
        token_requested = TokenRequested(key_reference, expire_at, now, status, token_reference)
        self.sink.emit(Lane.CONSOLE, "", token_requested)
        if answer is None:
            raise NoAnswerError
        return answer

    async def upgrade(
        self, app_id: str, session_key: str, avatar_id: str, *, in_query: bool = False
    ) -> MemoryEnd:
        """Open a session with the virtual Motion Server (over sockets, by a WebSocket upgrade), and return
        the client's end of its connection. `session_key` is the session token; it makes no difference whether
        it came `in_query`. Raises RequestRefusedError if the scenario or the access control refuses the
        upgrade, and NoAnswerError if it gets no answer."""
        self._connection_count += 1
        connection = f"upstream-{self._connection_count}"
        session_count = sum(session.app_id == app_id for session in self._open_sessions.values())
        asked_for = [*faults_of(app_id, avatar_id), *self._plan.make_faults(session_count)]
        faults = self._scenario_player.faults_of_new_connection(app_id, avatar_id, asked_for)
        try:
            is_answered = await self._is_answered_after_faults(
                faults.admit_upgrade(), Moment.UPGRADE, connection, avatar_id
            )
            if is_answered:
                self._access.check_upgrade(app_id, session_key, avatar_id, self.loop.unix_time())
        except RequestRefusedError as refused:
            self._record_refusal(connection, refused.answer, session_key)
            raise
        except asyncio.CancelledError:
            self._record_refusal(connection, HttpAnswer(0, LEFT_BEFORE_ANSWER), session_key)
            raise
        if not is_answered:
            self._record_refusal(connection, HttpAnswer(0, "no answer"), session_key)
            raise NoAnswerError
        logic = ServerSession(self._make_log_id(), self.new_answer, faults, self._pace, self._opus)
        logic.real_rooms = self.room_class.answers
        token = self.sink.secret_reference("token", session_key)
        self.sink.emit(Lane.UPSTREAM, connection, Opened(token, app_id, avatar_id))
        server_end, client_end = open_connection(self.link)
        self._open_sessions[connection] = _Session(
            self, connection, app_id, avatar_id, server_end, logic, self._open_sessions.pop
        )
        return client_end

    def _synthesize(self, connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
        """Make the answer of the virtual Motion Server to a request: its motion is synthesized from the audio
        of the request, at `sample_rate` Hz."""
        return SynthesizedAnswer(connection_id, req_id, sample_rate, self.seed)

    def _make_log_id(self) -> str:
        """Make a new log id from the virtual time and seeded random numbers."""
        return make_log_id(self.loop.unix_time(), self._random.randbytes(NANOID_LENGTH))

    async def _is_answered_after_faults(
        self, admission: Admission, moment: Moment, connection: str, avatar_id: str = ""
    ) -> bool:
        """Let the faults of the scenario happen to a request that came to the virtual Motion Server: record
        them, and wait in virtual time if the request is to be delayed or stalled. Return whether the virtual
        Motion Server answers the request. Raises RequestRefusedError if the scenario refuses it.

        `admission` holds the faults, the delay in seconds, and how the request ends. `moment` says which kind
        of request it is: for a token, or for an upgrade."""
        for fault in admission.faults:
            self.sink.emit(Lane.KIT, connection, fault)
        if admission.wait:
            await asyncio.sleep(admission.wait)
        match admission.ending:
            case Refuse():
                raise make_refusal(admission.ending, moment, avatar_id)
            case Stall():
                await asyncio.sleep(_LONGEST_STALL_SECONDS)
                return False
            case Reset():
                return False
            case _:
                return True

    def _record_refusal(self, connection: str, answer: HttpAnswer, session_key: str) -> None:
        """Record that the virtual Motion Server refused an upgrade on this connection, and with which
        `answer` (status 0: no answer). `session_key` is the token that the client sent."""
        # Only a genuine token can have come from a Console API, so only a genuine one gets a reference.
        token = self.sink.secret_reference("token", session_key) if read_token(session_key) else ""
        self.sink.emit(Lane.UPSTREAM, connection, Refused(answer.status, answer.body.strip(), token))


class _Session:
    """One session with the virtual Motion Server: passes frames and timers on to its logic (a ServerSession),
    and carries out the logic's commands."""

    def __init__(
        self,
        server: VirtualMotionServer,
        connection: str,
        app_id: str,
        avatar_id: str,
        end: MemoryEnd,
        logic: ServerSession,
        forget_session: Callable[[str], object],
    ) -> None:
        """Begin a session of the virtual Motion Server on this connection (its name in the trace). `end` is
        the server's end of the connection. `logic` decides, without any input or output, what the session
        does. `forget_session(connection)` is called when the session is over."""
        self.app_id, self.avatar_id, self.logic = app_id, avatar_id, logic
        self._server, self._loop, self._sink = server, server.loop, server.sink
        self._connection, self._end, self._forget_session = connection, end, forget_session
        self._decode_message = MessageReader().read
        self._closed_by_server = False
        self._close_reason = ""
        self._timer_by_name: dict[str, asyncio.TimerHandle] = {}
        self._room: VirtualRoom | None = None
        end.on_frame, end.on_end = self._receive_frame, self._end_session
        self._carry_out(logic.handle_open())

    def _receive_frame(self, raw: Frame) -> None:
        """Record a frame that came to the virtual Motion Server, and carry out the commands with which the
        session's logic responds."""
        self._loop.note_activity("Motion Server")
        value = read_upstream(raw, self._decode_message)
        self._sink.record_received(Lane.UPSTREAM, self._connection, raw)
        commands = self.logic.receive(value, self._loop.time())
        if commands:
            self._carry_out(commands)

    def _carry_out(self, commands: Iterable[ServerCommand]) -> None:
        """Carry out the commands of the session's logic in their order. If a frame cannot be sent because the
        session is over, drop the commands that remain."""
        for command in commands:
            match command:
                case Send(raw, answered_req_id):
                    if not self._send_frame(raw, answered_req_id):
                        return
                case SendText(text):
                    self._sink.record_sent(Lane.UPSTREAM, self._connection, text)
                    self._end.send(text)
                case SetTimer(name, seconds):
                    self._set_timer(name, seconds)
                case Inject(fault):
                    self._sink.emit(Lane.KIT, self._connection, fault)
                case Join(room, publisher):
                    self._room = self._server.room_class(
                        self._loop, self._sink, self._connection, room, publisher, self.logic
                    )
                    self._server.rooms.append(self._room)
                    self._join_room(self._room)
                case PlayInRoom(_, outputs):
                    if self._room is not None:
                        self._room.play(outputs)
                case Publish(room, raw, _):
                    value = read_upstream(raw)
                    self._sink.emit(Lane.EGRESS, self._connection, Published(room, raw, value))
                case Close(code, reason):
                    self._close_session(code, reason)
                case ResetConnection():
                    self._closed_by_server = True
                    self._end.reset()
                case SendTruncated():
                    self._closed_by_server = True
                    self._end.break_off()

    def _join_room(self, room: VirtualRoom) -> None:
        """Let the publisher join the room, unless the room refuses it. If the room answers, tell its answer
        to the session's logic, and carry out the commands with which the logic responds."""
        refusal = room.refusal()
        if refusal is None:
            room.join()
        if room.answers:
            self._carry_out(self.logic.handle_room_answer(refusal, self._loop.time()))

    def _send_frame(self, raw: bytes, answered_req_id: str) -> bool:
        """Send a frame to the peer of this session, and return True. `answered_req_id` is the id of the
        request that the frame answers. Return False if the session is over: the connection is closed, or the
        peer left too many bytes unread, and the session closes it for that reason."""
        if not self._end.open:
            return False
        self._sink.record_sent(Lane.UPSTREAM, self._connection, raw, answered_req_id)
        self._end.send(raw)
        if self._end.unsent_byte_count <= MAX_UNREAD_BYTES:
            return True
        reason = f"the peer left more than {MAX_UNREAD_BYTES} bytes unread"
        error = encode(ServerError(self.logic.connection_id, "", RESOURCE_EXHAUSTED, reason))
        self._sink.record_sent(Lane.UPSTREAM, self._connection, error)
        self._end.send(error)
        self.logic.handle_close()
        self._close_session(POLICY_VIOLATION, reason)
        return False

    def _close_session(self, code: int, reason: str) -> None:
        """Close the session's connection with this close code and reason. If it was open, note that the
        virtual Motion Server closed it, for the record."""
        if self._end.open:
            self._closed_by_server, self._close_reason = True, reason
        self._end.close(code, reason)

    def _set_timer(self, name: str, seconds: float) -> None:
        """Start a timer of this session, `seconds` of virtual time long. If a timer of the same name is
        running, cancel it."""
        if name in self._timer_by_name:
            self._timer_by_name[name].cancel()
        self._timer_by_name[name] = self._loop.call_later(seconds, self._handle_timer, name)

    def _handle_timer(self, name: str) -> None:
        """Carry out the commands with which the session's logic responds to the end of this timer."""
        self._loop.note_activity("Motion Server")
        del self._timer_by_name[name]
        self._carry_out(self.logic.handle_timer(name, self._loop.time()))

    def _end_session(self, code: int, reason: str) -> None:
        """End the session, because its connection is over: cancel its timers, let its egress (what publishes
        into a room) leave the room, and record the close. `code` is the close code. `reason` is the peer's,
        and is not recorded."""
        for timer in self._timer_by_name.values():
            timer.cancel()
        self._timer_by_name.clear()
        if self._room is not None:
            self._room.leave()
        self.logic.handle_close()
        self._forget_session(self._connection)
        kit_reason = self._close_reason if self._closed_by_server else ""
        self._sink.emit(Lane.UPSTREAM, self._connection, Closed(self._closed_by_server, code, kit_reason))
