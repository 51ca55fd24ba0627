"""The recording proxy between hostile peers: they get a 400 or a 502, and nobody else notices."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from spatius_sim.model.trace import Event, Refused
from spatius_sim.net.proxy import RecordingProxy
from spatius_sim.tests.net.work import seconds_at_most

SECONDS = 5.0
TOKENS = b"/v1/console/session-tokens"
UPGRADE = (
    b"GET /v2/driveningress/websocket?id=x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
PLAIN = b"POST " + TOKENS + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Upstream:
    """A Motion Server that answers every head with `answer`, byte for byte, and keeps what it was sent."""

    answer: bytes = GOOD
    port: int = 0
    heard: bytearray = field(default_factory=bytearray)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.heard += data
                self.asked.set()
                if b"\r\n\r\n" in data:
                    writer.write(self.answer)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def between(answer: bytes = GOOD) -> AsyncIterator[tuple[RecordingProxy, Upstream, list[Event]]]:
    told: list[Event] = []
    upstream = Upstream(answer)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    async with server, RecordingProxy((f"http://127.0.0.1:{upstream.port}",), told.append) as proxy:
        yield proxy, upstream, told


async def ask(proxy: RecordingProxy, raw: bytes, *, step: int = 10**9) -> bytes:
    """All that the proxy says until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        async with asyncio.timeout(SECONDS):
            for place in range(0, len(raw), step):
                writer.write(raw[place : place + step])
                await asyncio.sleep(0)
            return await reader.read()
    finally:
        writer.close()


async def serves(proxy: RecordingProxy) -> bool:
    """Whether somebody else is served."""
    closing = PLAIN.replace(b"Host", b"Connection: close\r\nHost")
    return (await ask(proxy, closing)).endswith(b"\r\n\r\n{}")


def chunked(body: bytes) -> bytes:
    return b"POST " + TOKENS + b" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body


BAD_REQUESTS = {
    "a negative chunk": chunked(b"1\r\nx\r\n-6\r\nZ"),
    "a chunk of +5": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "no CRLF after a chunk": chunked(b"5\r\nhello0\r\n\r\n"),
    "a length of 5,000 digits": PLAIN.replace(b": 2", b": " + b"2" * 5_000),
    "an answer": GOOD,
    "TLS": b"\x16\x03\x01junk\r\n\r\n",
}


@pytest.mark.parametrize("step", [1, 10**9], ids=["bytes", "whole"])
@pytest.mark.parametrize("request_", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
async def test_a_request_that_is_none_is_a_400(
    request_: bytes, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    with seconds_at_most(2 * SECONDS), caplog.at_level(logging.ERROR):
        async with between() as (proxy, _, _):
            said = await ask(proxy, request_, step=step)
            assert said.startswith(b"HTTP/1.1 400 "), said
            assert await serves(proxy)
    assert not caplog.records


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_ANSWERS = {
    "a negative chunk": CHUNKED + b"1\r\nx\r\n-6\r\nZ",
    "a chunk of +5": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a chunk of 1_0": CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "no CRLF after a chunk": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "a length of 5,000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"2" * 5_000 + b"\r\n\r\n{}",
    "a request": PLAIN,
    "junk without an end": b"\x00\x01 this is no HTTP",
}


@pytest.mark.parametrize("upgrades", [False, True], ids=["console", "ingress"])
@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_an_answer_that_is_none_is_a_502_that_names_the_place(
    answer: bytes, upgrades: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with seconds_at_most(2 * SECONDS), caplog.at_level(logging.ERROR):
        async with between(answer) as (proxy, upstream, told):
            said = await ask(proxy, UPGRADE if upgrades else PLAIN)
            assert said.startswith(b"HTTP/1.1 502 "), said
            assert f"127.0.0.1:{upstream.port}".encode() in said
            upstream.answer = GOOD
            assert await serves(proxy)
        refused = [event.what for event in told if isinstance(event.what, Refused)]
        assert [one.status for one in refused] == [502] * upgrades
    assert not caplog.records
