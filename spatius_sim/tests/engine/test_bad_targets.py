"""Whatever a target does, a run ends soon, and never with a pass: it is INCONCLUSIVE with what was seen.
After a first clean turn the relay is told as dead, once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.model.relay.commands import RelayCommand, Tell
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.client import relay_socket
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import Patience, Subject
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.wires import published_wire
from spatius_sim.wires.events import ClientAction, Note

RULE = "R-MOTION-COMPLETE"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/else\r\nContent-Length: 0\r\n\r\n"
SOON = Patience(attach=0.5, settle=0.2)
MAX_BYTES, MAX_EVENTS = 5_000_000, 2_000

Handler = Callable[[ServerConnection], Awaitable[None]]


async def endless_messages(socket: ServerConnection) -> None:
    while True:
        await socket.send('{"type":"status","message":"' + "x" * 200 + '"}')


async def endless_audio(socket: ServerConnection) -> None:
    while True:
        await socket.send('{"type":"avatar_audio","audio":"' + "AAAA" * 4000 + '","isLast":false}')


async def much_text(socket: ServerConnection) -> None:
    await socket.send(["x" * 1_000_000] * 100)
    await socket.wait_closed()


async def rubbish(socket: ServerConnection) -> None:
    await socket.send("\x1b[2J::error::")
    await socket.wait_closed()


async def silence(socket: ServerConnection) -> None:
    async for _ in socket:
        pass


async def hanging_up(socket: ServerConnection) -> None:
    await socket.close(1011)


async def cut(socket: ServerConnection) -> None:
    socket.transport.abort()


async def never_reading(socket: ServerConnection) -> None:
    socket.transport.pause_reading()
    await asyncio.Event().wait()


@asynccontextmanager
async def bad_websocket(handler: Handler) -> AsyncIterator[int]:
    answering: list[asyncio.Task[None]] = []

    async def answer(socket: ServerConnection) -> None:
        answering.append(asyncio.ensure_future(handler(socket)))
        with contextlib.suppress(ConnectionClosed, asyncio.CancelledError):
            await answering[-1]
        socket.transport.abort()

    async with serve(answer, "127.0.0.1", 0, close_timeout=0.1) as listening:
        yield next(iter(listening.sockets)).getsockname()[1]
        for task in answering:
            task.cancel()


@asynccontextmanager
async def bad_tcp(said: bytes, *, close: bool) -> AsyncIterator[int]:
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(said)
        if close:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


@asynccontextmanager
async def pointed_at(target: Any) -> AsyncIterator[Subject[Any]]:
    wire = published_wire("json-envelope")
    recorder = RealTimeRecorder(wire=wire, max_bytes=MAX_BYTES, max_events=MAX_EVENTS)
    async with SocketMotionServer(sink=recorder) as server, target as port:
        yield RelaySubject(RelayAddress(f"ws://127.0.0.1:{port}"), wire, recorder, 1, SOON, server)


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


def judged(
    loop: BackgroundLoop, attached: Any, folder: Path, examples: int = 6, rules: tuple[str, ...] = (RULE,)
) -> RuleOutcome:
    """Judge these rules, and return the outcome of the last."""

    async def enter() -> Subject[Any]:
        subject: Subject[Any] = await stack.enter_async_context(attached)
        return subject

    stack = AsyncExitStack()
    trial = Trial(loop.run(enter(), 10.0), loop, 1, folder, examples, shrink_seconds=0.0)
    try:
        return [trial.judge(rule_id, *exercise_of(rule_id)) for rule_id in rules][-1]
    finally:
        loop.run(stack.aclose(), 10.0)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (lambda: bad_websocket(endless_messages), "floods"),
        (lambda: bad_websocket(endless_audio), "floods"),
        (lambda: bad_websocket(much_text), ""),
        (lambda: bad_websocket(rubbish), "another wire"),
        (lambda: bad_websocket(silence), "completed no turn"),
        (lambda: bad_websocket(hanging_up), "completed no turn"),
        (lambda: bad_websocket(cut), "completed no turn"),
        (lambda: bad_websocket(never_reading), ""),
        (lambda: bad_tcp(b"", close=False), "cannot be reached"),
        (lambda: bad_tcp(b"", close=True), "cannot be reached"),
        (lambda: bad_tcp(b"SSH-2.0-OpenSSH_9.9\r\n", close=False), "cannot be reached"),
        (lambda: bad_tcp(REDIRECT, close=False), "it redirects to ws://127.0.0.1:1/else"),
        (lambda: bad_tcp(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", close=False), "404"),
    ],
)
def test_before_a_first_clean_turn_it_is_inconclusive(
    target: Any, told: str, loop: BackgroundLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_socket, "_CLOSE_SECONDS", 0.2)
    outcome = judged(loop, pointed_at(target()), tmp_path)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.reason
    # On a busy machine a relay that floods may be too busy to take the next connection.
    too_busy = told == "floods" and "timed out" in outcome.reason
    assert told in outcome.reason or too_busy


async def test_one_that_takes_nothing_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_socket, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(relay_socket, "_CLOSE_SECONDS", 0.2)
    async with bad_websocket(never_reading) as port:
        address = RelayAddress(f"ws://127.0.0.1:{port}")
        async with RelayClient(address, published_wire("json-envelope"), RealTimeRecorder(), "ann") as client:
            with pytest.raises(UnreachableError, match="reads nothing"):
                await client.send(bytes(50_000_000))


class HangsLater(PlainRelay):
    """Takes connections for ever, but does nothing for any client after the fourth."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        return [] if int(client[1:]) > 4 else super().on_client_action(client, action)


class CrashesLater(PlainRelay):
    """Takes connections for ever, and fails as soon as a client after the fourth speaks."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        if int(client[1:]) > 4:
            raise RuntimeError("out of order")
        return super().on_client_action(client, action)


@pytest.mark.parametrize("brain", [HangsLater, CrashesLater])
def test_hanging_and_dying_after_a_clean_turn_is_told_once(
    brain: type[PlainRelay], loop: BackgroundLoop, tmp_path: Path
) -> None:
    outcome = judged(loop, miniature_relay(brain), tmp_path, 12, (RULE, "R-ALIVE"))
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failure is not None
    assert "does nothing any more" in outcome.failure.actual


class FloodsLater(PlainRelay):
    """Sends thousands of messages with the motion of its fourth request."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._turns_begun = 0

    def _begin_turn(self, client: str) -> RelayTurn:
        self._turns_begun += 1
        return super()._begin_turn(client)

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        many = MAX_EVENTS if self._turns_begun > 3 else 0
        return [Tell(turn.client_id, Note("status"))] * many + super().send_motion_to_client(
            turn, raw, message
        )


def test_a_flood_after_a_clean_turn_is_told_once(loop: BackgroundLoop, tmp_path: Path) -> None:
    attached = miniature_relay(FloodsLater, max_events=MAX_EVENTS)
    outcome = judged(loop, attached, tmp_path, rules=(RULE, "R-ALIVE"))
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failure is not None
    assert "floods" in outcome.failure.actual
