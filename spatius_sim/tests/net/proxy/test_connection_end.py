"""One connection of the proxy: what comes in tiny pieces or in many parts costs no more for that."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from spatius_sim.net.proxy.connection_end import ConnectionEnd
from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import parse_request_head
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.tests.net.work import times_the_work


class Wire(asyncio.Transport):
    """Takes what is written, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += len(data)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def end_on(wire: Wire) -> ConnectionEnd:
    end = ConnectionEnd()
    end.connection_made(wire)
    return end


async def comes(end: ConnectionEnd, raw: bytes, step: int) -> None:
    for place in range(0, len(raw), step):
        piece = raw[place : place + step]
        end.get_buffer(-1)[: len(piece)] = piece
        end.buffer_updated(len(piece))
        await asyncio.sleep(0)
    end.connection_lost(None)


def reading(
    raw: Callable[[int], bytes], step: int, read: Callable[[ConnectionEnd], Awaitable[object]]
) -> Callable[[int], Callable[[], object]]:
    """The work of reading what comes in pieces of `step` bytes."""

    def prepare(size: int) -> Callable[[], object]:
        stream = raw(size)

        async def run() -> None:
            end = end_on(Wire())
            await asyncio.gather(comes(end, stream, step), read(end))

        return lambda: asyncio.run(run())

    return prepare


async def one_head(end: ConnectionEnd) -> None:
    assert await end.read_request_head() is not None


async def all_requests(end: ConnectionEnd) -> None:
    other = end_on(Wire())
    while (request := await end.read_request_head()) is not None:
        await end.pass_on_body(BodyFraming(request), other)


async def one_body(end: ConnectionEnd) -> None:
    to = end_on(Wire())
    framing = BodyFraming(parse_request_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked"))
    await end.pass_on_body(framing, to)
    assert framing.ended


BEGIN = b"POST /v1/console/x HTTP/1.1\r\n"


@pytest.mark.parametrize("step", [1, 100_000], ids=["bytes", "whole"])
@pytest.mark.parametrize(
    ("raw", "read", "size"),
    [
        pytest.param(lambda n: BEGIN + b"Name: v\r\n" * n + b"\r\n", one_head, 800, id="header lines"),
        pytest.param(lambda n: BEGIN + b"A: " + b"v" * n + b"\r\n\r\n", one_head, 8_000, id="a long header"),
        pytest.param(lambda n: b"1\r\nx\r\n" * n + b"0\r\n\r\n", one_body, 1_000, id="chunks"),
        pytest.param(
            lambda n: (BEGIN + b"Content-Length: 1\r\n\r\nx") * n, all_requests, 100, id="requests in a row"
        ),
    ],
)
def test_what_comes_costs_time_by_its_size(
    raw: Callable[[int], bytes], read: Callable[[ConnectionEnd], Awaitable[object]], size: int, step: int
) -> None:
    assert times_the_work(reading(raw, step, read), size) < 24


async def test_what_can_be_no_head_is_refused_before_it_ends() -> None:
    for raw in (b"\x16\x03\x01", b"GE\x00", b" GET / HTTP/1.1", b"x" * 40):
        end = end_on(Wire())
        with pytest.raises(RemoteProtocolError):
            await asyncio.gather(end.read_request_head(), comes(end, raw, 1))
    for raw in (b"GET /", b"\x00", b"HTTQ"):
        end = end_on(Wire())
        with pytest.raises(RemoteProtocolError):
            await asyncio.gather(end.read_response_head(), comes(end, raw, 1))


async def test_a_head_that_is_cut_off_is_none() -> None:
    for raw in (b"", b"G", b"GET / HTTP/1.1\r\nA: b\r\n"):
        end = end_on(Wire())
        head, _ = await asyncio.gather(end.read_request_head(), comes(end, raw, 1))
        assert head is None


@pytest.mark.parametrize("step", [1_000, 100_000])
async def test_a_head_is_too_large_however_it_comes(step: int) -> None:
    end = end_on(Wire())
    raw = BEGIN + b"A: " + b"v" * 65_536 + b"\r\n\r\n"
    with pytest.raises(RemoteProtocolError, match="without an end"):
        await asyncio.gather(end.read_request_head(), comes(end, raw, step))


async def test_it_reads_on_once_all_reasons_not_to_are_gone() -> None:
    class Counting(Wire):
        reads = True

        def pause_reading(self) -> None:
            self.reads = False

        def resume_reading(self) -> None:
            self.reads = True

    wire = Counting()
    end = end_on(wire)
    end.pause_reading_for("peer")
    end.pause_reading_for("book")
    end.resume_reading_for("peer")
    assert not wire.reads
    end.resume_reading_for("book")
    assert wire.reads
