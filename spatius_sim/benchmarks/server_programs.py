"""`python -m spatius_sim.benchmarks.server_programs KIND`: a server in its own process, to be measured.

The server prints its port, then one line of figures for each line that it reads, and ends with its input. The
kinds: `ours`; `traced`, ours with a trace; `inspected`, ours with the control interface and its page; and
`bare`, the least that could do the job: an aiohttp handler that parses every message and answers with
constant bytes, at the same places of the audio as ours. `keeping` is bare and also keeps all frames, as a
trace must. `synthesizing` is keeping and also makes its motion from the audio: the least that could do all
that ours does. Garbage is collected alike in all of them."""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from spatius_sim import __version__
from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.net.garbage_collector import collect_seldom
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, segment_end
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import SESSION_TOKENS_PATH, WEBSOCKET_PATH
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import ConfirmSession, MotionResponse
from spatius_sim.trace.events import TraceHeader

_RATE = 16000
_CONFIRMATION = encode(ConfirmSession("constant"))
_MEMORY_FILE = Path("/proc/self/statm")


def _encode_motion(keyframe_count: int, *, end: bool) -> bytes:
    """Return an encoded motion response with `keyframe_count` keyframes, all zeros, for the bare server."""
    return encode(MotionResponse("constant", "constant", end, np.zeros((keyframe_count, WIDTH), np.float32)))


_FIRST_MOTION, _NEXT_MOTION, _LAST_MOTION = (
    _encode_motion(50, end=False),
    _encode_motion(100, end=False),
    _encode_motion(50, end=True),
)


_FRAME_STORE = web.AppKey("kept", list[bytes])
_SYNTHESIZES = web.AppKey("synthesizes", bool)


async def _answer_bare(request: web.Request) -> web.WebSocketResponse:
    """Serve one session as the bare server of the benchmark: parse each message, and answer with constant
    bytes. If the application says so, also store all frames, and make the motion from the audio."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    stored_frames = request.app.get(_FRAME_STORE)
    answer = _new_answer() if request.app[_SYNTHESIZES] else None
    segment_number, audio_bytes = 0, 0
    async for frame in socket:
        if frame.type is not WSMsgType.BINARY:
            continue
        if stored_frames is not None:
            stored_frames.append(frame.data)
        message = wire.Message()
        message.ParseFromString(frame.data)
        if message.type == wire.CLIENT_CONFIGURE_SESSION:
            await socket.send_bytes(_CONFIRMATION)
            continue
        if answer is not None and stored_frames is not None:
            payloads = [*answer.feed(message.client_audio_input.audio)]
            if message.client_audio_input.end:
                payloads += answer.finish()
                answer = _new_answer()
            for motion in payloads:
                stored_frames.append(motion)
                await socket.send_bytes(motion)
            continue
        audio_bytes += len(message.client_audio_input.audio)
        if audio_bytes * KEYFRAMES_PER_SECOND > segment_end(segment_number) * _RATE * BYTES_PER_SAMPLE:
            motion = _NEXT_MOTION if segment_number else _FIRST_MOTION
            if stored_frames is not None:
                # A copy that is made for this answer, as ours are.
                motion = bytes(bytearray(motion))
                stored_frames.append(motion)
            await socket.send_bytes(motion)
            segment_number += 1
        if message.client_audio_input.end:
            await socket.send_bytes(_LAST_MOTION)
            segment_number, audio_bytes = 0, 0
    return socket


def _new_answer() -> SynthesizedAnswer:
    """Return a new answer to a request: it makes motion from audio, as our server does."""
    return SynthesizedAnswer("constant", "constant", _RATE, 1)


async def _answer_token_request(request: web.Request) -> web.Response:
    """Answer a token request to the bare server of the benchmark, always with the same token."""
    await request.read()
    return web.Response(text='{"sessionToken":"constant"}', content_type="application/json")


def _read_figures() -> dict[str, float]:
    """Return the CPU seconds that this process has spent, and the bytes of memory that it holds. Where the
    present memory cannot be read (not on Linux), its highest amount so far is returned."""
    if _MEMORY_FILE.exists():
        _, resident_pages, *_ = _MEMORY_FILE.read_text().split()
        resident_bytes = int(resident_pages) * os.sysconf("SC_PAGE_SIZE")
    else:
        resident_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu_seconds": time.process_time(), "resident_bytes": resident_bytes}


async def _report_figures(port: int, discard_records: Callable[[], object] = lambda: None) -> None:
    """Print the port of this server. Then, for each line that the benchmark writes to standard input, print
    the server's figures, such as its CPU time. Return when the input ends.

    After each line call `discard_records`, to throw away what the server has recorded so far."""
    input_lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(input_lines), sys.stdin)
    figures: dict[str, float] = {"port": port}
    while True:
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
        if not await input_lines.readline():
            return
        figures = _read_figures()
        discard_records()


async def serve_ours(*, traced: bool) -> None:
    """Run our Motion Server, and report its figures to the benchmark until standard input ends. The server
    makes motion from audio and, if `traced`, also records all messages in a trace."""
    if not traced:
        async with SocketMotionServer(seed=1) as server:
            await _report_figures(server.port)
        return
    recorder = RealTimeRecorder()
    discard_records = partial(recorder.start, TraceHeader("relay", "", 0, "", __version__))
    discard_records()
    async with SocketMotionServer(seed=1, sink=recorder) as server:
        await _report_figures(server.port, discard_records)


async def serve_inspected() -> None:
    """Run our Motion Server with its control interface, as the command `serve` does. Report its figures to
    the benchmark until standard input ends."""
    async with MotionServer(seed=1) as server:
        await _report_figures(server.port)


async def serve_bare(*, keeping: bool, synthesizing: bool = False) -> None:
    """Run a bare server, with which the benchmark compares ours, and report its figures until standard input
    ends. It answers with constant bytes. If `keeping`, it also stores all frames; if `synthesizing` as well,
    it makes its motion from the audio instead."""
    app = web.Application()
    app[_SYNTHESIZES] = synthesizing
    stored_frames: list[bytes] = []
    if keeping:
        app[_FRAME_STORE] = stored_frames
    app.router.add_post(SESSION_TOKENS_PATH, _answer_token_request)
    app.router.add_get(WEBSOCKET_PATH, _answer_bare)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0, backlog=1024).start()
    await _report_figures(int(runner.addresses[0][1]), stored_frames.clear)
    await runner.cleanup()


_KINDS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    "ours": partial(serve_ours, traced=False),
    "traced": partial(serve_ours, traced=True),
    "inspected": serve_inspected,
    "bare": partial(serve_bare, keeping=False),
    "keeping": partial(serve_bare, keeping=True),
    "synthesizing": partial(serve_bare, keeping=True, synthesizing=True),
}

if __name__ == "__main__":
    collect_seldom()
    asyncio.run(_KINDS[sys.argv[1]]())
