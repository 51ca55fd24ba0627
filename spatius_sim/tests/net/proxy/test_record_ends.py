"""`spatius-sim record` ends within 2 s of being told to, whatever its peers do, and leaves a whole tape."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spatius_sim.net.proxy.proxy import RecordingProxy
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.net.proxy.test_proxy_hostile import (
    CHUNKED,
    PLAIN,
    SWITCHED,
    UPGRADE,
    Upstream,
    chunked,
)
from spatius_sim.tests.net.work import seconds_at_most
from spatius_sim.trace.events import Event, Opened

SECONDS = 20.0
END_SECONDS = 4.0
"""Twice what is promised: the machine may be busy."""


class Flood(Upstream):
    """It answers, and then sends frames without end."""

    frame = b"\x82\x7e\x10\x00" + bytes(4096)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
            self.asked.set()
            for _ in range(100_000):
                writer.write(self.frame * (65_536 // len(self.frame)))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.left.set()
            writer.transport.abort()


class TinyFlood(Flood):
    """The frames are messages of nothing: many of them to a byte."""

    frame = b"\x82\x00"


@asynccontextmanager
async def recorder(upstream: Upstream, out: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The command before that upstream, and its port."""
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    command = ["record", "--upstream", base, "--port", "0", "--out", str(out)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spatius_sim", *command, stdout=asyncio.subprocess.PIPE, env=os.environ
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            lines = [await process.stdout.readline() for _ in range(3)]
        port = int(lines[1].decode().rpartition("/v1")[0].rpartition(":")[2])
        async with server:
            yield process, port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


PEERS = {
    "an open session": (Upstream(SWITCHED), UPGRADE),
    "a body that hangs": (Upstream(), PLAIN[:-1]),
    "a chunked body that hangs": (Upstream(), chunked(b"5\r\nhel")),
    "a negative chunk of a client": (Upstream(), chunked(b"1\r\nx\r\n-6\r\nZ")),
    "a negative chunk of the upstream": (Upstream(CHUNKED + b"1\r\nx\r\n-6\r\nZ"), PLAIN),
    "an upstream that never answers": (Upstream(b""), PLAIN),
    "an upgrade that is never answered": (Upstream(b""), UPGRADE),
    "a client that never reads its session": (Flood(SWITCHED), UPGRADE),
    "a client that never reads its answer": (Flood(b"HTTP/1.1 200 OK\r\n\r\n"), PLAIN),
    "a session of countless tiny messages": (TinyFlood(SWITCHED), UPGRADE),
}


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", PEERS)
async def test_it_ends_when_it_is_told(name: str, end: signal.Signals, tmp_path: Path) -> None:
    kind, request = PEERS[name]
    out = tmp_path / "a.tape"
    upstream = type(kind)(kind.answer)
    async with recorder(upstream, out) as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(request)
        await asyncio.wait_for(upstream.asked.wait(), SECONDS)
        if upstream.answer == SWITCHED:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        if isinstance(upstream, TinyFlood):
            await asyncio.wait_for(reader.readexactly(1_000_000), SECONDS)
        process.send_signal(end)
        assert await asyncio.wait_for(process.wait(), END_SECONDS) == 0
        writer.close()
    (trace,) = read_traces(out)
    assert len([e for e in trace.events if isinstance(e.content, Opened)]) == (upstream.answer == SWITCHED)


def test_it_does_not_wait_for_a_name_that_is_never_found(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up, looked = threading.Event(), threading.Event()

    def look(*arguments: object, **more: object) -> list[object]:
        looked.set()
        given_up.wait(SECONDS)
        raise socket.gaierror("nobody knows it")

    async def run() -> None:
        told: list[Event] = []
        async with RecordingProxy(("http://nowhere.example",), told.append) as proxy:
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(PLAIN)
            assert await asyncio.to_thread(looked.wait, SECONDS)
        writer.close()

    monkeypatch.setattr(socket, "getaddrinfo", look)
    try:
        with seconds_at_most(END_SECONDS):
            asyncio.run(run())
    finally:
        given_up.set()
