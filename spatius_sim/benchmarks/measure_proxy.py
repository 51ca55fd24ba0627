"""Measures what the recording proxy costs, compared with no proxy and with mitmproxy's reverse mode. The rows
are (name, value, unit, mark); the mark is the promise, or "" if there is none."""

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

from spatius_sim.benchmarks.drive_sessions import median_ratio
from spatius_sim.benchmarks.measure_tapes import (
    CHUNK_BYTES,
    END_MARK,
    END_MARK_WITHIN,
    SAMPLE_RATE,
    SECONDS_OF_SPEECH,
    Row,
    make_session_trace,
)
from spatius_sim.model.server.match_taped_turns import RecordedRun, read_recorded_run
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.server.replay_server import Playing, ReplayServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.messages import AudioInput, ConfigureSession

_LONGEST_SECONDS = 120.0
_CHUNK_SECONDS = 0.1
_LOOK_AGAIN_SECONDS = 0.05
_SHORT_TURN_CHUNKS = 20
_WRITTEN_SECONDS = 2.0
"""Longer than any proxy here waits before it writes (ours writes every second)."""

ProxyCommand = Callable[[int, int, Path], list[str]]
"""A function that makes the command line of a proxy, from its upstream's port, its own port, and its file."""


def measure_proxy(sessions: int, rounds: int, mitmdump: str | None) -> list[Row]:
    """Benchmark the recording proxy with so many sessions, and return the figures.

    First its CPU time for each second of a session, compared with no proxy and with mitmproxy. Then the delay
    that it adds to a payload while the sessions speak in real time."""
    seconds = sessions * SECONDS_OF_SPEECH
    without_proxy = min(asyncio.run(_measure_cpu(sessions, None)).own for _ in range(rounds)) / seconds * 1e6
    program = mitmdump or shutil.which("mitmdump")
    our_costs, mitmproxy_costs = [], []
    for _ in range(rounds):
        our_costs.append(_measure_cost(_our_proxy, sessions))
        if program:
            mitmproxy_costs.append(_measure_cost(_mitmproxy_command(program), sessions))
    our_cost = min(our_costs)
    rows = [
        ("a session-second without a proxy: client and server", without_proxy, "µs", ""),
        ("the recording proxy adds to a session-second", our_cost, "µs", ""),
        ("a session-second: with the proxy to without", (without_proxy + our_cost) / without_proxy, "x", ""),
    ]
    if program:
        ratio = median_ratio(mitmproxy_costs, our_costs)
        rows += [
            ("a recording mitmproxy adds to a session-second", min(mitmproxy_costs), "µs", ""),
            ("proxy: how many times cheaper than mitmproxy", ratio, "x", "at least 10"),
        ]
    else:
        rows.append(("mitmproxy is not installed (--mitmdump PATH): nothing beside the proxy", 0.0, "", ""))
    waits_without, waits_with = (
        sorted(asyncio.run(_measure_waits(sessions, rounds, proxy))) for proxy in (None, _our_proxy)
    )
    for name, percent in (("p50", 50), ("p99", 99)):
        direct_ms, with_proxy_ms = (
            quantiles(waits, n=100, method="inclusive")[percent - 1] * 1e3
            for waits in (waits_without, waits_with)
        )
        rows.append((f"a payload without a proxy, {sessions} sessions, {name}", direct_ms, "ms", ""))
        added_ms = with_proxy_ms - direct_ms
        rows.append((f"the proxy adds to a payload, {sessions} sessions, {name}", added_ms, "ms", ""))
    return rows


def _measure_cost(proxy: ProxyCommand, sessions: int) -> float:
    """Return the CPU time of a proxy's process for each second of a session, in microseconds, until the proxy
    has written all that it records. The CPU time of the proxy's start is subtracted."""
    idle = asyncio.run(_measure_cpu(0, proxy)).proxy
    busy = asyncio.run(_measure_cpu(sessions, proxy)).proxy
    return max(busy - idle, 1e-6) / sessions / SECONDS_OF_SPEECH * 1e6


def _our_proxy(upstream: int, port: int, file: Path) -> list[str]:
    """Return the command line of our recording proxy, for the benchmark."""
    upstream_url = f"http://{LOOPBACK}:{upstream}"
    arguments = ["record", "--upstream", upstream_url, "--port", str(port), "--out", str(file)]
    return [sys.executable, "-m", "spatius_sim", *arguments]


def _mitmproxy_command(program: str) -> ProxyCommand:
    """Return a function that makes the command line of this mitmproxy program, to compare our proxy with
    it."""

    def command(upstream: int, port: int, file: Path) -> list[str]:
        """Return the command line of mitmproxy, between a Motion Server and its clients."""
        mode = f"reverse:http://{LOOPBACK}:{upstream}"
        return [program, "-q", "--mode", mode, "--listen-host", LOOPBACK, "-p", str(port), "-w", str(file)]

    return command


@dataclass(slots=True)
class _CpuSeconds:
    """CPU seconds of this process (`own`), and of the proxy's process from its start to its end."""

    own: float = 0.0
    proxy: float = 0.0


@dataclass(frozen=True, slots=True)
class _UpstreamPort:
    """The port at which the benchmark's clients find Motion Server, or a proxy before it. A proxy writes into
    `folder`."""

    port: int
    folder: Path | None = None

    def client(self) -> UpstreamClient:
        """Make a client for the benchmark of the proxy, which will connect to this port: to Motion Server
        itself, or to the proxy before it."""
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
    script: RecordedRun, proxy: ProxyCommand | None, cpu: _CpuSeconds
) -> AsyncIterator[_UpstreamPort]:
    """Start a replay server of this taped run and, if a command for a `proxy` is given, the proxy before it.
    Yield the port to which the benchmark's clients connect.

    Afterwards end both, and store the CPU seconds that the proxy took in `cpu`."""
    async with ReplayServer(script, Playing(speed=0)) as server:
        if proxy is None:
            yield _UpstreamPort(server.port)
            return
        with tempfile.TemporaryDirectory() as folder, socket.create_server((LOOPBACK, 0)) as free_port:
            port = free_port.getsockname()[1]
            free_port.close()
            command = proxy(server.port, port, Path(folder) / "recorded")
            process = _start_process(command)
            try:
                await _wait_until_listening(port)
                yield _UpstreamPort(port, Path(folder))
            finally:
                process.send_signal(signal.SIGINT)
                usage = await asyncio.to_thread(_wait_for_usage, process)
                cpu.proxy = usage.ru_utime + usage.ru_stime


def _start_process(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start the process of a proxy, and throw its output away."""
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _wait_until_listening(port: int) -> None:
    """Wait until the measured proxy listens on a port of this machine. Raises TimeoutError after two
    minutes."""
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                continue
            writer.close()
            return


async def _wait_until_written(folder: Path) -> None:
    """Wait until the files of the measured proxy have not grown for _WRITTEN_SECONDS: a proxy writes what has
    passed some time later, and would drop it if it were ended before."""
    async with asyncio.timeout(_LONGEST_SECONDS):
        sizes, unchanged_since = _file_sizes(folder), time.monotonic()
        while time.monotonic() - unchanged_since < _WRITTEN_SECONDS:
            await asyncio.sleep(0.1)
            if sizes != (sizes := _file_sizes(folder)):
                unchanged_since = time.monotonic()


def _file_sizes(folder: Path) -> list[int]:
    """Return the sizes in bytes of the files that the measured proxy has written into a folder."""
    return [file.stat().st_size for file in folder.iterdir()]


def _wait_for_usage(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    """Wait until the measured proxy's process ends, and return its resource usage."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


async def _measure_cpu(sessions: int, proxy: ProxyCommand | None) -> _CpuSeconds:
    """Run so many sessions of the benchmark at once through a proxy (None: without one), each as fast as it
    can, and return the CPU seconds that were spent."""
    cpu = _CpuSeconds()
    script = read_recorded_run(make_session_trace(0))
    pcm = bytes(script.turns[0].audio)
    script.turns *= max(1, sessions)
    async with _start_proxy(script, proxy, cpu) as upstream:
        started = time.process_time()
        await asyncio.gather(*(_speak_turn(upstream, pcm) for _ in range(sessions)))
        cpu.own = time.process_time() - started
        if sessions and upstream.folder is not None:
            await _wait_until_written(upstream.folder)
    return cpu


async def _speak_turn(upstream: _UpstreamPort, pcm: bytes) -> None:
    """Speak one turn of the benchmark as fast as possible, through the proxy if there is one, and wait for
    the end of its motion."""
    async with asyncio.timeout(_LONGEST_SECONDS), upstream.client() as client:
        await client.send(encode(ConfigureSession(SAMPLE_RATE)))
        for start in range(0, len(pcm), CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            if isinstance(frame, bytes) and END_MARK in frame[:END_MARK_WITHIN]:
                break


async def _measure_waits(sessions: int, turns: int, proxy: ProxyCommand | None) -> list[float]:
    """Measure, for the benchmark of the proxy, how many seconds each short turn waits for its payload, with a
    proxy or without (None), while so many sessions speak in real time."""
    script = read_recorded_run(make_session_trace(0))
    script.turns[0].replies = script.turns[0].replies[:1]
    script.turns *= sessions * turns
    async with _start_proxy(script, proxy, _CpuSeconds()) as upstream:
        starts = (number * _CHUNK_SECONDS / sessions for number in range(sessions))
        waits = await asyncio.gather(*(_speak_short_turns(upstream, start, turns) for start in starts))
    return [seconds for session_waits in waits for seconds in session_waits]


async def _speak_short_turns(upstream: _UpstreamPort, start: float, turns: int) -> list[float]:
    """Speak `turns` short turns in real time through the proxy that is measured, after `start` seconds.
    Return how many seconds each turn waits for its payload."""
    waits = []
    async with asyncio.timeout(_LONGEST_SECONDS), upstream.client() as client:
        await client.send(encode(ConfigureSession(SAMPLE_RATE)))
        frames = client.frames()
        await anext(frames)
        await asyncio.sleep(start)
        due = time.monotonic()
        for turn in range(turns):
            for chunk in range(_SHORT_TURN_CHUNKS):
                due += _CHUNK_SECONDS
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                end = chunk == _SHORT_TURN_CHUNKS - 1
                sent_at = time.perf_counter()
                await client.send(encode(AudioInput(f"request {turn}", bytes(CHUNK_BYTES), end)))
            await anext(frames)
            waits.append(time.perf_counter() - sent_at)
    return waits
