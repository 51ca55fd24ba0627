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
    """Return the WebSocket frame in which a client sends this payload, of less than 64 KiB (RFC 6455, 5.2).
    The frame's mask is all zeros, so the payload stays as it is, and masking it costs no CPU time."""
    final_binary_bits, mask_bit = 0x82, 0x80
    if len(payload) < _LENGTH_IN_2_BYTES:
        return struct.pack("!BB4x", final_binary_bits, mask_bit | len(payload)) + payload
    return struct.pack("!BBH4x", final_binary_bits, mask_bit | _LENGTH_IN_2_BYTES, len(payload)) + payload


CONFIGURE_FRAME = _make_frame(encode(ConfigureSession(PLAN_SAMPLE_RATE)))
END_FRAME = _make_frame(encode(AudioInput("request", end=True)))


def median_ratio(costs: list[float], other_costs: list[float]) -> float:
    """Divide each cost by the other cost of its pair, and return the median of these ratios. A benchmark
    measures both costs of a pair soon after each other, so that other work on the machine slows down both."""
    return median(cost / other_cost for cost, other_cost in zip(costs, other_costs, strict=True))


def make_speech_frames(speech_seconds: float) -> list[bytes]:
    """Return speech of this length as WebSocket frames that a session of the benchmark can send. Each frame
    holds 100 ms of speech."""
    pcm = speech("benchmark", int(speech_seconds * PLAN_SAMPLE_RATE))
    starts = range(0, len(pcm), _CHUNK_BYTES)
    return [_make_frame(encode(AudioInput("request", pcm[start : start + _CHUNK_BYTES]))) for start in starts]


@dataclass(slots=True)
class BenchSession(asyncio.Protocol):
    """A benchmark's session with a server: one connection of a client. `upgrade_request` is the HTTP request
    that opens it. `arrival_times` says when each frame came (monotonic seconds)."""

    upgrade_request: bytes
    arrival_times: list[float] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _is_upgraded: bool = False
    _transport: asyncio.Transport | None = None
    _awaited_frame_count: int = 0
    _wait_over: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the HTTP request that asks the server for a WebSocket: the session of the benchmark begins."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.upgrade_request)

    def data_received(self, data: bytes) -> None:
        """Read these bytes of the server: note the time of each complete WebSocket frame. If enough frames
        have come, end the wait for them.

        The server's first bytes are its answer to the upgrade request; when that answer is complete, send
        ConfigureSession. Raises RuntimeError if the server refuses the upgrade."""
        self._buffer += data
        if not self._is_upgraded:
            head, head_end, _ = self._buffer.partition(b"\r\n\r\n")
            if not head_end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"the upgrade was refused: {head[:60]!r}")
            del self._buffer[: len(head) + len(head_end)]
            self._is_upgraded = True
            self.send(CONFIGURE_FRAME)
        while len(self._buffer) >= 2:
            payload_length, payload_start = self._buffer[1] & _LENGTH_BITS, 2
            if payload_length >= _LENGTH_IN_2_BYTES:
                payload_start = 4 if payload_length == _LENGTH_IN_2_BYTES else 10
                if len(self._buffer) < payload_start:
                    break
                payload_length = int.from_bytes(self._buffer[2:payload_start])
            if len(self._buffer) < payload_start + payload_length:
                break
            del self._buffer[: payload_start + payload_length]
            self.arrival_times.append(time.monotonic())
        if len(self.arrival_times) >= self._awaited_frame_count:
            self._wait_over.set()

    def connection_lost(self, error: Exception | None) -> None:
        """End the wait for frames: the session is over, and no more frames will come."""
        self._wait_over.set()

    def send(self, frames: bytes) -> None:
        """Send the bytes of one or more frames of the benchmark's session."""
        assert self._transport is not None
        self._transport.write(frames)

    async def wait_for_frames(self, frame_count: int) -> None:
        """Wait until the server has sent `frame_count` frames in all since the benchmark opened this session.

        Raises RuntimeError if the server closes the connection before that, and TimeoutError if the frames
        have not come after _TIMEOUT_SECONDS."""
        self._awaited_frame_count = frame_count
        if len(self.arrival_times) < frame_count:
            self._wait_over.clear()
            await asyncio.wait_for(self._wait_over.wait(), _TIMEOUT_SECONDS)
        if len(self.arrival_times) < frame_count:
            raise RuntimeError("the server closed the connection")

    def close(self) -> None:
        """Send a close frame, and close the session's connection."""
        assert self._transport is not None
        self._transport.write(_CLOSE_FRAME)
        self._transport.close()


@dataclass(frozen=True, slots=True)
class SessionDriver:
    """Opens a benchmark's sessions at a server that listens on `port`."""

    port: int
    upgrade_request: bytes

    @classmethod
    async def make_for_port(cls, port: int) -> "SessionDriver":
        """Return a driver for the measured server on this port: it opens sessions of the benchmark there.

        First fetch the session token for all of them from the server; it is valid for an hour."""
        token_answer = await ask_for_token(
            f"http://{LOOPBACK}:{port}{CONSOLE_ROOT}", "key", int(time.time()) + 3600
        )
        request_lines = [
            f"GET {WEBSOCKET_PATH}?id=avatar HTTP/1.1",
            f"Host: {LOOPBACK}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "X-App-ID: app",
            f"X-Session-Key: {session_token_in(token_answer)}",
        ]
        return cls(port, "\r\n".join([*request_lines, "", ""]).encode())

    async def open_session(self) -> BenchSession:
        """Open a session with the measured server, and return it as soon as the server has confirmed it."""
        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(
            lambda: BenchSession(self.upgrade_request), LOOPBACK, self.port
        )
        await session.wait_for_frames(1)  # The first frame is the confirmation.
        return session

    async def speak_unpaced(self, speech_frames: list[bytes], response_count: int) -> None:
        """Run one session of the benchmark: send all speech as fast as the server takes it, wait until
        `response_count` responses have come, and close the session."""
        session = await self.open_session()
        for frame in speech_frames:
            session.send(frame)
            await asyncio.sleep(0)  # A Server SDK awaits every send, too.
        session.send(END_FRAME)
        await session.wait_for_frames(1 + response_count)  # The first frame is the confirmation.
        session.close()

    async def speak_paced(
        self, speech_frames: list[bytes], delay_seconds: float, answered_frame_numbers: list[int]
    ) -> list[float]:
        """Run one session of the benchmark in real time: after `delay_seconds`, send one frame every 100 ms.

        The server answers each frame in `answered_frame_numbers` with one response. Return for each response
        how many seconds after that frame it came."""
        session = await self.open_session()
        due_times: list[float] = []
        first_sent_at = time.monotonic() + delay_seconds
        for frame_number, frame in enumerate(speech_frames):
            await asyncio.sleep(first_sent_at + frame_number * CHUNK_SECONDS - time.monotonic())
            session.send(frame)
            if frame_number in answered_frame_numbers:
                due_times.append(time.monotonic())
        await session.wait_for_frames(1 + len(answered_frame_numbers))
        session.close()
        arrival_times = session.arrival_times[1 : 1 + len(answered_frame_numbers)]
        return [came_at - due_at for came_at, due_at in zip(arrival_times, due_times, strict=True)]
