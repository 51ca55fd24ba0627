"""Measures our Motion Server and simpler servers under many sessions: unpaced, paced, idle, or one after the
other."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import quantiles
from typing import NamedTuple

from spatius_sim.benchmarks.drive_sessions import SessionDriver, make_speech_frames, median_ratio
from spatius_sim.benchmarks.figure import BenchSize, Figure

_READY_SECONDS = 30.0
_MEGABYTE = 1_048_576


class _Usage(NamedTuple):
    """CPU seconds that a server's process has taken, and bytes of memory that it holds."""

    cpu_seconds: float
    resident_bytes: float


class _Server:
    """A server of the benchmark in its own process (benchmarks/server_programs.py). The benchmark asks the
    server through its stdin and stdout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Keep the process of a server that is measured."""
        self._process = process

    async def read_figures(self) -> dict[str, float]:
        """Read, in the process that measures, the next line that the measured server prints on its stdout: a
        JSON object. Return its figures by name, such as the CPU seconds. Raises TimeoutError if no line
        comes."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _READY_SECONDS)
        figures: dict[str, float] = json.loads(line)
        return figures

    async def measure(self) -> _Usage:
        """Ask the measured server for its CPU seconds and memory so far, and return them."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return _Usage(**await self.read_figures())


@asynccontextmanager
async def start_server(server_kind: str) -> AsyncIterator[tuple[_Server, SessionDriver]]:
    """Start the server to be measured, one of this kind, in its own process, and end it afterwards. Yield the
    server, whose CPU time and memory can be asked for, and a driver that opens sessions with it. The kinds
    stand in benchmarks/server_programs.py."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "spatius_sim.benchmarks.server_programs", server_kind),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        server = _Server(process)
        port = int((await server.read_figures())["port"])
        yield server, await SessionDriver.make_for_port(port)
    finally:
        process.terminate()
        await process.wait()


async def measure_unpaced(size: BenchSize) -> list[Figure]:
    """Return the figures of unpaced sessions, which send speech as fast as they can: the CPU time of a bare
    server for each second of speech, and the ratios between ours and simpler servers (see
    benchmarks/server_programs.py)."""
    frames = make_speech_frames(size.spoken_seconds)
    response_count = len(list_answered_frame_numbers(size.spoken_seconds)) + 1
    cpu: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        kinds = ("traced", "ours", "keeping", "synthesizing", "bare")
        servers = {kind: await stack.enter_async_context(start_server(kind)) for kind in kinds}
        for round_number in range(2 * size.round_count):
            # Back and forth: a machine that becomes slower or faster favours nobody.
            for kind, (server, driver) in sorted(servers.items(), reverse=round_number % 2 == 1):
                before = await server.measure()
                sessions = (driver.speak_unpaced(frames, response_count) for _ in range(size.session_count))
                await asyncio.gather(*sessions)
                cpu.setdefault(kind, []).append((await server.measure()).cpu_seconds - before.cpu_seconds)
    bare_cpu = min(cpu["bare"]) / (size.session_count * size.spoken_seconds)

    def cpu_ratio(kind: str, other_kind: str = "bare") -> float:
        """Return the CPU time of one kind of server divided by that of another kind."""
        return median_ratio(cpu[kind], cpu[other_kind])

    return [
        Figure("a bare handler's CPU for a second", bare_cpu * 1e6, "µs"),
        Figure("server: ours to bare, trace on", cpu_ratio("traced"), "x"),
        Figure("server: ours to bare, as `serve` runs", cpu_ratio("ours"), "x"),
        Figure("server: a bare handler that keeps all frames to bare", cpu_ratio("keeping"), "x"),
        Figure("server: one that synthesises its motion, too", cpu_ratio("synthesizing"), "x"),
        Figure(
            "server: ours, trace on, to one that keeps frames and synthesises",
            cpu_ratio("traced", "synthesizing"),
            "x",
            "at most 1.1",
        ),
    ]


async def measure_paced(size: BenchSize) -> list[Figure]:
    """Measure our server, and for comparison a bare (minimal) one, while many sessions speak in real time.
    Return for each server how late its responses come, and which share of a CPU core it takes."""
    figures = []
    cpu_shares: dict[str, float] = {}
    count, frames = size.paced_session_count, make_speech_frames(size.paced_seconds)
    answered_frame_numbers = list_answered_frame_numbers(size.paced_seconds)
    for server_kind in ("ours", "bare"):
        async with start_server(server_kind) as (server, driver):
            before, started_at = await server.measure(), time.monotonic()
            sessions = (
                driver.speak_paced(frames, (number % 100) / 100, answered_frame_numbers)
                for number in range(count)
            )
            lateness = [seconds for session in await asyncio.gather(*sessions) for seconds in session]
            cpu_seconds = (await server.measure()).cpu_seconds - before.cpu_seconds
            cpu_shares[server_kind] = cpu_seconds / (time.monotonic() - started_at)
        percentiles = [0.0, *quantiles(lateness, n=100, method="inclusive")]
        label = f"{count} paced sessions, {server_kind}"
        figures += [
            Figure(f"{label}: lateness p50", percentiles[50] * 1e3, "ms"),
            Figure(f"{label}: lateness p99", percentiles[99] * 1e3, "ms"),
            Figure(f"{label}: CPU share", cpu_shares[server_kind] * 100, "%"),
        ]
    ratio = cpu_shares["ours"] / cpu_shares["bare"]
    return [*figures, Figure(f"{count} paced sessions, CPU share: ours to bare", ratio, "x")]


def list_answered_frame_numbers(speech_seconds: float) -> list[int]:
    """Return the numbers of the speech frames that a server of the benchmark answers with motion: those that
    pass 2 s, 6 s, 10 s of speech, and so on. A frame holds 100 ms of speech."""
    return list(range(20, int(speech_seconds * 10), 40))


async def measure_idle(size: BenchSize) -> list[Figure]:
    """Return the figures of idle sessions: how much memory our server, and for comparison a bare (minimal)
    one, holds for each open session that does nothing."""
    bytes_per_session: dict[str, float] = {}
    for server_kind in ("ours", "bare"):
        async with start_server(server_kind) as (server, driver):
            (await driver.open_session()).close()
            before = await server.measure()
            sessions = [await driver.open_session() for _ in range(size.idle_session_count)]
            growth_bytes = (await server.measure()).resident_bytes - before.resident_bytes
            bytes_per_session[server_kind] = max(1.0, growth_bytes) / size.idle_session_count
            for session in sessions:
                session.close()
    ratio = bytes_per_session["ours"] / bytes_per_session["bare"]
    return [
        Figure("memory of an idle session", bytes_per_session["ours"] / 1024, "KiB"),
        Figure("a bare handler's memory for it", bytes_per_session["bare"] / 1024, "KiB"),
        Figure("idle session: ours to bare", ratio, "x", "at most 2"),
    ]


async def measure_growth(size: BenchSize) -> list[Figure]:
    """Return one figure: by how much the memory of our server grows, after a warm-up, while many sessions
    come and go, one after the other."""
    frames = make_speech_frames(0.2)
    async with start_server("ours") as (server, driver):
        # The server keeps a bounded log of past events, which is full after some 8,000 such sessions.
        for _ in range(size.growth_session_count * 4 // 5):
            await driver.speak_unpaced(frames, 1)
        before = await server.measure()
        for _ in range(size.growth_session_count):
            await driver.speak_unpaced(frames, 1)
        growth_bytes = (await server.measure()).resident_bytes - before.resident_bytes
    name = f"growth over {size.growth_session_count} sessions, one by one"
    return [Figure(name, growth_bytes / _MEGABYTE, "MiB", "at most 4")]
