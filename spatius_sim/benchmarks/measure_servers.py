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

from spatius_sim.benchmarks.drive_sessions import Driver, median_ratio, speech_frames
from spatius_sim.benchmarks.figure import BenchSize, Figure

_READY_SECONDS = 30.0
_MEGABYTE = 1_048_576


class _Usage(NamedTuple):
    """CPU seconds and resident bytes of a server's process."""

    cpu: float
    resident: float


class _Server:
    """A server of the benchmark in its own process (benchmarks/server_programs.py). The benchmark asks the
    server through its stdin and stdout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Keep the process of a server that is measured."""
        self._process = process

    async def read_line(self) -> dict[str, float]:
        """Wait for the next line that the server under measurement prints on its stdout, and return its
        figures by name, such as the CPU seconds."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _READY_SECONDS)
        usage: dict[str, float] = json.loads(line)
        return usage

    async def measure(self) -> _Usage:
        """Ask the measured server for its CPU seconds and memory so far, and return them."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return _Usage(**await self.read_line())


@asynccontextmanager
async def start_server(kind: str) -> AsyncIterator[tuple[_Server, Driver]]:
    """Start a server of this kind to be measured (see benchmarks/server_programs.py), yield the server and a
    driver of its sessions, and end the server afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "spatius_sim.benchmarks.server_programs", kind),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        server = _Server(process)
        yield server, await Driver.at(int((await server.read_line())["port"]))
    finally:
        process.terminate()
        await process.wait()


async def measure_unpaced(size: BenchSize) -> list[Figure]:
    """Return the benchmark's figures of unpaced sessions: the CPU time of our Motion Server for each second
    of speech, while sessions send as fast as they can, and its ratio to that of simpler servers (see
    benchmarks/server_programs.py)."""
    frames = speech_frames(size.spoken)
    responses = len(segment_borders(size.spoken)) + 1
    cpu: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        kinds = ("traced", "ours", "keeping", "synthesizing", "bare")
        servers = {kind: await stack.enter_async_context(start_server(kind)) for kind in kinds}
        for round_number in range(2 * size.rounds):
            # Back and forth: a machine that becomes slower or faster favours nobody.
            for kind, (server, driver) in sorted(servers.items(), reverse=round_number % 2 == 1):
                before = await server.measure()
                await asyncio.gather(*(driver.speak(frames, responses) for _ in range(size.sessions)))
                cpu.setdefault(kind, []).append((await server.measure()).cpu - before.cpu)
    bare_cpu = min(cpu["bare"]) / (size.sessions * size.spoken)

    def ratio(kind: str, to: str = "bare") -> float:
        """Return how many times the CPU time of one server the other needs in the benchmark."""
        return median_ratio(cpu[kind], cpu[to])

    return [
        Figure("a bare handler's CPU for a second", bare_cpu * 1e6, "µs"),
        Figure("server: ours to bare, trace on", ratio("traced"), "x"),
        Figure("server: ours to bare, as `serve` runs", ratio("ours"), "x"),
        Figure("server: a bare handler that keeps all frames to bare", ratio("keeping"), "x"),
        Figure("server: one that synthesises its motion, too", ratio("synthesizing"), "x"),
        Figure(
            "server: ours, trace on, to one that keeps frames and synthesises",
            ratio("traced", "synthesizing"),
            "x",
            "at most 1.1",
        ),
    ]


async def measure_paced(size: BenchSize) -> list[Figure]:
    """Return the benchmark's figures of paced sessions: how late responses come, and the CPU share of the
    server, while many sessions speak in real time."""
    figures_so_far = []
    shares: dict[str, float] = {}
    frames = speech_frames(size.paced_seconds)
    borders = segment_borders(size.paced_seconds)
    for name in ("ours", "bare"):
        async with start_server(name) as (server, driver):
            before = await server.measure()
            started = time.monotonic()
            sessions = (
                driver.speak_paced(frames, (number % 100) / 100, borders) for number in range(size.paced)
            )
            lateness = [seconds for session in await asyncio.gather(*sessions) for seconds in session]
            shares[name] = ((await server.measure()).cpu - before.cpu) / (time.monotonic() - started)
        percentiles = [0.0, *quantiles(lateness, n=100, method="inclusive")]
        label = f"{size.paced} paced sessions, {name}"
        figures_so_far += [
            Figure(f"{label}: lateness p50", percentiles[50] * 1e3, "ms"),
            Figure(f"{label}: lateness p99", percentiles[99] * 1e3, "ms"),
            Figure(f"{label}: CPU share", shares[name] * 100, "%"),
        ]
    ratio = shares["ours"] / shares["bare"]
    return [*figures_so_far, Figure(f"{size.paced} paced sessions, CPU share: ours to bare", ratio, "x")]


def segment_borders(seconds: float) -> list[int]:
    """Return the numbers of the speech frames that pass the border of a motion segment: at 2 s, 6 s, 10 s,
    and so on. A frame holds 100 ms of speech."""
    return list(range(20, int(seconds * 10), 40))


async def measure_idle(size: BenchSize) -> list[Figure]:
    """Return the benchmark's figures of idle sessions: how much memory the server holds for each session that
    does nothing."""
    bytes_held: dict[str, float] = {}
    for name in ("ours", "bare"):
        async with start_server(name) as (server, driver):
            (await driver.open()).close()
            before = await server.measure()
            sessions = [await driver.open() for _ in range(size.idle)]
            bytes_held[name] = max(1.0, (await server.measure()).resident - before.resident) / size.idle
            for session in sessions:
                session.close()
    return [
        Figure("memory of an idle session", bytes_held["ours"] / 1024, "KiB"),
        Figure("a bare handler's memory for it", bytes_held["bare"] / 1024, "KiB"),
        Figure("idle session: ours to bare", bytes_held["ours"] / bytes_held["bare"], "x", "at most 2"),
    ]


async def measure_growth(size: BenchSize) -> list[Figure]:
    """Return the benchmark's figure of growth: by how much the server's memory grows over many sessions, one
    after the other."""
    frames = speech_frames(0.2)
    async with start_server("ours") as (server, driver):
        # The server keeps a bounded log of past events, which is full after some 8,000 such sessions.
        for _ in range(size.lives * 4 // 5):
            await driver.speak(frames, 1)
        before = await server.measure()
        for _ in range(size.lives):
            await driver.speak(frames, 1)
        growth = (await server.measure()).resident - before.resident
    return [Figure(f"growth over {size.lives} sessions, one by one", growth / _MEGABYTE, "MiB", "at most 4")]
