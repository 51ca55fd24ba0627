"""Measures what the recording proxy costs, compared with no proxy and with mitmproxy's reverse mode. The rows
are (name, value, unit, promise); the promise is "" if there is none."""

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
    LAST_MOTION_MARK,
    LAST_MOTION_MARK_WITHIN,
    SAMPLE_RATE,
    SECONDS_OF_SPEECH,
    Row,
    make_session_trace,
)
from spatius_sim.model.server.match_taped_turns import RecordedRun, read_recorded_run
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.messages import AudioInput, ConfigureSession

_TIMEOUT_SECONDS = 120.0
_CHUNK_SECONDS = 0.1
_RETRY_SECONDS = 0.05
_CHUNKS_OF_SHORT_TURN = 20
_QUIET_SECONDS = 2.0
"""Longer than any proxy here waits before it writes (ours writes every second)."""

ProxyCommandMaker = Callable[[int, int, Path], list[str]]
"""A function that returns the command line of a proxy. It takes the port of Motion Server, the proxy's own
port, and the file that the proxy writes."""


def measure_proxy(session_count: int, round_count: int, mitmdump_path: str | None) -> list[Row]:
    """Measure the recording proxy with `session_count` sessions at once, and return the figures.

    First its CPU time for each second of a session, compared with no proxy and with mitmproxy. Then the delay
    that it adds to a payload while the sessions speak in real time. `mitmdump_path`: the path of mitmproxy's
    program `mitmdump`; None: look for it on PATH."""
    seconds = session_count * SECONDS_OF_SPEECH
    least_cpu = min(asyncio.run(_measure_cpu(session_count, None)).own for _ in range(round_count))
    without_proxy = least_cpu / seconds * 1e6
    program = mitmdump_path or shutil.which("mitmdump")
    our_costs, mitmproxy_costs = [], []
    for _ in range(round_count):
        our_costs.append(_measure_proxy_cpu(_our_proxy_command, session_count))
        if program:
            mitmproxy_costs.append(_measure_proxy_cpu(_mitmproxy_command_maker(program), session_count))
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
        sorted(asyncio.run(_measure_payload_waits(session_count, round_count, make_proxy_command)))
        for make_proxy_command in (None, _our_proxy_command)
    )
    for name, percent in (("p50", 50), ("p99", 99)):
        direct_ms, with_proxy_ms = (
            quantiles(waits, n=100, method="inclusive")[percent - 1] * 1e3
            for waits in (waits_without, waits_with)
        )
        rows.append((f"a payload without a proxy, {session_count} sessions, {name}", direct_ms, "ms", ""))
        added_ms = with_proxy_ms - direct_ms
        rows.append((f"the proxy adds to a payload, {session_count} sessions, {name}", added_ms, "ms", ""))
    return rows


def _measure_proxy_cpu(make_proxy_command: ProxyCommandMaker, session_count: int) -> float:
    """Return how many microseconds of CPU the process of a proxy takes for each second of a session.

    The time to write the recording is included. The time to start and end the process is not."""
    cpu_without_sessions = asyncio.run(_measure_cpu(0, make_proxy_command)).proxy
    cpu_with_sessions = asyncio.run(_measure_cpu(session_count, make_proxy_command)).proxy
    session_seconds = session_count * SECONDS_OF_SPEECH
    return max(cpu_with_sessions - cpu_without_sessions, 1e-6) / session_seconds * 1e6


def _our_proxy_command(upstream_port: int, port: int, file: Path) -> list[str]:
    """Return the command line that starts our recording proxy: it listens on `port`, passes everything on to
    Motion Server on `upstream_port`, and writes into `file`."""
    upstream_url = f"http://{LOOPBACK}:{upstream_port}"
    arguments = ["record", "--upstream", upstream_url, "--port", str(port), "--out", str(file)]
    return [sys.executable, "-m", "spatius_sim", *arguments]


def _mitmproxy_command_maker(program: str) -> ProxyCommandMaker:
    """Return a function that makes the command line of mitmproxy, with which our proxy is compared. `program`
    is the path of mitmproxy's program."""

    def make_command(upstream_port: int, port: int, file: Path) -> list[str]:
        """Return the command line that starts mitmproxy: it listens on `port`, passes everything on to Motion
        Server on `upstream_port`, and writes into `file`."""
        mode = f"reverse:http://{LOOPBACK}:{upstream_port}"
        return [program, "-q", "--mode", mode, "--listen-host", LOOPBACK, "-p", str(port), "-w", str(file)]

    return make_command


@dataclass(slots=True)
class _CpuSeconds:
    """CPU seconds of this process (`own`), and of the proxy's process from its start to its end."""

    own: float = 0.0
    proxy: float = 0.0


@dataclass(frozen=True, slots=True)
class _UpstreamPort:
    """The port at which the benchmark's clients find Motion Server, or a proxy in front of it. A proxy writes
    into `folder`."""

    port: int
    folder: Path | None = None

    def make_client(self) -> UpstreamClient:
        """Return a new client for the benchmark of the proxy, not yet connected. It will connect to Motion
        Server or to the proxy in front of it, whichever listens on this port."""
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
    taped_run: RecordedRun, make_proxy_command: ProxyCommandMaker | None, cpu: _CpuSeconds
) -> AsyncIterator[_UpstreamPort]:
    """Start a server that replays this taped run, and the measured proxy between it and its clients; no proxy
    if `make_proxy_command` is None. Yield the port to which the benchmark's clients connect.

    Afterwards end both, and store in `cpu.proxy` how many CPU seconds the proxy took."""
    async with ReplayServer(taped_run, ReplayOptions(speed=0)) as server:
        if make_proxy_command is None:
            yield _UpstreamPort(server.port)
            return
        with tempfile.TemporaryDirectory() as folder, socket.create_server((LOOPBACK, 0)) as port_finder:
            port = port_finder.getsockname()[1]
            port_finder.close()
            process = _start_process(make_proxy_command(server.port, port, Path(folder) / "recorded"))
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
    """Wait until the measured proxy accepts connections on this port. Raises TimeoutError after two
    minutes."""
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            writer.close()
            return


async def _wait_until_written(folder: Path) -> None:
    """Wait until the files of the measured proxy, in `folder`, have not grown for _QUIET_SECONDS: by then the
    proxy has written everything, and can be ended. Raises TimeoutError after two minutes."""
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        sizes, unchanged_since = _file_sizes(folder), time.monotonic()
        while time.monotonic() - unchanged_since < _QUIET_SECONDS:
            await asyncio.sleep(0.1)
            new_sizes = _file_sizes(folder)
            if new_sizes != sizes:
                sizes, unchanged_since = new_sizes, time.monotonic()


def _file_sizes(folder: Path) -> list[int]:
    """Return the sizes in bytes of the files that the measured proxy has written into a folder."""
    return [file.stat().st_size for file in folder.iterdir()]


def _wait_for_usage(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    """Wait until the measured proxy's process ends, and return its resource usage."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


async def _measure_cpu(session_count: int, make_proxy_command: ProxyCommandMaker | None) -> _CpuSeconds:
    """Run `session_count` sessions at once, each as fast as it can, through a proxy; without one if
    `make_proxy_command` is None. Return how many CPU seconds this process and the proxy took."""
    cpu = _CpuSeconds()
    taped_run = read_recorded_run(make_session_trace(0))
    pcm = bytes(taped_run.turns[0].audio)
    taped_run.turns *= max(1, session_count)  # Each session takes one turn of the tape.
    async with _start_proxy(taped_run, make_proxy_command, cpu) as upstream:
        started_at = time.process_time()
        await asyncio.gather(*(_speak_turn(upstream, pcm) for _ in range(session_count)))
        cpu.own = time.process_time() - started_at
        if session_count and upstream.folder is not None:
            await _wait_until_written(upstream.folder)
    return cpu


async def _speak_turn(upstream: _UpstreamPort, pcm: bytes) -> None:
    """Open a session through the measured proxy, if there is one. Send the audio of one turn (`pcm`) as fast
    as possible, and wait for the last motion that answers it. Raises TimeoutError after two minutes."""
    async with asyncio.timeout(_TIMEOUT_SECONDS), upstream.make_client() as client:
        await client.send(encode(ConfigureSession(SAMPLE_RATE)))
        for start in range(0, len(pcm), CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            if isinstance(frame, bytes) and LAST_MOTION_MARK in frame[:LAST_MOTION_MARK_WITHIN]:
                break


async def _measure_payload_waits(
    session_count: int, turn_count: int, make_proxy_command: ProxyCommandMaker | None
) -> list[float]:
    """Run `session_count` sessions at once through a proxy; without one if `make_proxy_command` is None. Each
    speaks `turn_count` short turns in real time. Return how many seconds each turn waited for its motion."""
    taped_run = read_recorded_run(make_session_trace(0))
    taped_run.turns[0].replies = taped_run.turns[0].replies[:1]
    taped_run.turns *= session_count * turn_count
    async with _start_proxy(taped_run, make_proxy_command, _CpuSeconds()) as upstream:
        # The sessions do not send their chunks all at the same moment.
        delays = (number * _CHUNK_SECONDS / session_count for number in range(session_count))
        sessions = (_speak_short_turns(upstream, delay_seconds, turn_count) for delay_seconds in delays)
        waits_by_session = await asyncio.gather(*sessions)
    return [wait_seconds for waits in waits_by_session for wait_seconds in waits]


async def _speak_short_turns(upstream: _UpstreamPort, delay_seconds: float, turn_count: int) -> list[float]:
    """Open a session through the measured proxy, if there is one. After `delay_seconds`, speak `turn_count`
    short turns in real time. Return for each turn the seconds from its last audio to its motion."""
    waits = []
    async with asyncio.timeout(_TIMEOUT_SECONDS), upstream.make_client() as client:
        await client.send(encode(ConfigureSession(SAMPLE_RATE)))
        frames = client.frames()
        await anext(frames)
        await asyncio.sleep(delay_seconds)
        due_at = time.monotonic()
        for turn_number in range(turn_count):
            for chunk_number in range(_CHUNKS_OF_SHORT_TURN):
                due_at += _CHUNK_SECONDS
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                is_last = chunk_number == _CHUNKS_OF_SHORT_TURN - 1
                sent_at = time.perf_counter()
                await client.send(encode(AudioInput(f"request {turn_number}", bytes(CHUNK_BYTES), is_last)))
            await anext(frames)
            waits.append(time.perf_counter() - sent_at)
    return waits
