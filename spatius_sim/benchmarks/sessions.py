"""Drives sessions at next to no cost, so that a benchmark measures the server."""

import asyncio
import struct
import time
from dataclasses import dataclass, field

from spatius_sim.net.client.motion_server import ask_for_token
from spatius_sim.net.listening import LOOPBACK
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console import CONSOLE_ROOT, WEBSOCKET_PATH, token_in
from spatius_sim.protocol.messages import AudioInput, ConfigureSession

CHUNK_SECONDS = 0.1
_CHUNK_BYTES = int(PLAN_SAMPLE_RATE * CHUNK_SECONDS) * BYTES_PER_SAMPLE
_CLOSE = b"\x88\x80\0\0\0\0"
_TIMEOUT_SECONDS = 60.0


def _make_frame(payload: bytes) -> bytes:
    """Make a binary frame of a client; a mask of zeros leaves the payload as it is."""
    if len(payload) < 126:
        return struct.pack("!BB4x", 0x82, 0x80 | len(payload)) + payload
    return struct.pack("!BBH4x", 0x82, 0x80 | 126, len(payload)) + payload


CONFIGURE = _make_frame(encode(ConfigureSession(PLAN_SAMPLE_RATE)))
END = _make_frame(encode(AudioInput("request", end=True)))


def speech_frames(seconds: float) -> list[bytes]:
    """Make frames of 100 ms of speech each."""
    pcm = speech("benchmark", int(seconds * PLAN_SAMPLE_RATE))
    starts = range(0, len(pcm), _CHUNK_BYTES)
    return [_make_frame(encode(AudioInput("request", pcm[start : start + _CHUNK_BYTES]))) for start in starts]


@dataclass(slots=True)
class BenchSession(asyncio.Protocol):
    """Drives one connection, and notes when each frame comes (monotonic seconds)."""

    upgrade: bytes
    arrivals: list[float] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _upgraded: bool = False
    _transport: asyncio.Transport | None = None
    _wanted: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade, and configure without waiting for it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.upgrade)

    def data_received(self, data: bytes) -> None:
        """Count whole frames."""
        self._buffer += data
        if not self._upgraded:
            head, found, _ = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"the upgrade was refused: {head[:60]!r}")
            del self._buffer[: len(head) + 4]
            self._upgraded = True
            self.send(CONFIGURE)
        while len(self._buffer) >= 2:
            length, start = self._buffer[1] & 127, 2
            if length > 125:
                start = 4 if length == 126 else 10
                if len(self._buffer) < start:
                    break
                length = int.from_bytes(self._buffer[2:start])
            if len(self._buffer) < start + length:
                break
            del self._buffer[: start + length]
            self.arrivals.append(time.monotonic())
        if len(self.arrivals) >= self._wanted:
            self._arrived.set()

    def connection_lost(self, error: Exception | None) -> None:
        """End the wait: nothing more will come."""
        self._arrived.set()

    def send(self, frames: bytes) -> None:
        """Send frames."""
        assert self._transport is not None
        self._transport.write(frames)

    async def received(self, count: int) -> None:
        """Wait until so many frames have come in all."""
        self._wanted = count
        if len(self.arrivals) < count:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), _TIMEOUT_SECONDS)
        if len(self.arrivals) < count:
            raise RuntimeError("the server closed the connection")

    def close(self) -> None:
        """Send a close frame and close the connection."""
        assert self._transport is not None
        self._transport.write(_CLOSE)
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Driver:
    """Opens sessions at a server that listens on `port`."""

    port: int
    upgrade: bytes

    @classmethod
    async def at(cls, port: int) -> "Driver":
        """Make a driver for this port, with a token that lives for an hour."""
        asked = await ask_for_token(f"http://{LOOPBACK}:{port}{CONSOLE_ROOT}", "key", int(time.time()) + 3600)
        lines = [
            f"GET {WEBSOCKET_PATH}?id=avatar HTTP/1.1",
            f"Host: {LOOPBACK}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "X-App-ID: app",
            f"X-Session-Key: {token_in(asked)}",
        ]
        return cls(port, "\r\n".join([*lines, "", ""]).encode())

    async def open(self) -> BenchSession:
        """Open a session and wait until it is confirmed."""
        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(lambda: BenchSession(self.upgrade), LOOPBACK, self.port)
        await session.received(1)
        return session

    async def speak(self, frames: list[bytes], responses: int) -> None:
        """Run one session from its beginning to its end, as fast as the server takes it."""
        session = await self.open()
        for frame in frames:
            session.send(frame)
            await asyncio.sleep(0)  # A Server SDK awaits every send, too.
        session.send(END)
        await session.received(1 + responses)
        session.close()

    async def speak_paced(self, frames: list[bytes], start: float, borders: list[int]) -> list[float]:
        """Run one session in real time. Return the seconds from each frame that makes a response due
        (`borders`) to that response. The first frame goes out `start` seconds from now, then one every 100
        ms."""
        session = await self.open()
        due: list[float] = []
        begin = time.monotonic() + start
        for number, frame in enumerate(frames):
            await asyncio.sleep(begin + number * CHUNK_SECONDS - time.monotonic())
            session.send(frame)
            if number in borders:
                due.append(time.monotonic())
        await session.received(1 + len(borders))
        session.close()
        arrivals = session.arrivals[1 : 1 + len(borders)]
        return [arrived - sent for arrived, sent in zip(arrivals, due, strict=True)]
