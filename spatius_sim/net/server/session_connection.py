"""Serves one connection to our Motion Server: carries out what its session decides, and keeps its timers."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import WSMsgType, web

from spatius_sim.model.room.room_playback import LeaveRoom, RoomOutput, make_agent_rpc
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
from spatius_sim.model.server.send_responses import POLICY_VIOLATION, RESOURCE_EXHAUSTED
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.simulated_rooms import SimulatedRooms
from spatius_sim.net.egress_publisher import EgressPublisher, NewPublisher
from spatius_sim.net.reset_connection import reset_connection
from spatius_sim.net.server.ingress_socket import TOO_BIG, read_library_close, too_big_reason
from spatius_sim.protocol.close_codes import read_close_code
from spatius_sim.protocol.codec import MAX_AUDIO_MESSAGE_BYTES, MessageReader, encode
from spatius_sim.protocol.messages import Message, ServerError
from spatius_sim.trace.events import Closed, Joined, Lane, Published
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import Sink
from spatius_sim.trace.room_events import LeftRoom, PlaybackTold

MAX_UNREAD = 16 * 1_048_576
"""How many bytes a peer may leave unread before its session is ended. ASSUMED: some twenty minutes of motion,
more than the answer to the largest message of audio."""


_BINARY, _TEXT = WSMsgType.BINARY, WSMsgType.TEXT
_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
_UPSTREAM = Lane.UPSTREAM
_CLOSE_SECONDS = 5.0
_EMPTY_CLOSE_FRAME = b"\x88\x00"
_LONG_BINARY_FRAME = b"\x82\x7f"
"""The first two bytes of a binary frame whose length follows in 8 bytes (RFC 6455, 5.2)."""


@dataclass(slots=True)
class UpstreamConnection:
    """One relay's connection to our Motion Server, with the timers of its session. `session` decides what is
    done; `run` does it."""

    name: str
    request: web.Request
    socket: web.WebSocketResponse
    session: ServerSession
    sink: Sink
    rooms: SimulatedRooms
    most_unread: int = MAX_UNREAD
    make_publisher: NewPublisher | None = None
    on_simulated_room: Callable[[], None] = lambda: None
    closed_by_us: bool = False
    _closed_with: tuple[int, str] = (0, "")
    _read: Callable[[bytes], Message] = field(default_factory=lambda: MessageReader().read)
    _publisher: EgressPublisher | None = None
    _timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Receive frames from the relay, and carry out what the session decides about each, until the
        connection is gone. Then end the session."""
        transport = self.request.transport
        if transport is None:
            return
        # Below this mark no send waits until the peer reads: a slow peer delays nobody.
        transport.set_write_buffer_limits(high=2 * self.most_unread)
        try:
            await self._carry_out(self.session.handle_open())
            receive = self.socket.receive
            # `async for` would double the cost of receiving.
            while (kind := (frame := await receive()).type) is _BINARY or kind not in _ENDS:
                if kind is not _BINARY and kind is not _TEXT:
                    self._closed_with = read_library_close(frame)
                    self.closed_by_us |= self._closed_with[0] != 0
                elif len(frame.data) > MAX_AUDIO_MESSAGE_BYTES:
                    await self.close(TOO_BIG, too_big_reason())
                elif commands := self._receive_frame(frame.data):
                    await self._carry_out(commands)
        except ConnectionResetError:
            pass  # The peer left while we were sending: `close_event` reports an abnormal close.
        finally:
            self._end_session()
            if self._publisher is not None:
                await self._publisher.leave()

    def close_event(self) -> Closed:
        """Return the event that says by whom and how the session's connection was closed."""
        code, reason = self._closed_with
        return Closed(self.closed_by_us, code or read_close_code(self.socket.close_code), reason)

    def cut(self) -> None:
        """Abort the session's TCP connection, as a crashing server would."""
        self.closed_by_us = True
        if self.request.transport is not None:
            self.request.transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Close the connection of this session to its relay: send the code and the reason, and wait for the
        relay's answer. If it does not answer in time, cut the connection."""
        if not self.socket.closed:
            self.closed_by_us, self._closed_with = True, (code, reason)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()

    def _receive_frame(self, raw: str | bytes) -> list[ServerCommand]:
        """Record a frame that the relay sent, give it to the session, and return the commands with which the
        session reacts."""
        decoded = read_upstream(raw, self._read)
        self.sink.record_received(_UPSTREAM, self.name, raw)
        return self.session.receive(decoded, monotonic())

    async def _carry_out(self, commands: Iterable[ServerCommand]) -> None:
        """Carry out the commands of Motion Server's session on its connection, in their order. Stop when a
        send shows that the session is over."""
        for command in commands:
            match command:
                case Send(raw, answers):
                    session_is_over = await self._send_frame(raw, answers)
                    if session_is_over:
                        return
                case SendText(text):
                    self.sink.record_sent(_UPSTREAM, self.name, text)
                    await self.socket.send_str(text)
                case SetTimer(name, seconds):
                    self._set_timer(name, seconds)
                case Inject(fault):
                    self.sink.emit(Lane.KIT, self.name, fault)
                case Join(room, publisher):
                    await self._join_room(room, publisher)
                case PlayInRoom(room, outputs):
                    self._play_in_room(room, outputs)
                case Publish(room, raw, req_id):
                    value = read_upstream(raw)
                    self.rooms.count_message(room, req_id, value)
                    self.sink.emit(Lane.EGRESS, self.name, Published(room, raw, value))
                case Close(0, _):
                    self._close_without_code()
                case Close(code, reason):
                    await self.close(code, reason)
                case ResetConnection():
                    self.closed_by_us = True
                    reset_connection(self.request.transport)
                case SendTruncated(raw):
                    self._send_truncated(raw)

    async def _join_room(self, room: str, publisher: str) -> None:
        """Join the room of this session: a real LiveKit room if `make_publisher` can publish there, otherwise
        a simulated room. A real room's answer goes to the session, and the commands that the session then
        returns are carried out."""
        livekit = self.session.room.livekit if self.session.room is not None else None
        if self.make_publisher is None or livekit is None:
            self._record_joining(room, publisher)
            self.on_simulated_room()
            return
        self._publisher = self.make_publisher(livekit, self.session.audio_rate, self._handle_room_loss)
        fault = await self._publisher.join()
        if fault is None:
            self._record_joining(room, publisher)
        await self._carry_out(self.session.handle_room_answer(fault, monotonic()))

    def _record_joining(self, room: str, publisher: str) -> None:
        """Record that the egress of this session has joined its room."""
        self.rooms.join(room, publisher)
        self.sink.emit(Lane.EGRESS, self.name, Joined(room, publisher))

    def _play_in_room(self, room: str, outputs: Sequence[RoomOutput]) -> None:
        """Play these outputs in the session's room, simulated or real. Record each RPC that tells the agent
        of the playback, and record if the publisher leaves the room."""
        self.rooms.note_playback(room, outputs)
        publisher = self.session.room.publisher if self.session.room is not None else ""
        has_agent = self.session.room is not None and self.session.room.agent_id
        for rpc in map(make_agent_rpc, outputs):
            if rpc is not None and has_agent:
                self.sink.emit(Lane.EGRESS, self.name, PlaybackTold(publisher, *rpc))
        if any(isinstance(output, LeaveRoom) for output in outputs):
            self.rooms.leave(room, publisher)
            self.sink.emit(Lane.EGRESS, self.name, LeftRoom(room, publisher))
        if self._publisher is not None:
            self._publisher.play(outputs)

    def _handle_room_loss(self) -> None:
        """Start a task that carries out what the session decides now that its room is gone."""
        self._start_task(self._carry_out_or_cut(self.session.handle_room_loss(monotonic())))

    async def _send_frame(self, raw: bytes, answered_req_id: str) -> bool:
        """Send a frame to the relay, and return whether the session is over. `answered_req_id` is the request
        that the frame answers; "" if none.

        The session is over if the connection was closed before. It also ends if the relay leaves more than
        `most_unread` bytes unread: an error is sent, and the connection is closed."""
        if self.socket.closed:
            return True
        self.sink.record_sent(_UPSTREAM, self.name, raw, answered_req_id)
        await self.socket.send_bytes(raw)
        transport = self.request.transport
        if transport is None or transport.get_write_buffer_size() <= self.most_unread:
            return False
        reason = f"the peer left more than {self.most_unread} bytes unread"
        error = ServerError(self.session.connection_id, "", RESOURCE_EXHAUSTED, reason)
        self.sink.record_sent(_UPSTREAM, self.name, encode(error))
        await self.socket.send_bytes(encode(error))
        self.session.handle_close()
        await self.close(POLICY_VIOLATION, reason)
        return True

    def _close_without_code(self) -> None:
        """Send the relay a close frame that holds no code, and close the TCP connection without waiting for
        an answer."""
        self.closed_by_us = True
        transport = self.request.transport
        if transport is not None:
            transport.write(_EMPTY_CLOSE_FRAME)
            transport.close()

    def _send_truncated(self, payload: bytes) -> None:
        """Send only the first half of a WebSocket frame: its header announces the whole payload, but half of
        the payload is missing. Then close the TCP connection."""
        self.closed_by_us = True
        transport = self.request.transport
        if transport is not None:
            transport.write(_LONG_BINARY_FRAME + len(payload).to_bytes(8) + payload[: len(payload) // 2])
            transport.close()

    def _set_timer(self, name: str, seconds: float) -> None:
        """Start a timer of the session; cancel a running timer of the same name."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._handle_timer, name)

    def _handle_timer(self, name: str) -> None:
        """Start a task that carries out what the session decides now that its timer has run out."""
        del self._timers[name]
        self._start_task(self._carry_out_or_cut(self.session.handle_timer(name, monotonic())))

    def _start_task(self, coroutine: Coroutine[None, None, None]) -> None:
        """Start a task of the session's connection, and keep it until it is done."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out_or_cut(self, commands: Iterable[ServerCommand]) -> None:
        """Carry out these commands of the session. If the relay has left meanwhile, cut the connection."""
        try:
            await self._carry_out(commands)
        except ConnectionResetError:
            self.cut()

    def _end_session(self) -> None:
        """End the session of this connection: cancel its timers, tell the session that it is over, and let
        its publisher leave the simulated room."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.session.handle_close()
        if self.session.room is not None:
            self.rooms.leave(self.session.room.name, self.session.room.publisher)
