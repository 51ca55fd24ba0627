"""A relay in virtual time: any wire below, Motion Server above, and a relay brain between them."""

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
    """The host of a relay brain. Frames go out in the order of the brain's commands."""

    def __init__(self, loop: VirtualLoop, brain: PlainRelay, wire: Wire, server: Server) -> None:
        """Host `brain`, which decides what the virtual relay does: it speaks `wire` with its clients, and
        `server` is its Motion Server."""
        self._loop, self._brain, self._wire, self._server = loop, brain, wire, server
        self._waits_for_start = bool(wire.write_client(Start(SAMPLE_RATE)))
        self._hangs_up = SEVERAL_TURNS in wire.lacks
        self._clients: dict[str, _Client] = {}
        self._blocked_by: _Client | None = None
        """The client that reads too slowly. All others wait for it if the brain's `waits_for_all` is set."""
        self._token: str | None = None
        self._upstreams: dict[str, _Upstream] = {}
        self._silence_timers: dict[str, asyncio.TimerHandle] = {}
        self._numbers = count(1)

    def accept(self, session_key: str = "", link: Link = IDEAL, up: Link | None = None) -> MemoryEnd:
        """Accept a client of the virtual relay, and return the client's end of the connection. The client
        brings this Spatius token ("": none). `link` carries what the relay sends, and `up` what the client
        sends; None: both ways are alike."""
        relay_end, client_end = open_connection(link, up)
        name = f"c{next(self._numbers)}"
        client = self._clients[name] = _Client(name, relay_end)
        client.session_key = session_key
        relay_end.on_frame = lambda frame: self._receive_action(client, frame)
        relay_end.on_end = lambda code, reason: self._lose_client(name)
        relay_end.on_writable = self._send_waiting
        if not self._waits_for_start:
            self._introduce_client(client)
        return client_end

    def _introduce_client(self, client: "_Client", sample_rate: int = 0) -> None:
        """Tell the relay's brain that a client has come, with the rate of its speech in Hz (0: the client
        named none)."""
        client.started = True
        self._carry_out(self._brain.client_came(client.name, client.session_key, sample_rate))

    def _receive_action(self, client: "_Client", frame: Frame) -> None:
        """Give a client's action to the relay's brain. If the wire demands Start first, the client must send
        it first; if it sends anything else, its connection is closed."""
        self._loop.note_activity("the relay")
        action = self._wire.read_client(frame)
        if client.started:
            self._carry_out(self._brain.client_did(client.name, action))
        elif isinstance(action, Start):
            self._introduce_client(client, action.sample_rate)
        else:
            client.end.close()

    def _lose_client(self, name: str) -> None:
        """Forget a client that has left the virtual relay, and tell the relay's brain."""
        self._loop.note_activity("the relay")
        if self._clients[name].started:
            self._carry_out(self._brain.client_left(name))
        del self._clients[name]
        self._send_waiting()

    def _carry_out(self, commands: list[RelayCommand]) -> None:
        """Carry out the commands of the relay's brain in virtual time. Commands for a client or an upstream
        session that is gone do nothing."""
        for command in commands:
            match command:
                case Tell(name, event):
                    self._send_event(name, event)
                case SendUp(upstream, message):
                    if upstream in self._upstreams:
                        self._upstreams[upstream].send(encode(message))
                case WatchSilence(upstream, seconds):
                    self._cancel_silence_timer(upstream)
                    self._silence_timers[upstream] = self._loop.call_later(
                        seconds, self._report_silence, upstream
                    )
                case ConnectUp(upstream, token_life, fresh):
                    session = self._upstreams[upstream] = _Upstream()
                    session.task = self._loop.create_task(
                        self._open_upstream(upstream, session, token_life, fresh)
                    )
                case HangUp(upstream):
                    self._cancel_silence_timer(upstream)
                    if upstream in self._upstreams:
                        self._upstreams.pop(upstream).hang_up()

    def _send_event(self, name: str, event: RelayEvent) -> None:
        """Send an event of the relay to a client, after the frames that still wait for this client. Do
        nothing if the client is gone."""
        client = self._clients.get(name)
        if client is None:
            return
        for frame in self._wire.write_relay(event):
            client.outbox.append((self._loop.time(), frame))
        if self._hangs_up and _ends_turn(event):
            client.outbox.append(None)
        self._send_outbox(client)

    def _send_waiting(self) -> None:
        """Send to all clients of the virtual relay what waits for them, as far as their connections take
        it."""
        for client in list(self._clients.values()):
            self._send_outbox(client)

    def _send_outbox(self, client: "_Client") -> None:
        """Send to a client of the virtual relay the frames that wait for it, as far as its connection takes
        them. Frames that waited too long are dropped."""
        outbox, end = client.outbox, client.end
        while outbox:
            if end.unsent_bytes > _MAX_UNSENT_BYTES:
                self._blocked_by = client
                return
            if self._brain.waits_for_all and self._is_blocked_by_other(client):
                return
            next_item = outbox.popleft()
            if next_item is None:
                end.close()
                outbox.clear()
            elif self._loop.time() - next_item[0] <= self._brain.drops_after:
                end.send(next_item[1])
        if self._blocked_by is client:
            self._blocked_by = None
            if self._brain.waits_for_all:
                self._loop.call_soon(self._send_waiting)

    def _is_blocked_by_other(self, client: "_Client") -> bool:
        """Return whether this client of the virtual relay must wait, because another client reads nothing."""
        slow_client = self._blocked_by
        if slow_client is None or slow_client is client:
            return False
        return not slow_client.end.ended and slow_client.end.unsent_bytes > _MAX_UNSENT_BYTES

    def _report_silence(self, upstream: str) -> None:
        """Tell the relay's brain that Motion Server was silent on this upstream session for the time that the
        brain asked for."""
        self._loop.note_activity("the relay")
        self._carry_out(self._brain.upstream_silent(upstream))

    def _cancel_silence_timer(self, upstream: str) -> None:
        """Cancel the timer by which the virtual relay watches for silence of Motion Server on this upstream
        session."""
        silence_timer = self._silence_timers.pop(upstream, None)
        if silence_timer is not None:
            silence_timer.cancel()

    async def _open_upstream(self, upstream: str, session: "_Upstream", token_life: int, fresh: bool) -> None:
        """Open an upstream session of the virtual relay, with a new token if `fresh` or if there is no old
        one, and tell the relay's brain that it is open, or why it cannot be opened."""
        expire_at = int(self._loop.unix_time()) + token_life
        try:
            token = self._token if not fresh else None
            if token is None:
                answer = await ask_for_token(self._server, self._brain.api_key, expire_at)
                token = session_token_in(answer)
                if answer.status != 200 or not token:
                    raise UnreachableError(f"the token was refused: HTTP {answer.status} {answer.body}")
                self._token = self._token if fresh else token
            end = await open_session(self._server, APP_ID, token, AVATAR_ID)
        except UnreachableError as error:
            self._carry_out(self._brain.upstream_lost(upstream, str(error)))
            return
        read = MessageReader().read

        def receive(raw: Frame) -> None:
            """Give a frame from Motion Server to the relay's brain, unless the relay has hung up."""
            if session.hung_up:
                return
            self._loop.note_activity("the relay")
            encoded = raw.encode() if isinstance(raw, str) else raw
            self._carry_out(self._brain.upstream_said(upstream, encoded, read_upstream(raw, read)))

        def report_lost(code: int, reason: str) -> None:
            """Tell the relay's brain that Motion Server closed the session, unless the relay has hung up."""
            if not session.hung_up:
                self._carry_out(self._brain.upstream_lost(upstream, "Motion Server closed the session"))

        end.on_frame, end.on_end = receive, report_lost
        self._carry_out(self._brain.upstream_opened(upstream))
        session.open_on(end)


class _Client:
    """A client of the virtual relay, and what waits for it: frames, each with the time at which it was put
    there; None closes the connection."""

    def __init__(self, name: str, end: MemoryEnd) -> None:
        """Begin with a client of the virtual relay that has sent nothing; `end` is the relay's end of the
        connection with it."""
        self.name, self.end = name, end
        self.session_key = ""
        self.started = False
        self.outbox: deque[tuple[float, Frame] | None] = deque()


class _Upstream:
    """A session of the virtual relay with Motion Server, from the attempt to open it on."""

    def __init__(self) -> None:
        """Begin a session of the virtual relay with Motion Server. The session is not open yet."""
        self.end: MemoryEnd | None = None
        self.task: asyncio.Task[None] | None = None
        self.hung_up = False
        self._unsent: list[bytes] = []

    def send(self, raw: bytes) -> None:
        """Send an envelope from the virtual relay to Motion Server; if the upstream session is not open yet,
        keep the envelope until then."""
        if self.end is None:
            self._unsent.append(raw)
        else:
            self.end.send(raw)

    def open_on(self, end: MemoryEnd) -> None:
        """Open the upstream session of the virtual relay on this connection: send the envelopes that were
        kept. Close the connection if the relay has hung up."""
        self.end = end
        for raw in self._unsent:
            end.send(raw)
        self._unsent.clear()
        if self.hung_up:
            end.close()

    def hang_up(self) -> None:
        """Close the upstream session of the virtual relay, or give up the attempt to open it."""
        self.hung_up = True
        if self.end is not None:
            self.end.close()
        elif self.task is not None:
            self.task.cancel()


def _ends_turn(event: RelayEvent) -> bool:
    """Return whether the client's turn is over after this event of the relay: it failed, or its last motion
    came."""
    return isinstance(event, Failed) or (isinstance(event, Motion) and event.last)
