"""Bad input at the ingress and the console: no traceback, no other session notices, memory stays bounded.

SPATIUS_SIM_FUZZ_EXAMPLES says how many inputs each test tries; a nightly run sets it to thousands.
"""

import asyncio
import contextlib
import logging
import os
import resource
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES, encode
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    LiveKitEgress,
    Message,
    MotionResponse,
    ServerError,
    UnknownMessage,
)
from spatius_sim.tests.net.talk import Talk, talk, utterance

# The session beside them is pinged now and then, with random bytes, whatever Hypothesis does meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

EXAMPLES = int(os.environ.get("SPATIUS_SIM_FUZZ_EXAMPLES", "60"))
SECONDS = 30.0
MAX_GROWTH = 256 * 1024
"""KiB by which the peak of this process, Hypothesis and all, may rise over each test."""

PCM = bytes(range(256)) * 25
"""Five keyframes."""

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Range:
    """A server under fire, and a session beside it that wants to be served all the while."""

    loop: BackgroundLoop
    server: SocketMotionServer
    canary: Talk
    complaints: list[logging.LogRecord] = field(default_factory=list)
    tried: dict[str, int] = field(default_factory=dict)
    unharmed: int = 0

    def fire(self, kind: str, attack: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One input; then the canary speaks, and is answered as ever."""
        self.tried[kind] = self.tried.get(kind, 0) + 1
        self.loop.run(attack(), SECONDS)
        self.loop.run(self._sing(), SECONDS)
        self.unharmed += 1
        assert [record.getMessage() for record in self.complaints] == []

    async def _sing(self) -> None:
        await self.canary.say(*utterance(f"song-{self.unharmed}", PCM))
        motion = await self.canary.hear_motion()
        assert sum(len(response.keyframes) for response in motion) == 5
        assert {response.req_id for response in motion} == {f"song-{self.unharmed}"}


class Complaints(logging.Handler):
    """Keeps what is logged with a traceback, or as an error. LiveKit's library is not listened to: rooms of
    other tests in this process may end meanwhile."""

    def __init__(self, kept: list[logging.LogRecord]) -> None:
        super().__init__()
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] == "livekit":
            return
        if record.exc_info or record.levelno >= logging.ERROR:
            self._kept.append(record)


@pytest.fixture(scope="module")
def range_(pytestconfig: pytest.Config) -> Iterator[Range]:
    loop, stack = BackgroundLoop(), AsyncExitStack()
    server = loop.run(stack.enter_async_context(SocketMotionServer(header_seconds=1.0)), SECONDS)
    canary = loop.run(stack.enter_async_context(talk(server)), SECONDS)
    shooting = Range(loop, server, canary)
    handler = Complaints(shooting.complaints)
    logging.getLogger().addHandler(handler)
    yield shooting
    logging.getLogger().removeHandler(handler)
    loop.run(stack.aclose(), SECONDS)
    loop.stop()
    counts = ", ".join(f"{count} {kind}" for kind, count in shooting.tried.items())
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nfuzz: inputs tried: {counts}; the session beside them was served {shooting.unharmed} times")


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH


texts = st.text(max_size=30)
numbers = st.integers(-(2**31), 2**31 - 1)
pairs = st.lists(st.tuples(texts, texts), max_size=3).map(lambda drawn: tuple(sorted(dict(drawn).items())))
req_ids = st.sampled_from(["", "a", "b"]) | texts
rates = st.sampled_from([8000, 16000, 48000]) | numbers
livekit = st.builds(LiveKitEgress, texts, texts, texts, texts, texts, texts, pairs, numbers)
agora = st.builds(AgoraEgress, texts, texts, st.integers(0, 2**32 - 1), texts)
motion = st.integers(0, 3).map(lambda n: np.zeros((n, WIDTH), np.float32))
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(AudioInput, req_ids, st.binary(max_size=9000), st.booleans(), texts, texts),
    st.builds(Interrupt, req_ids),
    st.builds(
        ConfigureSession,
        rates,
        numbers,
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 3),
        st.none() | livekit,
        st.none() | agora,
        pairs,
    ),
    st.builds(ConfirmSession, texts),
    st.builds(ServerError, texts, texts, numbers, texts),
    st.builds(MotionResponse, texts, texts, st.booleans(), motion),
    st.builds(UnknownMessage, st.integers(8, 2**31 - 1)),
)
CONFIGURED = encode(ConfigureSession(16000))
EMPTY_KEYFRAMES = b"\x08\x05\x32\x84\x80\x40\x22\x80\x80\x40" + b"\x0a\x00" * (MAX_MESSAGE_BYTES // 2)
"""A bomb: half a million keyframes of two bytes."""


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A message with some of its bytes changed, dropped or doubled."""
    raw = bytearray(encode(draw(messages)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(raw)


frames = st.lists(
    st.binary(max_size=300) | st.text(max_size=100) | spoiled() | st.just(EMPTY_KEYFRAMES), max_size=6
)


async def converse(server: SocketMotionServer, sent: list[str | bytes], *, configured: bool) -> None:
    """Send it all, and leave."""
    client = UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="any",
        app_id="fuzz",
        avatar_id="fuzz",
        expire_at=int(time.time()) + 600,
    )
    async with client:
        for frame in [CONFIGURED, *sent] if configured else sent:
            await client.send(frame)


async def knock(server: SocketMotionServer, raw: bytes) -> None:
    """Send raw bytes to the port, and hear whatever comes back until the server hangs up or falls silent."""
    reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(raw)
        await writer.drain()
        writer.write_eof()
        await asyncio.wait_for(reader.read(65536), 0.2)
    writer.close()


@fuzz
@given(sent=frames, configured=st.booleans())
def test_frames_of_any_bytes(sent: list[str | bytes], configured: bool, range_: Range) -> None:
    range_.fire("frames", lambda: converse(range_.server, sent, configured=configured))


@fuzz
@given(said=st.lists(messages, max_size=12), configured=st.booleans())
def test_messages_in_any_order(said: list[Message], configured: bool, range_: Range) -> None:
    raw: list[str | bytes] = [encode(message) for message in said]
    range_.fire("conversations", lambda: converse(range_.server, raw, configured=configured))


latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)
names = st.sampled_from(
    ["X-Api-Key", "X-App-ID", "X-Session-Key", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding"]
)
values = latin | st.sampled_from(["websocket", "Upgrade", "chunked", "-1", "99999999999", "13"])
paths = st.sampled_from(
    ["/v1/console/session-tokens", "/v2/driveningress/websocket?id=a&appId=b&sessionKey=c", "/bootstrap", "/"]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Something like an HTTP request."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "", "G\tT"]))
    lines = [
        f"{method} {draw(paths | latin)} {draw(st.sampled_from(['HTTP/1.1', 'HTTP/1.0', 'HTTP/9', '']))}"
    ]
    lines += [f"{draw(names | latin)}: {draw(values)}" for _ in range(draw(st.integers(0, 6)))]
    body = draw(st.binary(max_size=200) | st.just(b'{"expireAt": 1e999}') | st.just(b"[" * 5000))
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@fuzz
@given(raw=st.binary(max_size=400) | requests())
def test_http_requests_of_any_kind(raw: bytes, range_: Range) -> None:
    range_.fire("HTTP requests", lambda: knock(range_.server, raw))


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\n\xc9 V: x\r\n\r\n", b"\x16\x03\x01\x02\x00", b"G\tT / HTTP/9\r\n\r\n"]
)
def test_a_request_that_is_no_http_is_told_in_one_line(
    raw: bytes, range_: Range, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        range_.fire("HTTP requests", lambda: knock(range_.server, raw))
    [told] = [record for record in caplog.records if "not HTTP" in record.getMessage()]
    assert (told.levelname, told.exc_info) == ("INFO", None)
    assert "\n" not in told.getMessage()


def test_a_session_that_cannot_be_had_is_told(range_: Range) -> None:
    async def refused() -> None:
        with pytest.raises(UnreachableError, match="404"):
            async with talk(range_.server, avatar_id="missing-avatar"):
                pass

    range_.fire("refusals", refused)
