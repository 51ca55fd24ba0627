"""Bodies as the proxy finds their end: what is no body is refused at once, in time linear in its bytes."""

from collections.abc import Callable

import pytest

from spatius_sim.net.http_heads import BodyFraming, read_head
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.tests.net.work import seconds_at_most, times_the_work

SECONDS = 5.0
REQUEST = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"


def take(head: bytes, body: bytes, step: int) -> BodyFraming:
    """The framing of that head after the body came in pieces of `step` bytes."""
    framing = BodyFraming(read_head(head), "GET" if head == ANSWER else "")
    for place in range(0, len(body), step):
        framing.take(body[place : place + step])
    return framing


BAD_BODIES = {
    "a negative size": b"1\r\nx\r\n-6\r\nZ",
    "a size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size after a space": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64": b"10000000000000000\r\n",
    "a size of 5,000 digits": b"1" * 5_000 + b"\r\n",
    "no CRLF after the data": b"5\r\nhelloX",
    "a bare LF after the data": b"5\r\nhello\n",
    "a bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "trailers that never end": b"0\r\n" + b"Name: value\r\n" * 10_000,
    "a trailer that is none": b"0\r\nno colon\r\n\r\n",
}


@pytest.mark.xfail(strict=True, reason="Python's int() reads sizes, and nobody looks at the line's end")
@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize("head", [REQUEST, ANSWER], ids=["request", "answer"])
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_what_is_no_chunk_is_refused_at_once(body: bytes, head: bytes, step: int) -> None:
    with seconds_at_most(SECONDS), pytest.raises(RemoteProtocolError):
        take(head, body, step)


def one_byte_at_a_time(chunk: bytes) -> Callable[[int], Callable[[], object]]:
    def prepare(size: int) -> Callable[[], object]:
        return lambda: take(REQUEST, chunk * (size // len(chunk)), 1)

    return prepare


def test_many_tiny_chunks_take_time_by_their_number() -> None:
    assert times_the_work(lambda n: lambda: take(REQUEST, b"1\r\nx\r\n" * n, 10**9), 4_000) < 24
    assert times_the_work(one_byte_at_a_time(b"1\r\nx\r\n"), 20_000) < 24
