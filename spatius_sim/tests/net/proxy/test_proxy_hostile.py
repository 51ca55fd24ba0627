"""The recording proxy between hostile peers: they get a 400 or a 502, and nobody else notices."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from spatius_sim.net.proxy.proxy import RecordingProxy
from spatius_sim.net.proxy.proxy_recorder import _PassedBytes
from spatius_sim.tests.net.work import seconds_at_most
from spatius_sim.trace.events import Closed, Event, Injected, Opened, Refused, TokenRequested

SECONDS = 5.0
TOKENS = b"/v1/console/session-tokens"
UPGRADE = (
    b"GET /v2/driveningress/websocket?id=x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
PLAIN = b"POST " + TOKENS + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Upstream:
    """A Motion Server that answers every head with `answer`, byte for byte, and keeps what it was sent."""

    answer: bytes = GOOD
    port: int = 0
    heard: bytearray = field(default_factory=bytearray)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    closes: bool = False
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def say(self, data: bytes) -> None:
        """Say that on the connection that came first, or leave it if it is nothing."""
        if data:
            self.writers[0].write(data)
        else:
            self.writers[0].close()

    async def drain(self) -> None:
        """Wait until what was said is nearly gone."""
        await self.writers[0].drain()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(65_536):
                self.heard += data
                self.asked.set()
                if b"\r\n\r\n" in data:
                    writer.write(self.answer)
                    await writer.drain()
                    if self.closes:
                        break
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
    "a status of letters": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "junk without an end": b"\x00\x01 this is not HTTP",
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
        refused = [event.content for event in told if isinstance(event.content, Refused)]
        assert [one.status for one in refused] == [502] * upgrades
    assert not caplog.records


NEIGHBOURS = {
    "both a length and chunks": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}"),
    "two lengths": GOOD.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"),
    "a folded header": GOOD.replace(b"\r\n\r\n", b"\r\n Content-Length: 3\r\n\r\n"),
    "a bare line feed": GOOD.replace(b"\r\n\r\n", b"\r\nA: b\nContent-Length: 3\r\n\r\n"),
    "trailers without an end": CHUNKED + b"0\r\n" + b"A: b\r\n" * 20_000,
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
    "an answer that breaks off": b"",
}


@pytest.mark.parametrize("answer", NEIGHBOURS.values(), ids=NEIGHBOURS)
async def test_what_leaves_the_end_of_an_answer_open_is_a_502(answer: bytes) -> None:
    async with between(answer) as (proxy, upstream, _):
        upstream.closes = not answer
        said = await ask(proxy, PLAIN)
        assert said.startswith(b"HTTP/1.1 502 "), said


async def test_the_same_of_a_request_is_a_400_and_reaches_nobody() -> None:
    async with between() as (proxy, upstream, _):
        for headers in (
            b"Content-Length: 2\r\nTransfer-Encoding: chunked",
            b"Content-Length: 2\r\nContent-Length: 3",
            b" Content-Length: 2",
            b"Content-Length : 2",
        ):
            request = PLAIN.replace(b"Content-Length: 2", headers)
            assert (await ask(proxy, request)).startswith(b"HTTP/1.1 400 ")
        assert not upstream.heard


async def test_a_switch_that_nobody_asked_for_is_a_502() -> None:
    async with between(SWITCHED) as (proxy, _, told):
        assert (await ask(proxy, PLAIN)).startswith(b"HTTP/1.1 502 ")
    assert not [event for event in told if isinstance(event.content, Opened)]


LARGE = CHUNKED + b"20000\r\n" + bytes(0x20000) + b"\r\n"


@pytest.mark.parametrize("rest", [b"-6\r\nZ", b""], ids=["no chunk", "nothing"])
async def test_a_large_answer_that_goes_wrong_after_it_began_breaks_off(rest: bytes) -> None:
    """A second head in the middle of a body would be read as the body."""
    async with between(LARGE) as (proxy, upstream, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(PLAIN)
        async with asyncio.timeout(SECONDS):
            assert await reader.readexactly(0x20000) == LARGE[:0x20000]
            upstream.say(rest)
            assert LARGE[0x20000:].startswith(await reader.read())
        writer.close()


@pytest.mark.parametrize("framing", ["chunks", "a length", "until it closes"])
async def test_an_answer_that_comes_slowly_passes_before_it_is_whole(framing: str) -> None:
    begin, rest = {
        "chunks": (CHUNKED + b"4\r\nhalf\r\n", b"3\r\nend\r\n0\r\n\r\n"),
        "a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhalf", b"end"),
        "until it closes": (b"HTTP/1.1 200 OK\r\n\r\nhalf", b"end"),
    }[framing]
    async with between(begin) as (proxy, upstream, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(PLAIN)
        async with asyncio.timeout(SECONDS):
            assert await reader.readexactly(len(begin)) == begin
            upstream.say(rest)
            assert await reader.readexactly(len(rest)) == rest
        writer.close()


async def test_an_answer_goes_wrong_byte_by_byte() -> None:
    async with between(b"") as (proxy, upstream, _):
        asking = asyncio.create_task(ask(proxy, PLAIN))
        await asyncio.wait_for(upstream.asked.wait(), SECONDS)
        for byte in BAD_ANSWERS["a negative chunk"]:
            upstream.say(bytes([byte]))
            await asyncio.sleep(0)
        assert (await asking).startswith(b"HTTP/1.1 502 ")


async def test_a_target_that_is_a_whole_url_is_understood() -> None:
    async with between() as (proxy, upstream, _):
        target = f"http://127.0.0.1:{proxy.port}".encode() + TOKENS + b"?a=b"
        request = PLAIN.replace(TOKENS, target).replace(b"Host", b"Connection: close\r\nHost")
        assert (await ask(proxy, request)).endswith(b"\r\n\r\n{}")
        assert upstream.heard.startswith(b"POST " + TOKENS + b"?a=b HTTP/1.1\r\n")


async def test_what_comes_behind_an_answer_is_no_answer_to_the_next_request() -> None:
    async with between(GOOD + GOOD.replace(b"{}", b"no")) as (proxy, _, _):
        closing = PLAIN.replace(b"Host", b"Connection: close\r\nHost")
        said = await ask(proxy, PLAIN + closing)
        assert said.count(b"{}") == 2 and b"no" not in said


async def test_an_upstream_is_left_when_the_relay_leaves_before_the_answer() -> None:
    async with between(b"") as (proxy, upstream, _):
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(PLAIN)
        await asyncio.wait_for(upstream.asked.wait(), SECONDS)
        writer.close()
        await asyncio.wait_for(upstream.left.wait(), SECONDS)


async def test_a_peer_that_does_not_read_stops_the_one_that_speaks_to_it() -> None:
    async with between(b"HTTP/1.1 200 OK\r\n\r\n") as (proxy, upstream, _):
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=4096)
        writer.write(PLAIN)
        await asyncio.wait_for(upstream.asked.wait(), SECONDS)
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while sent < 256:
                    upstream.say(bytes(1_048_576))
                    sent += 1
                    await upstream.drain()
        assert sent < 64
        writer.transport.abort()


async def test_somebody_else_is_served_while_a_session_floods_the_proxy() -> None:
    async with between(SWITCHED) as (proxy, upstream, told):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(UPGRADE)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        upstream.answer = GOOD
        upstream.say(b"\x82\x00" * 500_000)
        await asyncio.wait_for(reader.readexactly(600_000), SECONDS)
        for _ in range(10):
            assert await serves(proxy)
        waiting = max(
            one.direction.waiting_bytes for one in proxy._recorder._waiting if isinstance(one, _PassedBytes)
        )
        writer.close()
    assert 0 < waiting < 2 * 1_048_576
    assert sum(isinstance(event.content, TokenRequested) for event in told) == 10
    assert isinstance(told[-1].content, Closed)
    assert "too much to read" in str([event.content for event in told if isinstance(event.content, Injected)])
