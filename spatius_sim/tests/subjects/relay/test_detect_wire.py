"""Without a name, the wire is found out; where it cannot be, it is said what was seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from websockets.asyncio.server import ServerConnection, serve

from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.subjects.relay.detect_wire import WireNotFoundError, find_out_wire
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.tests.running_miniature import PATIENCE, SEED


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatius_sim.subjects.relay.detect_wire._LISTEN_SECONDS", 0.3)
    monkeypatch.setattr("spatius_sim.subjects.relay.detect_wire._TURN_SECONDS", 0.5)


class GreetsNobody(PlainRelay):
    def greet(self, client: str) -> list[RelayCommand]:
        return []


@asynccontextmanager
async def relay_on(wire: str, brain: type[PlainRelay]) -> AsyncIterator[RelayAddress]:
    async with SocketMotionServer(seed=SEED) as server:
        numbers = count(1)
        relay = MiniatureRelay(
            brain(canary_key(SEED), lambda: f"request-{next(numbers)}"),
            find_wire(wire),
            server.console_endpoint,
            server.ingress_endpoint,
        )
        async with await relay.listen() as listening:
            yield RelayAddress(f"ws://{LOOPBACK}:{next(iter(listening.sockets)).getsockname()[1]}")


@pytest.mark.parametrize(
    ("wire", "brain"),
    [
        ("json-envelope", PlainRelay),
        ("json-envelope", GreetsNobody),
        ("binary-header", PlainRelay),
        ("binary-header", GreetsNobody),
        ("binary-header-bare", PlainRelay),
        ("typed-json", PlainRelay),
    ],
)
async def test_a_known_wire_is_found_out(wire: str, brain: type[PlainRelay]) -> None:
    async with relay_on(wire, brain) as address:
        found = await find_out_wire(address, 5.0)
    assert found.name == wire


async def test_a_subject_without_a_wire_finds_it_out() -> None:
    async with relay_on("binary-header", PlainRelay) as address:
        recorder = RealTimeRecorder()
        subject = RelaySubject(address, None, recorder, SEED, PATIENCE, None)
        await subject.attach()
    assert subject.wire == "binary-header"
    assert recorder.wire is find_wire("binary-header")


@asynccontextmanager
async def says(*frames: str | bytes, hang_up: bool = False) -> AsyncIterator[RelayAddress]:
    async def converse(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(frame)
        if not hang_up:
            await socket.wait_closed()

    async with serve(converse, LOOPBACK, 0) as server:
        yield RelayAddress(f"ws://{LOOPBACK}:{next(iter(server.sockets)).getsockname()[1]}")


async def test_a_wire_that_nobody_knows_is_told_with_what_it_said() -> None:
    async with says('{"event":"\x1b[31mhello"}', b"\x00" * 100) as address:
        with pytest.raises(WireNotFoundError) as refused:
            await find_out_wire(address, 5.0)
    said = str(refused.value)
    assert "none of the known wires fits" in said
    assert "(100 in all)" in said
    assert f"wire try FILE {address.url}" in said
    assert "\x1b" not in said


async def test_silence_and_hanging_up_are_told_too() -> None:
    async with says(hang_up=True) as address:
        with pytest.raises(WireNotFoundError, match="it said: nothing"):
            await find_out_wire(address, 5.0)


async def test_a_relay_that_is_not_there_is_not_reached() -> None:
    with pytest.raises(UnreachableError, match="cannot be reached"):
        await find_out_wire(RelayAddress(f"ws://{LOOPBACK}:1"), 1.0)
