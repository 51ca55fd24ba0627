"""Serves a relay brain over real sockets: any wire below, Motion Server above."""

import asyncio
import contextlib
import time
from itertools import count

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.relay import SAMPLE_RATE, PlainRelay
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.client.own_server_sdk import UpstreamClient, ask_for_token
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires import Wire
from spatius_sim.wires.events import Failed, Frame, Motion, RelayEvent, Start
from spatius_sim.wires.optional_features import SEVERAL_TURNS

_LARGEST_CLIENT_MESSAGE = 4 * 1_048_576

_Outbox = asyncio.Queue[tuple[float, Frame] | None]
"""Frames for a client, each with the monotonic time in seconds at which it was put there; None to hang up."""


class MiniatureRelay:
    """The shell of a relay brain. Frames go out in the order of the brain's commands."""

    def __init__(self, brain: PlainRelay, wire: Wire, console_endpoint: str, ingress_endpoint: str) -> None:
        self._brain, self._wire = brain, wire
        self._console, self._ingress = console_endpoint, ingress_endpoint
        self._waits_for_start = bool(wire.write_client_action(Start(SAMPLE_RATE)))
        self._hangs_up = SEVERAL_TURNS in wire.lacks
        self._clients: dict[str, _Outbox] = {}
        self._sending = asyncio.Lock()
        self._token: str | None = None
        self._upstreams: dict[str, asyncio.Queue[bytes]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watches: dict[str, asyncio.TimerHandle] = {}
        self._numbers = count(1)

    async def listen(self) -> Server:
        """Serve clients on a free port until the server that is returned is closed."""
        return await serve(self.converse, LOOPBACK, 0, max_size=_LARGEST_CLIENT_MESSAGE)

    async def converse(self, socket: ServerConnection) -> None:
        """Serve one client until it leaves."""
        client = f"c{next(self._numbers)}"
        outbox: _Outbox = asyncio.Queue()
        self._clients[client] = outbox
        sending = asyncio.create_task(self._send_all(socket, outbox))
        headers = socket.request.headers if socket.request is not None else {}
        started = False
        try:
            start = self._wire.read_client_frame(await socket.recv()) if self._waits_for_start else Start(0)
            if not isinstance(start, Start):
                return
            started = True
            session_key = headers.get("X-Session-Key", "")
            self._carry_out(self._brain.on_client_connected(client, session_key, start.sample_rate))
            async for frame in socket:
                action = self._wire.read_client_frame(frame)
                self._carry_out(self._brain.on_client_action(client, action))
        except ConnectionClosed:
            pass
        finally:
            if started:
                self._carry_out(self._brain.on_client_disconnected(client))
            del self._clients[client]
            sending.cancel()

    def _carry_out(self, commands: list[RelayCommand]) -> None:
        """Carry the brain's commands out; those for a client or session that is gone do nothing."""
        for command in commands:
            match command:
                case Tell(client, event) if client in self._clients:
                    for frame in self._wire.write_relay_event(event):
                        self._clients[client].put_nowait((time.monotonic(), frame))
                    if self._hangs_up and _ends_turn(event):
                        self._clients[client].put_nowait(None)
                case ConnectUp(upstream, token_life, fresh):
                    self._upstreams[upstream] = asyncio.Queue()
                    running = self._run_upstream(upstream, token_life, fresh)
                    self._tasks[upstream] = asyncio.create_task(running)
                case SendUp(upstream, message) if upstream in self._upstreams:
                    self._upstreams[upstream].put_nowait(encode(message))
                case WatchSilence(upstream, seconds):
                    self._end_watch(upstream)
                    loop = asyncio.get_running_loop()
                    self._watches[upstream] = loop.call_later(seconds, self._ring, upstream)
                case HangUp(upstream):
                    self._end_watch(upstream)
                    if upstream in self._tasks:
                        self._tasks.pop(upstream).cancel()

    def _ring(self, upstream: str) -> None:
        self._carry_out(self._brain.on_server_silent(upstream))

    def _end_watch(self, upstream: str) -> None:
        watch = self._watches.pop(upstream, None)
        if watch is not None:
            watch.cancel()

    async def _run_upstream(self, upstream: str, token_life: int, fresh: bool) -> None:
        """Open an upstream session, and tell the brain what comes and, unless cancelled, that it ended."""
        why = "Motion Server closed the session"
        expire_at = int(time.time()) + token_life
        try:
            if not fresh and self._token is None:
                self._token = session_token_in(
                    await ask_for_token(self._console, self._brain.api_key, expire_at)
                )
            async with UpstreamClient(
                self._console,
                self._ingress,
                api_key=self._brain.api_key,
                app_id=APP_ID,
                avatar_id=AVATAR_ID,
                expire_at=expire_at,
                token=None if fresh else self._token,
            ) as session:
                self._carry_out(self._brain.on_session_opened(upstream))
                sending = asyncio.create_task(_send_up(session, self._upstreams[upstream]))
                try:
                    async for raw in session.frames():
                        encoded = raw.encode() if isinstance(raw, str) else raw
                        commands = self._brain.on_server_frame(upstream, encoded, read_upstream(raw))
                        self._carry_out(commands)
                finally:
                    sending.cancel()
        except UnreachableError as error:
            why = str(error)
        self._carry_out(self._brain.on_session_lost(upstream, why))

    async def _send_all(self, socket: ServerConnection, outbox: _Outbox) -> None:
        """Send what is in the outbox, until None hangs up."""
        with contextlib.suppress(ConnectionClosed):
            while (waiting := await outbox.get()) is not None:
                put_at, frame = waiting
                if time.monotonic() - put_at > self._brain.drops_after:
                    continue
                async with self._sending if self._brain.waits_for_all else contextlib.nullcontext():
                    await socket.send(frame)
            await socket.close()


def _ends_turn(event: RelayEvent) -> bool:
    return isinstance(event, Failed) or (isinstance(event, Motion) and event.last)


async def _send_up(session: UpstreamClient, outbox: asyncio.Queue[bytes]) -> None:
    while True:
        await session.send(await outbox.get())
