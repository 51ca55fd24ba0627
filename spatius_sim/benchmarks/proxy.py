"""Measures what the recording proxy costs, compared with no proxy and with mitmproxy's reverse mode. The rows
are (name, value, unit, mark); the mark is the promise, "" if there is none."""

import asyncio
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from spatius_sim.benchmarks.tape import CHUNK_BYTES, RATE, SECONDS_OF_SPEECH, Row, session
from spatius_sim.model.server.replay import RecordedRun, read_recorded_run
from spatius_sim.net.client.motion_server import UpstreamClient
from spatius_sim.net.listening import LOOPBACK
from spatius_sim.net.server.replay_server import Playing, ReplayServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.messages import AudioInput, ConfigureSession

_LONGEST_SECONDS = 120.0
_CHUNK_SECONDS = 0.1
_SHORT_TURN_CHUNKS = 20

ProxyCommand = Callable[[int, int, Path], list[str]]
"""Makes the command line of a proxy from the port of its upstream, its own port, and its file."""


def proxying(sessions: int, rounds: int, mitmdump: str | None) -> list[Row]:
    """Measure the CPU time of a recording proxy for each second of a session, compared with a client and a
    server alone and with mitmproxy; and the delay that it adds to a payload while so many sessions speak in
    real time."""
    seconds = sessions * SECONDS_OF_SPEECH
    direct = min(asyncio.run(_measure_cpu(sessions, None)).own for _ in range(rounds)) / seconds * 1e6
    ours = _measure_cost(_our_proxy, sessions, rounds)
    rows = [
        ("a session-second without a proxy: client and server", direct, "µs", ""),
        ("the recording proxy adds to a session-second", ours, "µs", ""),
        ("a session-second: with the proxy to without", (direct + ours) / direct, "x", ""),
    ]
    program = mitmdump or shutil.which("mitmdump")
    if program:
        theirs = _measure_cost(_mitmproxy(program), sessions, rounds)
        rows += [
            ("a recording mitmproxy adds to a session-second", theirs, "µs", ""),
            ("proxy: how many times cheaper than mitmproxy", theirs / ours, "x", "at least 8"),
        ]
    else:
        rows.append(("mitmproxy is not installed (--mitmdump PATH): nothing beside the proxy", 0.0, "", ""))
    alone, through = (
        sorted(asyncio.run(_measure_waits(sessions, rounds, proxy))) for proxy in (None, _our_proxy)
    )
    for name, place in (("p50", 49), ("p99", 98)):
        cuts = [quantiles(waits, n=100, method="inclusive")[place] * 1e3 for waits in (alone, through)]
        rows.append((f"a payload without a proxy, {sessions} sessions, {name}", cuts[0], "ms", ""))
        rows.append(
            (f"the proxy adds to a payload, {sessions} sessions, {name}", cuts[1] - cuts[0], "ms", "")
        )
    return rows


def _measure_cost(proxy: ProxyCommand, sessions: int, rounds: int) -> float:
    """Return the microseconds of CPU of the proxy's process for each second of a session, without its
    start-up."""
    idle = min(asyncio.run(_measure_cpu(0, proxy)).proxy for _ in range(rounds))
    busy = min(asyncio.run(_measure_cpu(sessions, proxy)).proxy for _ in range(rounds))
    return max(busy - idle, 1e-6) / sessions / SECONDS_OF_SPEECH * 1e6


def _our_proxy(upstream: int, port: int, file: Path) -> list[str]:
    place = f"http://{LOOPBACK}:{upstream}"
    arguments = ["record", "--upstream", place, "--port", str(port), "--out", str(file)]
    return [sys.executable, "-m", "spatius_sim", *arguments]


def _mitmproxy(program: str) -> ProxyCommand:
    """Return the function that makes the command line of mitmproxy."""

    def command(upstream: int, port: int, file: Path) -> list[str]:
        mode = f"reverse:http://{LOOPBACK}:{upstream}"
        return [program, "-q", "--mode", mode, "--listen-host", LOOPBACK, "-p", str(port), "-w", str(file)]

    return command


@dataclass(slots=True)
class _Spent:
    """CPU seconds of this process, and of the proxy's process from its start to its end."""

    own: float = 0.0
    proxy: float = 0.0


@dataclass(frozen=True, slots=True)
class _UpstreamPort:
    """The port at which a Server SDK finds Motion Server, or a proxy before it."""

    port: int

    def client(self) -> UpstreamClient:
        """Make a client that connects there."""
        return UpstreamClient(
            f"http://{LOOPBACK}:{self.port}{CONSOLE_ROOT}",
            f"ws://{LOOPBACK}:{self.port}{INGRESS_ROOT}",
            api_key="a-key-of-the-benchmark",
            app_id="app",
            avatar_id="avatar",
            expire_at=int(time.time()) + 600,
        )


@asynccontextmanager
async def _start_proxy(
    script: RecordedRun, proxy: ProxyCommand | None, spent: _Spent
) -> AsyncIterator[_UpstreamPort]:
    """Start a replay server and, if asked, a proxy before it; then note what the proxy has spent."""
    async with ReplayServer(script, Playing(speed=0)) as server:
        if proxy is None:
            yield _UpstreamPort(server.port)
            return
        with tempfile.TemporaryDirectory() as folder, socket.create_server((LOOPBACK, 0)) as free:
            port = free.getsockname()[1]
            free.close()
            command = proxy(server.port, port, Path(folder) / "recorded")
            process = _start_process(command)
            try:
                await _wait_until_listening(port)
                yield _UpstreamPort(port)
            finally:
                process.send_signal(signal.SIGINT)
                used = await asyncio.to_thread(_wait_for_usage, process)
                spent.proxy = used.ru_utime + used.ru_stime


def _start_process(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _wait_until_listening(port: int) -> None:
    """Wait until something listens on a port."""
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


def _wait_for_usage(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    """Wait until a process ends, and return what it has used."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used


async def _measure_cpu(sessions: int, proxy: ProxyCommand | None) -> _Spent:
    """Speak so many sessions at once, each as fast as it can, and return what that cost."""
    spent = _Spent()
    script = read_recorded_run(session(0))
    pcm = bytes(script.turns[0].audio)
    script.turns *= max(1, sessions)
    async with _start_proxy(script, proxy, spent) as place:
        begun = time.process_time()
        await asyncio.gather(*(_speak(place, pcm) for _ in range(sessions)))
        spent.own = time.process_time() - begun
    return spent


async def _speak(place: _UpstreamPort, pcm: bytes) -> None:
    """Speak one turn as fast as possible, and wait for the end of its motion."""
    async with asyncio.timeout(_LONGEST_SECONDS), place.client() as client:
        await client.send(encode(ConfigureSession(RATE)))
        for start in range(0, len(pcm), CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            # The end mark of motion stands after the two ids, within the first bytes.
            if isinstance(frame, bytes) and b"\x18\x01" in frame[:64]:
                break


async def _measure_waits(sessions: int, turns: int, proxy: ProxyCommand | None) -> list[float]:
    """Return the seconds from the end of each short turn to its payload, while so many sessions speak in real
    time."""
    script = read_recorded_run(session(0))
    script.turns[0].replies = script.turns[0].replies[:1]
    script.turns *= sessions * turns
    async with _start_proxy(script, proxy, _Spent()) as place:
        starts = (number * _CHUNK_SECONDS / sessions for number in range(sessions))
        waits = await asyncio.gather(*(_speak_short_turns(place, start, turns) for start in starts))
    return [seconds for session_waits in waits for seconds in session_waits]


async def _speak_short_turns(place: _UpstreamPort, start: float, turns: int) -> list[float]:
    """Speak short turns in real time, and return how long each waits for its first payload."""
    waits = []
    async with asyncio.timeout(_LONGEST_SECONDS), place.client() as client:
        await client.send(encode(ConfigureSession(RATE)))
        frames = client.frames()
        await anext(frames)
        await asyncio.sleep(start)
        due = time.monotonic()
        for turn in range(turns):
            for chunk in range(_SHORT_TURN_CHUNKS):
                due += _CHUNK_SECONDS
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                end = chunk == _SHORT_TURN_CHUNKS - 1
                begun = time.perf_counter()
                await client.send(encode(AudioInput(f"request {turn}", bytes(CHUNK_BYTES), end)))
            await anext(frames)
            waits.append(time.perf_counter() - begun)
    return waits
