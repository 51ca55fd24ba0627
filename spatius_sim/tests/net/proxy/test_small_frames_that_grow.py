"""Compressed frames of some kilobytes that grow to 15 MiB: neither memory nor the tape grows with them."""

import asyncio
import tracemalloc
import zlib
from pathlib import Path

import pytest

from spatius_sim.engine.tapes.write_proxy_tape import ProxyTape, proxy_header
from spatius_sim.net.proxy.proxy_recorder import ProxyRecorder
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.events import Opened, Received, Sent, TraceHeader

GROWN = 15 * 1_048_576
COUNT = 6
DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
BINARY, TEXT = 0xC2, 0xC1


def grows(first_byte: int, message: bytes) -> bytes:
    """Return a compressed WebSocket frame, without a mask."""
    deflate = zlib.compressobj(wbits=-15)
    payload = (deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
    return bytes([first_byte, 126]) + len(payload).to_bytes(2, "big") + payload


MESSAGES = {
    "audio": lambda: (BINARY, encode(AudioInput("request", bytes(GROWN)))),
    "nothing known": lambda: (BINARY, b"\x08\x7f" + bytes(GROWN)),
    "no message": lambda: (BINARY, b"\xff" * GROWN),
    "motion": lambda: (BINARY, b"\x08\x05" + bytes(GROWN)),
    "text": lambda: (TEXT, b"x" * GROWN),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_they_leave_a_small_tape_and_little_in_memory(tmp_path: Path, kind: str) -> None:
    frame = grows(*MESSAGES[kind]())
    assert len(frame) < 64 * 1024
    header = proxy_header(keep_audio=False, keep_names=False)

    async def record() -> int:
        tape = ProxyTape(tmp_path / "a.tape", header)
        tape.begin_run(TraceHeader("relay", "", 0, "", "", halves="upstream"))
        book = ProxyRecorder(tape.write_event)
        directions = book.record_opening("upstream-1", Opened("token#1", "app", "avatar"), DEFLATE)
        tracemalloc.start()
        for _ in range(COUNT):
            for direction in directions:
                book.queue_bytes(direction, frame)
                book.record_waiting_items()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        tape.close()
        return peak

    assert asyncio.run(record()) < 10 * GROWN
    assert (tmp_path / "a.tape").stat().st_size < 1_048_576
    (trace,) = read_traces(tmp_path / "a.tape")
    frames = [event.content for event in trace.events if isinstance(event.content, Sent | Received)]
    assert len(frames) == 2 * COUNT
