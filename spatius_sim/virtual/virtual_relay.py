"""A relay in virtual time: any wire below, Motion Server above, and the relay's logic (a PlainRelay) between
them."""

import asyncio
from collections import deque
from itertools import count

from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.relay import SAMPLE_RATE, PlainRelay
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.protocol.codec import MessageReader, encode
from spatius_sim.protocol.console_api import session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.virtual.memory_connection import IDEAL, Frame, Link, MemoryEnd, open_connection
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_server_sdk import Server, ask_for_token, open_session
from spatius_sim.wires import Wire
from spatius_sim.wires.events import Failed, Motion, RelayEvent, Start
from spatius_sim.wires.optional_features import SEVERAL_TURNS

_MAX_UNSENT_BYTES = 32 * 1024
"""As over sockets: while more waits to be sent to a client, the relay keeps what comes after it."""


class VirtualRelay:
    """Runs the logic of a relay in virtual time. Frames go out in the order of the logic's commands."""

    def __init__(self, loop: VirtualLoop, logic: PlainRelay, wire: Wire, server: Server) -> None:
        """Make a virtual relay. `logic` decides what it does, `wire` is the message format between the relay
        and its clients, and `server` is its Motion Server."""
        self._loop, self._logic, self._wire, self._server = loop, logic, wire, server
        self._waits_for_start = bool(wire.write_client_action(Start(SAMPLE_RATE)))
        self._closes_after_turn = SEVERAL_TURNS in wire.lacks
        self._client_by_id: dict[str, _Client] = {}
        self._slow_client: _Client | None = None
        """The client that reads too slowly. All others wait for it if the logic's `waits_for_all` is set."""
        self._first_token: str | None = None
        self._upstream_by_id: dict[str, _Upstream] = {}
        self._silence_timer_by_upstream_id: dict[str, asyncio.TimerHandle] = {}
        self._client_numbers = count(1)

    def accept(
        self, session_key: str = "", link_to_client: Link = IDEAL, link_to_relay: Link | None = None
    ) -> MemoryEnd:
        """Accept a new client of the virtual relay, and return the client's end of the connection. The client
        brings the Spatius session token `session_key` ("" if none). `link_to_client` carries what the relay
        sends, and `link_to_relay` what the client sends; None: both ways are alike."""
        relay_end, client_end = open_connection(link_to_client, link_to_relay)
        client_id = f"c{next(self._client_numbers)}"
        client = self._client_by_id[client_id] = _Client(client_id, relay_end)
        client.session_key = session_key
        relay_end.on_frame = lambda frame: self._receive_frame(client, frame)
        relay_end.on_end = lambda code, reason: self._forget_client(client_id)
        relay_end.on_writable = self._send_all_outboxes
        if not self._waits_for_start:
            self._introduce_client(client)
        return client_end

    def _introduce_client(self, client: "_Client", sample_rate: int = 0) -> None:
        """Tell the relay's logic that a client has come. `sample_rate` is the rate of the client's speech in
        Hz; 0 if the client named none."""
        client.has_started = True
        self._carry_out(self._logic.on_client_connected(client.client_id, client.session_key, sample_rate))

    def _receive_frame(self, client: "_Client", frame: Frame) -> None:
        """Decode a frame from a client of the virtual relay, and pass the client's action on to the relay's
        logic. If the wire has a start message, that must come first: a client that sends anything else is
        disconnected."""
        self._loop.note_activity("the relay")
        action = self._wire.read_client_frame(frame)
        if client.has_started:
            self._carry_out(self._logic.on_client_action(client.client_id, action))
        elif isinstance(action, Start):
            self._introduce_client(client, action.sample_rate)
        else:
            client.connection_end.close()

    def _forget_client(self, client_id: str) -> None:
        """Forget a client that has disconnected, and tell the relay's logic. Then send the queued frames of
        all other clients: this client may have been the slow one that delayed them."""
        self._loop.note_activity("the relay")
        if self._client_by_id[client_id].has_started:
            self._carry_out(self._logic.on_client_disconnected(client_id))
        del self._client_by_id[client_id]
        self._send_all_outboxes()

    def _carry_out(self, commands: list[RelayCommand]) -> None:
        """Carry out these commands of the relay's logic in virtual time. A command for a client or an
        upstream session (a session with Motion Server) that is gone does nothing."""
        for command in commands:
            match command:
                case Tell(client_id, event):
                    self._send_event(client_id, event)
                case SendUp(upstream_id, message):
                    if upstream_id in self._upstream_by_id:
                        self._upstream_by_id[upstream_id].send(encode(message))
                case WatchSilence(upstream_id, seconds):
                    self._cancel_silence_timer(upstream_id)
                    self._silence_timer_by_upstream_id[upstream_id] = self._loop.call_later(
                        seconds, self._report_silence, upstream_id
                    )
                case ConnectUp(upstream_id, token_life_seconds, with_new_token):
                    session = self._upstream_by_id[upstream_id] = _Upstream()
                    session.task = self._loop.create_task(
                        self._open_upstream(upstream_id, session, token_life_seconds, with_new_token)
                    )
                case HangUp(upstream_id):
                    self._cancel_silence_timer(upstream_id)
                    if upstream_id in self._upstream_by_id:
                        self._upstream_by_id.pop(upstream_id).hang_up()

    def _send_event(self, client_id: str, event: RelayEvent) -> None:
        """Send an event to a client, after the frames that still wait for this client. If the wire needs a
        connection for each turn, close the connection after the last event of the turn. Do nothing if the
        client is gone."""
        client = self._client_by_id.get(client_id)
        if client is None:
            return
        for frame in self._wire.write_relay_event(event):
            client.outbox.append((self._loop.time(), frame))
        if self._closes_after_turn and _ends_turn(event):
            client.outbox.append(None)
        self._send_outbox(client)

    def _send_all_outboxes(self) -> None:
        """Send each client the frames that wait for it, as far as its connection takes them."""
        for client in list(self._client_by_id.values()):
            self._send_outbox(client)

    def _send_outbox(self, client: "_Client") -> None:
        """Send a client the frames that wait for it, until too many bytes wait in its connection. Drop frames
        that have waited longer than the relay allows; None in place of a frame closes the connection. Send
        nothing if the client must wait for a slower one."""
        outbox, connection_end = client.outbox, client.connection_end
        while outbox:
            if connection_end.unsent_byte_count > _MAX_UNSENT_BYTES:
                self._slow_client = client
                return
            if self._logic.waits_for_all and self._must_wait_for_slow_client(client):
                return
            frame_with_time = outbox.popleft()
            if frame_with_time is None:
                connection_end.close()
                outbox.clear()
                continue
            waiting_since, frame = frame_with_time
            if self._loop.time() - waiting_since <= self._logic.drops_after:
                connection_end.send(frame)
        if self._slow_client is client:
            self._slow_client = None
            if self._logic.waits_for_all:
                self._loop.call_soon(self._send_all_outboxes)

    def _must_wait_for_slow_client(self, client: "_Client") -> bool:
        """Return whether another client reads too slowly: too many bytes still wait in its connection. If so,
        this client must wait for it."""
        slow_client = self._slow_client
        if slow_client is None or slow_client is client:
            return False
        slow_end = slow_client.connection_end
        return not slow_end.ended and slow_end.unsent_byte_count > _MAX_UNSENT_BYTES

    def _report_silence(self, upstream_id: str) -> None:
        """Tell the relay's logic that Motion Server was silent on this upstream session, for the time that
        the logic had set."""
        self._loop.note_activity("the relay")
        self._carry_out(self._logic.on_server_silent(upstream_id))

    def _cancel_silence_timer(self, upstream_id: str) -> None:
        """Cancel the timer by which the virtual relay watches for silence of Motion Server on this upstream
        session, if the timer runs."""
        silence_timer = self._silence_timer_by_upstream_id.pop(upstream_id, None)
        if silence_timer is not None:
            silence_timer.cancel()

    async def _open_upstream(
        self, upstream_id: str, session: "_Upstream", token_life_seconds: int, with_new_token: bool
    ) -> None:
        """Open an upstream session of the virtual relay (a session with Motion Server). Then tell the relay's
        logic that it is open, or why it cannot be opened.

        If `with_new_token` is False, use the first token again, if there is one. Otherwise ask for a token
        that is valid for `token_life_seconds`."""
        expire_at = int(self._loop.unix_time()) + token_life_seconds
        try:
            token = None if with_new_token else self._first_token
            if token is None:
                answer = await ask_for_token(self._server, self._logic.api_key, expire_at)
                token = session_token_in(answer)
                if answer.status != 200 or not token:
                    raise UnreachableError(f"the token was refused: HTTP {answer.status} {answer.body}")
                if not with_new_token:
                    self._first_token = token
            connection_end = await open_session(self._server, APP_ID, token, AVATAR_ID)
        except UnreachableError as error:
            self._carry_out(self._logic.on_session_lost(upstream_id, str(error)))
            return
        decode_message = MessageReader().read

        def receive_frame(raw: Frame) -> None:
            """Pass a frame from Motion Server on to the relay's logic; drop the frame if the relay has hung
            up. The activity is noted, so that the error of a virtual loop that never ends names the relay."""
            if session.has_hung_up:
                return
            self._loop.note_activity("the relay")
            encoded = raw.encode() if isinstance(raw, str) else raw
            self._carry_out(
                self._logic.on_server_frame(upstream_id, encoded, read_upstream(raw, decode_message))
            )

        def report_lost(code: int, reason: str) -> None:
            """Tell the relay's logic that Motion Server closed the session, unless the relay itself has hung
            up."""
            if not session.has_hung_up:
                self._carry_out(self._logic.on_session_lost(upstream_id, "Motion Server closed the session"))

        connection_end.on_frame, connection_end.on_end = receive_frame, report_lost
        self._carry_out(self._logic.on_session_opened(upstream_id))
        session.attach_connection(connection_end)


class _Client:
    """A client of the virtual relay, and what waits for it: frames, each with the time at which it was put
    there; None closes the connection."""

    def __init__(self, client_id: str, connection_end: MemoryEnd) -> None:
        """Add a client of the virtual relay that has sent nothing yet. `connection_end` is the relay's end of
        the connection with the client."""
        self.client_id, self.connection_end = client_id, connection_end
        self.session_key = ""
        self.has_started = False
        self.outbox: deque[tuple[float, Frame] | None] = deque()


class _Upstream:
    """A session of the virtual relay with Motion Server, from the attempt to open it on."""

    def __init__(self) -> None:
        """Begin an upstream session (of the virtual relay with Motion Server) that is not open yet. No
        message waits to be sent on it."""
        self.connection_end: MemoryEnd | None = None
        self.task: asyncio.Task[None] | None = None
        self.has_hung_up = False
        self._waiting_messages: list[bytes] = []

    def send(self, raw: bytes) -> None:
        """Send an encoded message to Motion Server on this upstream session of the relay. If the session is
        not open yet, keep the message until it is."""
        if self.connection_end is None:
            self._waiting_messages.append(raw)
        else:
            self.connection_end.send(raw)

    def attach_connection(self, connection_end: MemoryEnd) -> None:
        """Note that the upstream session is open on this connection (`connection_end` is the relay's end of
        it), and send the messages that were kept. If the relay has hung up in the meantime, close the
        connection."""
        self.connection_end = connection_end
        for raw in self._waiting_messages:
            connection_end.send(raw)
        self._waiting_messages.clear()
        if self.has_hung_up:
            connection_end.close()

    def hang_up(self) -> None:
        """Close this upstream session of the relay. If it is not open yet, stop the attempt to open it."""
        self.has_hung_up = True
        if self.connection_end is not None:
            self.connection_end.close()
        elif self.task is not None:
            self.task.cancel()


def _ends_turn(event: RelayEvent) -> bool:
    """Return whether the turn of a client is over after this event of its relay: the turn has failed, or this
    is its last motion."""
    return isinstance(event, Failed) or (isinstance(event, Motion) and event.last)
