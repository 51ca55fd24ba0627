"""Bodies as the proxy finds their end: what is not a body is refused at once, in time linear in its bytes."""

from collections.abc import Callable

import pytest

from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import parse_request_head, parse_response_head
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.tests.net.work import seconds_at_most, times_the_work

SECONDS = 5.0
REQUEST = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"


def take(head: bytes, body: bytes, step: int) -> BodyFraming:
    """The framing of that head after the body came in pieces of `step` bytes."""
    framing = (
        BodyFraming(parse_response_head(head), "GET")
        if head == ANSWER
        else BodyFraming(parse_request_head(head))
    )
    for place in range(0, len(body), step):
        framing.feed(body[place : place + step])
    return framing


@pytest.mark.parametrize("step", [1, 100_000])
@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;a=b;c\r\nhello\r\n0\r\n\r\n",
        b"5 ; a=b\r\nhello\r\n0;last\r\nName: value\r\nEmpty:\r\n\r\n",
        b"A\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n",
    ],
)
def test_chunks_are_followed_to_their_end(body: bytes, step: int) -> None:
    assert take(REQUEST, body, step).ended
    assert not take(REQUEST, body[:-1], step).ended


BAD_BODIES = {
    "a negative size": b"1\r\nx\r\n-6\r\nZ",
    "a size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size after a space": b" 5\r\nhello\r\n0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "an extension without a size": b";name=value\r\nhello\r\n0\r\n\r\n",
    "a size that is not a number": b"five\r\nhello\r\n0\r\n\r\n",
    "digits of another script": "\u0665\r\nhello\r\n0\r\n\r\n".encode(),
    "a size that never ends": b"1" * 70_000,
    "an extension that never ends": b"5;" + b"x" * 70_000,
    "one trailer that never ends": b"0\r\nName: " + b"x" * 70_000,
    "a size of 2^64": b"10000000000000000\r\n",
    "a size of 5,000 digits": b"1" * 5_000 + b"\r\n",
    "no CRLF after the data": b"5\r\nhelloX",
    "a bare LF after the data": b"5\r\nhello\n",
    "a bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "trailers that never end": b"0\r\n" + b"Name: value\r\n" * 10_000,
    "a trailer that is none": b"0\r\nno colon\r\n\r\n",
}


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


BAD_HEADS = {
    "both a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6",
    "the same length twice": b"Content-Length: 5\r\ncontent-length: 5",
    "two lengths in one line": b"Content-Length: 5, 5",
    "an empty length": b"Content-Length:",
    "a negative length": b"Content-Length: -5",
    "a length with a plus": b"Content-Length: +5",
    "a length with an underscore": b"Content-Length: 1_0",
    "a length of 5,000 digits": b"Content-Length: " + b"5" * 5_000,
    "digits of another script": b"Content-Length: \xb2",
    "chunks before another coding": b"Transfer-Encoding: chunked, gzip",
    "chunks in chunks": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "a coding that only sounds like chunks": b"Transfer-Encoding: xchunked",
    "an empty coding": b"Transfer-Encoding:",
}


@pytest.mark.parametrize("headers", BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_head_that_leaves_its_end_open_is_refused(headers: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        BodyFraming(parse_request_head(b"POST / HTTP/1.1\r\n" + headers))
    with pytest.raises(RemoteProtocolError):
        BodyFraming(parse_response_head(b"HTTP/1.1 200 OK\r\n" + headers), "GET")


def test_chunks_are_none_of_http_1_0() -> None:
    with pytest.raises(RemoteProtocolError):
        BodyFraming(parse_request_head(REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0")))
