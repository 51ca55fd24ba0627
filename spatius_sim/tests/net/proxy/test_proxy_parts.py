"""Heads, bodies and frames as the proxy reads along: cut anywhere, and never trusted."""

import asyncio
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import parse_integer, parse_request_head, parse_response_head
from spatius_sim.net.proxy.proxy_recorder import ProxyRecorder
from spatius_sim.net.proxy.proxy_target import read_proxy_targets
from spatius_sim.net.proxy.websocket_tap import LARGEST_MESSAGE, WebSocketTap
from spatius_sim.protocol.errors import RemoteProtocolError, UsageError
from spatius_sim.trace.events import Closed, Event, Opened, Received, Sent
from spatius_sim.trace.known_secrets import MAX_SECRETS

REQUEST = (
    b"POST /v1/console/session-tokens?x=1 HTTP/1.1\r\nhost: here:1\r\nX-Api-Key:  k \r\nConnection: close"
)


def test_a_head_is_written_as_it_came_but_for_target_and_host() -> None:
    head = parse_request_head(REQUEST)
    assert head.as_bytes() == REQUEST + b"\r\n\r\n"
    assert (head.method, head.target) == ("POST", "/v1/console/session-tokens?x=1")
    assert head.header("x-api-key") == "k"
    assert not head.keeps_alive
    aimed = head.encode_with_target_and_host("/elsewhere", "there:2")
    wanted = REQUEST.replace(b"/v1/console/session-tokens?x=1", b"/elsewhere")
    assert aimed == wanted.replace(b"host: here:1", b"Host: there:2") + b"\r\n\r\n"


REQUEST_LINES = (
    b"GET / HTTP/1.1",
    b"GET",
    b"GET /",
    b"GET / HTTP/2",
    b"GET  / HTTP/1.1",
    b"GET /\x00 HTTP/1.1",
)
STATUS_LINES = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 2x0 OK",
    b"HTTP/1.1 +20 OK",
    b"HTTP/1.1 099 OK",
    b"HTTP/1.1 2000 OK",
)
BAD_LINES = (
    b"no colon",
    b": no name",
    b"A name: v",
    b"Name : v",
    b" folded: v",
    b"A: b\nC: d",
    b"A: b\rC: d",
    b"A: \0",
)


@pytest.mark.parametrize("raw", [b"", b"hello", *REQUEST_LINES[1:], *STATUS_LINES, b"G\nT / HTTP/1.1"])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_request_head(raw)


@pytest.mark.parametrize("raw", [b"", b"hello", *STATUS_LINES[1:], *REQUEST_LINES, b"HTTP/1.1 200 O\nK"])
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_response_head(raw)


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_header_that_two_readers_could_read_in_two_ways_is_refused(line: bytes) -> None:
    for read, first in ((parse_request_head, REQUEST_LINES[0]), (parse_response_head, STATUS_LINES[0])):
        with pytest.raises(RemoteProtocolError):
            read(first + b"\r\n" + line + b"\r\nName: value")


@pytest.mark.parametrize(
    "digits", [b"", b" 5", b"5 ", b"+5", b"-5", b"1_0", b"0x5", b"5.0", b"\xb2", "\u0665".encode(), b"5" * 16]
)
def test_a_number_is_digits_and_nothing_else(digits: bytes) -> None:
    for base in (10, 16):
        with pytest.raises(RemoteProtocolError):
            parse_integer(digits, base)


def test_numbers_are_read_to_their_base() -> None:
    assert (parse_integer(b"0012"), parse_integer(b"00fF", 16)) == (12, 255)
    assert parse_integer(b"9" * 15) == 10**15 - 1
    with pytest.raises(RemoteProtocolError):
        parse_integer(b"ff")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v1/console/x?y=http://z/", "/v1/console/x?y=http://z/"),
        (b"http://here:1/v1/console/x?y=1", "/v1/console/x?y=1"),
        (b"HTTPS://here", "/"),
        (b"ws://[::1]:9/v2/driveningress/websocket", "/v2/driveningress/websocket"),
        (b"*", "*"),
    ],
)
def test_the_path_of_a_target_that_is_a_whole_url(target: bytes, path: str) -> None:
    assert parse_request_head(b"GET " + target + b" HTTP/1.1").path == path


CHUNKED = b"5\r\nhello\r\n3;ext=1\r\nyou\r\n0\r\nTrailer: 1\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("headers", "body"),
    [(b"Content-Length: 5", b"hello"), (b"Transfer-Encoding: chunked", CHUNKED), (b"X: 1", b"")],
)
def test_the_end_of_a_body_is_found_however_it_is_cut(headers: bytes, body: bytes, step: int) -> None:
    framing = BodyFraming(parse_request_head(b"POST / HTTP/1.1\r\n" + headers))
    stream, taken = body + b"next", b""
    while not framing.ended:
        piece = stream[len(taken) : len(taken) + step]
        taken += piece[: framing.feed(piece)]
    assert taken == body


def test_bodies_that_answers_have_and_have_not() -> None:
    answer = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5")
    assert BodyFraming(answer, "HEAD").ended
    assert not BodyFraming(answer, "GET").ended
    assert BodyFraming(parse_response_head(b"HTTP/1.1 204 Nothing"), "GET").ended
    until_close = BodyFraming(parse_response_head(b"HTTP/1.1 200 OK"), "GET")
    assert until_close.until_close and until_close.feed(b"all") == 3


class Heard:
    def __init__(self, deflate: str = "") -> None:
        self.messages: list[str | bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.tap = WebSocketTap(
            self.messages.append, lambda code, reason: self.closes.append((code, reason)), deflate
        )

    def hear(self, stream: bytes, cuts: list[int]) -> None:
        places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
        for start, end in pairwise(places):
            self.tap.feed(stream[start:end])


def compressed(payload: bytes) -> bytes:
    stream = bytearray(Frame(Opcode.BINARY, payload).serialize(mask=False))
    stream[0] |= 0x40
    return bytes(stream)


messages = st.lists(st.text(max_size=200) | st.binary(max_size=70_000), max_size=4)


@given(messages, st.booleans(), st.lists(st.integers(0, 10**6), max_size=6), st.integers(1, 90_000))
def test_messages_are_read_however_they_are_cut(
    said: list[str | bytes], masked: bool, cuts: list[int], piece: int
) -> None:
    stream = b""
    for message in said:
        raw = message.encode() if isinstance(message, str) else message
        opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
        pieces = [raw[start : start + piece] for start in range(0, len(raw), piece)] or [b""]
        for number, part in enumerate(pieces):
            kind = Opcode.CONT if number else opcode
            frame = Frame(kind, part, fin=number == len(pieces) - 1)
            stream += frame.serialize(mask=masked)
            stream += Frame(Opcode.PING, b"between").serialize(mask=masked)
    stream += Frame(Opcode.CLOSE, (1001).to_bytes(2, "big") + b"bye").serialize(mask=masked)
    heard = Heard()
    heard.hear(stream, cuts)
    assert heard.messages == said
    assert heard.closes == [(1001, "bye")]


@pytest.mark.parametrize("forgets", [True, False])
def test_compressed_messages_are_read(forgets: bool) -> None:
    extension = "permessage-deflate" + "; server_no_context_takeover" * forgets
    heard = Heard(extension)
    deflate = zlib.compressobj(wbits=-15)
    for number in range(3):
        deflate = zlib.compressobj(wbits=-15) if forgets else deflate
        raw = deflate.compress(b"the same words again" * number) + deflate.flush(zlib.Z_SYNC_FLUSH)
        heard.tap.feed(compressed(raw[:-4]))
    assert heard.messages == [b"the same words again" * number for number in range(3)]


def bomb() -> bytes:
    deflate = zlib.compressobj(9, wbits=-15)
    raw = deflate.compress(bytes(2 * LARGEST_MESSAGE)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return compressed(raw[:-4])


@pytest.mark.parametrize(
    ("deflate", "stream"),
    [
        ("", b"\x82\x7f" + (2**40).to_bytes(8, "big")),
        ("", compressed(b"x")),
        ("permessage-deflate", compressed(b"\xff\xff")),
        ("permessage-deflate", bomb()),
    ],
)
def test_what_cannot_be_followed_is_told(deflate: str, stream: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Heard(deflate).tap.feed(stream)


def test_upstreams_are_one_base_or_both_endpoints() -> None:
    console, beside, ingress = read_proxy_targets(("http://127.0.0.1:8700",))
    assert (console.path, console.port, console.tls) == ("/v1/console", 8700, False)
    assert ingress.path == "/v2/driveningress"
    assert (beside.root, beside.path, beside.port) == ("/v1/auth", "/v1/auth", 8700)
    both = ("https://a.example/v1/console", "wss://b.example:444/x/v2/driveningress/")
    console, beside, ingress = read_proxy_targets(both)
    assert (beside.host_header, beside.path) == ("a.example", "/v1/auth")
    assert (console.host_header, console.tls) == ("a.example", True)
    assert (ingress.host_header, ingress.path) == ("b.example:444", "/x/v2/driveningress")
    assert read_proxy_targets(("http://[::1]:9",))[0].host_header == "[::1]:9"
    for wrong in ((), ("http://a/v1/console",), ("ftp://a",), ("http://a:b",), ("nonsense",)):
        with pytest.raises(UsageError, match="--upstream"):
            read_proxy_targets(wrong)


async def test_a_proxy_that_runs_for_months_remembers_the_newest_secrets_and_those_of_open_sessions() -> None:
    told: list[Event] = []
    book = ProxyRecorder(told.append)
    kept = book.secret_reference("token", "the session token of a long call", "upstream-1")
    up, _ = book.record_opening("upstream-1", Opened(kept), "")
    for number in range(2 * MAX_SECRETS):
        book.secret_reference("token", f"the session token of call {number}")
    assert book.secret_reference("token", "the session token of a long call") == kept
    last = f"the session token of call {2 * MAX_SECRETS - 1}"
    book.record_waiting_items()
    known = len(told)
    book.secret_reference("token", last)
    book.record_waiting_items()
    assert len(told) == known
    assert book.secret_reference("token", "the session token of call 0") == f"token#{2 * MAX_SECRETS + 2}"
    assert len(book._secrets.lengths()) == MAX_SECRETS + 1
    book.record_loss(up.session, by_server=True)
    book.record_waiting_items()
    assert told[-1].content == Closed(True, 1006)


def test_what_passes_is_told_in_order_with_the_time_at_which_it_passed() -> None:
    told: list[Event] = []
    all_told = asyncio.Event()

    def on_event(event: Event) -> None:
        told.append(event)
        if len(told) == 301:
            all_told.set()

    async def pass_by() -> None:
        book = ProxyRecorder(on_event)
        up, down = book.record_opening("upstream-1", Opened("token#1"), "")
        for number in range(300):
            line = down if number % 3 else up
            book.queue_bytes(line, b"\x81\x02" + f"{number % 100:02}".encode())
            await asyncio.sleep(0)
        await asyncio.wait_for(all_told.wait(), 10)
        book.queue_bytes(up, b"\x81\x02up")
        book.record_loss(up.session, by_server=False)

    asyncio.run(pass_by())
    times = [event.at_ns for event in told]
    assert times == sorted(times)
    said = [event.content.raw for event in told if isinstance(event.content, Sent | Received)]
    assert said == [*[f"{number % 100:02}" for number in range(300)], "up"]
    assert sum(isinstance(event.content, Received) for event in told) == 101
    assert told[-1].content == Closed(False, 1006)
