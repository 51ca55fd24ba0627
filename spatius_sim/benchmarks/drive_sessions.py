"""Drives sessions with very little CPU time, so that a benchmark measures the server and not its clients."""

import asyncio
import struct
import time
from dataclasses import dataclass, field
from statistics import median

from spatius_sim.net.client.own_server_sdk import ask_for_token
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, speech
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import CONSOLE_ROOT, WEBSOCKET_PATH, session_token_in
from spatius_sim.protocol.messages import AudioInput, ConfigureSession

CHUNK_SECONDS = 0.1
_CHUNK_BYTES = int(PLAN_SAMPLE_RATE * CHUNK_SECONDS) * BYTES_PER_SAMPLE
_CLOSE_FRAME = b"\x88\x80\0\0\0\0"
"""A client's close frame without a code. Its mask is zeros."""

_LENGTH_BITS = 127
_LENGTH_IN_2_BYTES = 126
"""This length of a frame means that the real length follows in 2 bytes; 127: in 8 bytes (RFC 6455, 5.2)."""

_TIMEOUT_SECONDS = 60.0


def _make_frame(payload: bytes) -> bytes:
    """Return the WebSocket frame with this payload that a benchmark's session sends (RFC 6455, 5.2). Its mask
    is zeros, which leaves the payload as it is and costs no CPU time."""
    final_binary, is_masked = 0x82, 0x80
    if len(payload) < _LENGTH_IN_2_BYTES:
        return struct.pack("!BB4x", final_binary, is_masked | len(payload)) + payload
    return struct.pack("!BBH4x", final_binary, is_masked | _LENGTH_IN_2_BYTES, len(payload)) + payload


CONFIGURE = _make_frame(encode(ConfigureSession(PLAN_SAMPLE_RATE)))
END = _make_frame(encode(AudioInput("request", end=True)))


def median_ratio(costs: list[float], other_costs: list[float]) -> float:
    """Return the median ratio of costs that a benchmark measured in pairs, one soon after the other. Whatever
    else the machine does burdens both of a pair; the least of each could compare a quiet moment of one with a
    busy moment of the other."""
    return median(cost / other for cost, other in zip(costs, other_costs, strict=True))


def speech_frames(seconds: float) -> list[bytes]:
    """Return so many seconds of speech as WebSocket frames of 100 ms each, ready for a benchmark's session to
    send."""
    pcm = speech("benchmark", int(seconds * PLAN_SAMPLE_RATE))
    starts = range(0, len(pcm), _CHUNK_BYTES)
    return [_make_frame(encode(AudioInput("request", pcm[start : start + _CHUNK_BYTES]))) for start in starts]


@dataclass(slots=True)
class BenchSession(asyncio.Protocol):
    """A benchmark's session with a server: one connection of a client. `arrivals` says when each frame came
    (monotonic seconds)."""

    upgrade: bytes
    arrivals: list[float] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _upgraded: bool = False
    _transport: asyncio.Transport | None = None
    _frames_awaited: int = 0
    _wait_over: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request of the benchmark's session."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.upgrade)

    def data_received(self, data: bytes) -> None:
        """Note when each complete frame of the benchmark's session came, and end the wait if enough frames
        have arrived.

        Until the server has answered the upgrade, look only for the end of that answer; then send
        ConfigureSession. Raises RuntimeError if the server refuses the upgrade."""
        self._buffer += data
        if not self._upgraded:
            head, head_end, _ = self._buffer.partition(b"\r\n\r\n")
            if not head_end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"the upgrade was refused: {head[:60]!r}")
            del self._buffer[: len(head) + len(head_end)]
            self._upgraded = True
            self.send(CONFIGURE)
        while len(self._buffer) >= 2:
            length, payload_start = self._buffer[1] & _LENGTH_BITS, 2
            if length >= _LENGTH_IN_2_BYTES:
                payload_start = 4 if length == _LENGTH_IN_2_BYTES else 10
                if len(self._buffer) < payload_start:
                    break
                length = int.from_bytes(self._buffer[2:payload_start])
            if len(self._buffer) < payload_start + length:
                break
            del self._buffer[: payload_start + length]
            self.arrivals.append(time.monotonic())
        if len(self.arrivals) >= self._frames_awaited:
            self._wait_over.set()

    def connection_lost(self, error: Exception | None) -> None:
        """End the wait for frames: the session is over, and no more frames will come."""
        self._wait_over.set()

    def send(self, frames: bytes) -> None:
        """Send the bytes of one or more frames of the benchmark's session."""
        assert self._transport is not None
        self._transport.write(frames)

    async def wait_for_frames(self, count: int) -> None:
        """Wait until the server has sent `count` frames since the benchmark opened this session.

        Raises RuntimeError if the server closes the connection before, and TimeoutError if the frames do not
        come in time."""
        self._frames_awaited = count
        if len(self.arrivals) < count:
            self._wait_over.clear()
            await asyncio.wait_for(self._wait_over.wait(), _TIMEOUT_SECONDS)
        if len(self.arrivals) < count:
            raise RuntimeError("the server closed the connection")

    def close(self) -> None:
        """Send a close frame, and close the session's connection."""
        assert self._transport is not None
        self._transport.write(_CLOSE_FRAME)
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Driver:
    """Opens a benchmark's sessions at a server that listens on `port`."""

    port: int
    upgrade: bytes

    @classmethod
    async def at(cls, port: int) -> "Driver":
        """Return a driver, which opens the sessions of a benchmark, for the server on this port. Ask the
        server for the session token, which lives for an hour."""
        token_answer = await ask_for_token(
            f"http://{LOOPBACK}:{port}{CONSOLE_ROOT}", "key", int(time.time()) + 3600
        )
        lines = [
            f"GET {WEBSOCKET_PATH}?id=avatar HTTP/1.1",
            f"Host: {LOOPBACK}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "X-App-ID: app",
            f"X-Session-Key: {session_token_in(token_answer)}",
        ]
        return cls(port, "\r\n".join([*lines, "", ""]).encode())

    async def open(self) -> BenchSession:
        """Open a benchmark's session with the measured server, and wait until the server has confirmed it."""
        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(lambda: BenchSession(self.upgrade), LOOPBACK, self.port)
        await session.wait_for_frames(1)
        return session

    async def speak(self, frames: list[bytes], responses: int) -> None:
        """Drive one session of the benchmark: send the frames as fast as the server takes them, wait for as
        many responses as `responses` says, and close the session."""
        session = await self.open()
        for frame in frames:
            session.send(frame)
            await asyncio.sleep(0)  # A Server SDK awaits every send, too.
        session.send(END)
        await session.wait_for_frames(1 + responses)
        session.close()

    async def speak_paced(self, frames: list[bytes], start: float, borders: list[int]) -> list[float]:
        """Run one session of the benchmark in real time, and return how many seconds each response takes.

        `borders` are the numbers of the frames that make a response due: its time counts from there. The
        first frame is sent in `start` seconds, and then one every 100 ms."""
        session = await self.open()
        due_times: list[float] = []
        first_at = time.monotonic() + start
        for number, frame in enumerate(frames):
            await asyncio.sleep(first_at + number * CHUNK_SECONDS - time.monotonic())
            session.send(frame)
            if number in borders:
                due_times.append(time.monotonic())
        await session.wait_for_frames(1 + len(borders))
        session.close()
        arrivals = session.arrivals[1 : 1 + len(borders)]
        return [arrival - due for arrival, due in zip(arrivals, due_times, strict=True)]
