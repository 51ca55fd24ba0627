"""Measures the figures of `spatius-sim bench`: ours, and the least that could do the same work."""

import asyncio
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import NamedTuple

import numpy as np

from spatius_sim.benchmarks.drive_sessions import Driver, median_ratio, speech_frames
from spatius_sim.files.find_resources import resource
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import FIELDS, WIDTH, Keyframes
from spatius_sim.protocol.messages import MotionResponse

_READY_SECONDS = 30.0
_MEGABYTE = 1_048_576


class Figure(NamedTuple):
    """One line of the benchmark's table. `mark` is the promise (`at least 20`, `at most 1.1`), or "" if
    nothing is promised."""

    name: str
    value: float
    unit: str
    mark: str = ""

    @property
    def keeps_promise(self) -> bool:
        """Whether the value keeps the benchmark's promise in `mark`, such as "at least 20" or "at most 1.1".
        True if nothing is promised."""
        comparison, _, bound = self.mark.rpartition(" ")
        if not comparison:
            return True
        return self.value >= float(bound) if comparison == "at least" else self.value <= float(bound)


@dataclass(frozen=True, slots=True)
class BenchSize:
    """How much is measured. Each measurement is repeated in `rounds`, and the least value counts. Two things
    that are compared have their turns in each round, and the median of the ratios counts.

    `spoken` and `paced_seconds` are seconds of speech; all others are numbers of things."""

    payloads: int = 100
    rounds: int = 5
    sessions: int = 40
    spoken: int = 60
    paced: int = 1000
    paced_seconds: float = 10.0
    idle: int = 1000
    lives: int = 10_000
    starts: int = 7
    plans: int = 1000
    simulated: int = 20
    taped: int = 40
    proxied: int = 100
    studied: int = 20


FULL = BenchSize()
QUICK = BenchSize(2, 1, 2, 3, 2, 2.5, 5, 20, 1, 18, 1, 2, 2, 1)
"""Measures every figure quickly, to see that the benchmark works. The values mean nothing."""


def measure_figures(size: BenchSize, mitmdump: str | None = None) -> Iterator[Figure]:
    """Measure all figures of `spatius-sim bench`, and yield each as soon as it is measured.

    `mitmdump` is the path of mitmproxy's program, if it is not on PATH."""
    yield from _measure_codec(size)
    yield from asyncio.run(_measure_unpaced(size))
    yield from asyncio.run(_measure_paced(size))
    yield from asyncio.run(_measure_idle(size))
    yield from asyncio.run(_measure_growth(size))
    yield from _measure_inspector(size)
    yield from _measure_startup(size)
    yield from _measure_client(size)
    yield from _measure_virtual_time(size)
    yield from _measure_tapes(size, mitmdump)
    yield from _measure_study(size)


# Tapes.


def _measure_tapes(size: BenchSize, mitmdump: str | None) -> Iterator[Figure]:
    """Yield the benchmark's figures of tapes and of the recording proxy."""
    from spatius_sim.benchmarks.measure_proxy import measure_proxy
    from spatius_sim.benchmarks.measure_tapes import measure_reading, measure_replaying

    yield from (Figure(*row) for row in measure_reading(size.taped, size.rounds))
    yield from (Figure(*row) for row in measure_replaying(size.taped))
    yield from (Figure(*row) for row in measure_proxy(size.proxied, size.rounds, mitmdump))


# Studies.


def _measure_study(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of studies: how fast turns are simulated over modelled networks."""
    from spatius_sim.benchmarks.measure_studies import measure_study

    yield from (Figure(*row) for row in measure_study(size.studied))


# Virtual time.


def _measure_virtual_time(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of virtual time: how fast conversations are simulated while a trace is
    recorded, compared with calling the brains of relay and server directly."""
    from spatius_sim.benchmarks.measure_virtual_time import session_seconds_per_cpu_second

    for wire_name, mark in (("json-envelope", 1200), ("binary-header", 2000)):
        rounds = [
            (
                session_seconds_per_cpu_second(wire_name, size.simulated, direct=False),
                session_seconds_per_cpu_second(wire_name, size.simulated, direct=True),
            )
            for _ in range(size.rounds)
        ]
        simulated, direct = (max(speeds) for speeds in zip(*rounds, strict=True))
        unit = "session-s/CPU-s"
        yield Figure(f"virtual time, {wire_name}", simulated, unit, f"at least {mark}")
        yield Figure(f"its brains called directly, {wire_name}", direct, unit)
        yield Figure(f"virtual time to its brains, {wire_name}", direct / simulated, "x", "at most 1.3")


# The client suite.


def _measure_client(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of the client decoder and of the client suite; the suite also runs over
    stdio if Node is installed."""
    from spatius_sim.benchmarks import measure_client

    figures_so_far = [measure_client.measure_decoder(), measure_client.measure_plans_in_process(size.plans)]
    if shutil.which("node"):
        testee = resource("conformance") / "client" / "js" / "reference_testee.js"
        over_stdio = measure_client.measure_plans_over_stdio(shlex.join(["node", str(testee)]), size.plans)
        figures_so_far.append(over_stdio._replace(name="C suite, JavaScript over stdio"))
    for name, value, unit, mark in figures_so_far:
        yield Figure(name, value, unit, f"at least {mark:.0f}")


# Motion payloads.


def _decode_by_objects(raw: bytes) -> Keyframes:
    """Return the keyframes of a payload, decoded through the objects that protobuf generates: what the
    benchmark compares our decoder with."""
    envelope = wire.Message()
    envelope.ParseFromString(raw)
    motion = wire.Motion()
    motion.ParseFromString(envelope.server_response_animation.animation)
    rows = np.empty((len(motion.keyframes), WIDTH), np.float32)
    for row, flame in zip(rows, motion.keyframes, strict=True):
        for name, columns in FIELDS.items():
            row[columns] = getattr(flame, name)
    return rows


def _encode_by_objects(response: MotionResponse) -> bytes:
    """Return a motion response encoded through the objects that protobuf generates: what the benchmark
    compares our encoder with."""
    motion = wire.Motion()
    for row in response.keyframes:
        flame = motion.keyframes.add()
        for name, columns in FIELDS.items():
            getattr(flame, name).extend(row[columns].tolist())
    envelope = wire.Message(type=wire.SERVER_RESPONSE_ANIMATION)
    answer = envelope.server_response_animation
    answer.connection_id, answer.req_id = response.connection_id, response.req_id
    answer.end, answer.animation = response.end, motion.SerializeToString()
    return envelope.SerializeToString()


def _measure_codec(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of the codec: how fast payloads are encoded, decoded and synthesized."""
    rows = np.random.Generator(np.random.PCG64(1)).uniform(-1, 1, (100, WIDTH)).astype(np.float32)
    response = MotionResponse("connection", "request", True, rows)
    raw = encode(response)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encode": (lambda: encode(response), lambda: _encode_by_objects(response)),
        "decode": (lambda: decode(raw), lambda: _decode_by_objects(raw)),
    }
    for name, (ours, theirs) in pairs.items():
        our_seconds, their_seconds = (
            min(_time_call(work, size.payloads) for _ in range(size.rounds)) for work in (ours, theirs)
        )
        yield Figure(f"{name} a payload of 100 keyframes", our_seconds * 1e6, "µs")
        yield Figure(f"{name} it through protobuf's objects", their_seconds * 1e6, "µs")
        yield Figure(f"{name}: how many times faster", their_seconds / our_seconds, "x", "at least 20")
    pcm = np.zeros(16000, "<i2").tobytes()
    synthesis = min(_time_call(lambda: _synthesize(pcm), size.payloads) for _ in range(size.rounds))
    yield Figure("synthesis of a second of motion", synthesis * 1e6, "µs")


def _synthesize(pcm: bytes) -> None:
    """Synthesize the motion of some audio, and throw it away."""
    synthesizer = MotionSynthesizer(16000, 1)
    synthesizer.feed(pcm)
    synthesizer.finish()


def _time_call(work: Callable[[], object], times: int) -> float:
    """Call a function so many times for the benchmark, and return how many seconds one call takes."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


# Servers.


class _Usage(NamedTuple):
    """CPU seconds and resident bytes of a server's process."""

    cpu: float
    resident: float


class _Server:
    """A server of the benchmark in its own process (benchmarks/measured_servers.py). The benchmark asks the
    server through its stdin and stdout."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Keep the process of a server that is measured."""
        self._process = process

    async def read_line(self) -> dict[str, float]:
        """Return the next line of figures that the measured server prints."""
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
    """Start a server of this kind to be measured (see benchmarks/measured_servers.py), yield the server and a
    driver of its sessions, and end the server afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "spatius_sim.benchmarks.measured_servers", kind),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        server = _Server(process)
        yield server, await Driver.at(int((await server.read_line())["port"]))
    finally:
        process.terminate()
        await process.wait()


async def _measure_unpaced(size: BenchSize) -> list[Figure]:
    """Return the benchmark's figures of unpaced sessions: the CPU time of our Motion Server for each second
    of speech, while sessions send as fast as they can, and its ratio to that of simpler servers (see
    benchmarks/measured_servers.py)."""
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


async def _measure_paced(size: BenchSize) -> list[Figure]:
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


async def _measure_idle(size: BenchSize) -> list[Figure]:
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


async def _measure_growth(size: BenchSize) -> list[Figure]:
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


def _measure_inspector(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of the inspector: what it costs the server, without an open page and with
    one."""
    from spatius_sim.benchmarks.measure_inspector import measure_inspector

    yield from (Figure(*row) for row in asyncio.run(measure_inspector(size)))


# Start-up.


def _measure_startup(size: BenchSize) -> Iterator[Figure]:
    """Yield the benchmark's figures of start-up: how long commands take to start."""
    commands = {
        "a bare interpreter": ["-c", ""],
        "an interpreter that imports aiohttp": ["-c", "import aiohttp"],
        "spatius-sim --help": ["-m", "spatius_sim", "--help"],
    }
    for name, arguments in commands.items():
        seconds = [_time_command([sys.executable, *arguments]) for _ in range(size.starts)]
        yield Figure(f"start-up: {name}", median(seconds) * 1e3, "ms")
    ready = median(_serve_until_ready() for _ in range(size.starts))
    yield Figure("start-up: spatius-sim serve until ready", ready * 1e3, "ms")


def _time_command(command: list[str]) -> float:
    """Run a command for the benchmark of start-up, and return how many seconds it takes from its start to its
    end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _serve_until_ready() -> float:
    """Start the command `serve` for the benchmark of start-up, return how many seconds it takes until the
    server is ready, and end it."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "spatius_sim", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.terminate()
    return seconds
