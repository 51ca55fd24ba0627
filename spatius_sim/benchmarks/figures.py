"""Measures the figures of `spatius-sim bench`: ours beside the least that could do the job, in the same
run."""

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

from spatius_sim.benchmarks.sessions import Driver, speech_frames
from spatius_sim.files.resources import resource
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import FIELDS, WIDTH, Keyframes
from spatius_sim.protocol.messages import MotionResponse

_READY_SECONDS = 30.0
_MEGABYTE = 1_048_576


class Figure(NamedTuple):
    """One line of the table; `mark` is the promise (`at least 20`, `at most 1.6`), "" if there is none."""

    name: str
    value: float
    unit: str
    mark: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        how, _, bound = self.mark.rpartition(" ")
        if not how:
            return True
        return self.value >= float(bound) if how == "at least" else self.value <= float(bound)


@dataclass(frozen=True, slots=True)
class BenchSize:
    """How much is measured. Each measurement is repeated in `rounds` and the least is taken; `spoken` in
    seconds."""

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
    taped: int = 40
    proxied: int = 100


FULL = BenchSize()
QUICK = BenchSize(2, 1, 2, 3, 2, 2.5, 5, 20, 1, 18, 2, 2)
"""Measures every figure quickly; none of the values means anything."""


def figures(size: BenchSize, mitmdump: str | None = None) -> Iterator[Figure]:
    """Yield all figures, each as soon as it is known; `mitmdump` is the path of that program if it is not on
    PATH."""
    yield from _measure_codec(size)
    yield from asyncio.run(_measure_unpaced(size))
    yield from asyncio.run(_measure_paced(size))
    yield from asyncio.run(_measure_idle(size))
    yield from asyncio.run(_measure_growth(size))
    yield from _measure_startup(size)
    yield from _measure_client(size)
    yield from _measure_tapes(size, mitmdump)


# Tapes.


def _measure_tapes(size: BenchSize, mitmdump: str | None) -> Iterator[Figure]:
    """Measure tapes and the recording proxy."""
    from spatius_sim.benchmarks.proxy import proxying
    from spatius_sim.benchmarks.tape import reading, replaying

    yield from (Figure(*row) for row in reading(size.taped, size.rounds))
    yield from (Figure(*row) for row in replaying(size.taped))
    yield from (Figure(*row) for row in proxying(size.proxied, size.rounds, mitmdump))


# The client suite.


def _measure_client(size: BenchSize) -> Iterator[Figure]:
    """Measure the client decoder and the client suite."""
    from spatius_sim.benchmarks import client as client

    measured = [client.decoder_operations(), client.plans_in_process(size.plans)]
    if shutil.which("node"):
        testee = resource("conformance") / "client" / "js" / "reference_testee.js"
        over_stdio = client.plans_over_stdio(shlex.join(["node", str(testee)]), size.plans)
        measured.append(over_stdio._replace(name="C suite, JavaScript over stdio"))
    for name, value, unit, mark in measured:
        yield Figure(name, value, unit, f"at least {mark:.0f}")


# Motion payloads.


def _decode_by_objects(raw: bytes) -> Keyframes:
    """Read the keyframes of a payload through the objects that protobuf generates."""
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
    """Encode a response through the objects that protobuf generates."""
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
    """Measure how fast payloads are encoded, decoded and synthesised."""
    rows = np.random.Generator(np.random.PCG64(1)).uniform(-1, 1, (100, WIDTH)).astype(np.float32)
    response = MotionResponse("connection", "request", True, rows)
    raw = encode(response)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "encode": (lambda: encode(response), lambda: _encode_by_objects(response)),
        "decode": (lambda: decode(raw), lambda: _decode_by_objects(raw)),
    }
    for name, (ours, theirs) in pairs.items():
        least = [min(_time(work, size.payloads) for _ in range(size.rounds)) for work in (ours, theirs)]
        yield Figure(f"{name} a payload of 100 keyframes", least[0] * 1e6, "µs")
        yield Figure(f"{name} it through protobuf's objects", least[1] * 1e6, "µs")
        yield Figure(f"{name}: how many times faster", least[1] / least[0], "x", "at least 20")
    pcm = np.zeros(16000, "<i2").tobytes()
    synthesis = min(_time(lambda: _synthesize(pcm), size.payloads) for _ in range(size.rounds))
    yield Figure("synthesis of a second of motion", synthesis * 1e6, "µs")


def _synthesize(pcm: bytes) -> None:
    synthesizer = MotionSynthesizer(16000, 1)
    synthesizer.feed(pcm)
    synthesizer.finish()


def _time(work: Callable[[], object], times: int) -> float:
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
    """Talks to a server in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read_line(self) -> dict[str, float]:
        """Read the next line that the server prints."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _READY_SECONDS)
        figures: dict[str, float] = json.loads(line)
        return figures

    async def measure(self) -> _Usage:
        """Ask the server for its figures so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return _Usage(**await self.read_line())


@asynccontextmanager
async def _start_server(kind: str) -> AsyncIterator[tuple[_Server, Driver]]:
    """Start a server of a kind that benchmarks/servers.py names, and yield it with a driver."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "spatius_sim.benchmarks.servers", kind),
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
    """Measure the CPU time of the server for each second of speech, as fast as it can."""
    frames = speech_frames(size.spoken)
    responses = len(_segment_borders(size.spoken)) + 1
    cost: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        kinds = ("traced", "ours", "keeping", "synthesizing", "bare")
        servers = {kind: await stack.enter_async_context(_start_server(kind)) for kind in kinds}
        for _ in range(2 * size.rounds):
            for kind, (server, driver) in servers.items():
                before = await server.measure()
                await asyncio.gather(*(driver.speak(frames, responses) for _ in range(size.sessions)))
                spent = (await server.measure()).cpu - before.cpu
                cost[kind] = min(cost.get(kind, spent), spent)
    bare = cost["bare"]
    return [
        Figure("a bare handler's CPU for a second", bare / (size.sessions * size.spoken) * 1e6, "µs"),
        Figure("server: ours to bare, trace on", cost["traced"] / bare, "x", "at most 1.6"),
        Figure("server: ours to bare, as `serve` runs", cost["ours"] / bare, "x"),
        Figure("server: a bare handler that keeps all frames to bare", cost["keeping"] / bare, "x"),
        Figure("server: one that synthesises its motion, too", cost["synthesizing"] / bare, "x"),
    ]


async def _measure_paced(size: BenchSize) -> list[Figure]:
    """Measure the lateness of responses and the CPU share while many sessions speak in real time."""
    measured = []
    shares: dict[str, float] = {}
    frames = speech_frames(size.paced_seconds)
    borders = _segment_borders(size.paced_seconds)
    for name in ("ours", "bare"):
        async with _start_server(name) as (server, driver):
            before = await server.measure()
            began = time.monotonic()
            speaking = (
                driver.speak_paced(frames, (number % 100) / 100, borders) for number in range(size.paced)
            )
            late = [seconds for session in await asyncio.gather(*speaking) for seconds in session]
            shares[name] = ((await server.measure()).cpu - before.cpu) / (time.monotonic() - began)
        cuts = quantiles(late, n=100, method="inclusive")
        label = f"{size.paced} paced sessions, {name}"
        measured += [
            Figure(f"{label}: lateness p50", cuts[49] * 1e3, "ms"),
            Figure(f"{label}: lateness p99", cuts[98] * 1e3, "ms"),
            Figure(f"{label}: CPU share", shares[name] * 100, "%"),
        ]
    ratio = shares["ours"] / shares["bare"]
    return [*measured, Figure(f"{size.paced} paced sessions, CPU share: ours to bare", ratio, "x")]


def _segment_borders(seconds: float) -> list[int]:
    """Return the numbers of the frames (of 100 ms) that pass the border of a segment: at 2 s, 6 s, 10 s
    ..."""
    return list(range(20, int(seconds * 10), 40))


async def _measure_idle(size: BenchSize) -> list[Figure]:
    """Measure the memory of a session that does nothing."""
    held: dict[str, float] = {}
    for name in ("ours", "bare"):
        async with _start_server(name) as (server, driver):
            (await driver.open()).close()
            before = await server.measure()
            sessions = [await driver.open() for _ in range(size.idle)]
            held[name] = max(1.0, (await server.measure()).resident - before.resident) / size.idle
            for session in sessions:
                session.close()
    return [
        Figure("memory of an idle session", held["ours"] / 1024, "KiB"),
        Figure("a bare handler's memory for it", held["bare"] / 1024, "KiB"),
        Figure("idle session: ours to bare", held["ours"] / held["bare"], "x", "at most 2"),
    ]


async def _measure_growth(size: BenchSize) -> list[Figure]:
    """Measure how much memory the server keeps after many sessions."""
    frames = speech_frames(0.2)
    async with _start_server("ours") as (server, driver):
        # The server keeps a bounded log of past events, which is full after some 8,000 such sessions.
        for _ in range(size.lives * 4 // 5):
            await driver.speak(frames, 1)
        before = await server.measure()
        for _ in range(size.lives):
            await driver.speak(frames, 1)
        growth = (await server.measure()).resident - before.resident
    return [Figure(f"growth over {size.lives} sessions, one by one", growth / _MEGABYTE, "MiB", "at most 4")]


# Start-up.


def _measure_startup(size: BenchSize) -> Iterator[Figure]:
    """Measure how long commands take to start."""
    commands = {
        "a bare interpreter": ["-c", ""],
        "an interpreter that imports aiohttp": ["-c", "import aiohttp"],
        "spatius-sim --help": ["-m", "spatius_sim", "--help"],
    }
    for name, arguments in commands.items():
        took = [_time_command([sys.executable, *arguments]) for _ in range(size.starts)]
        yield Figure(f"start-up: {name}", median(took) * 1e3, "ms")
    ready = median(_serve_until_ready() for _ in range(size.starts))
    yield Figure("start-up: spatius-sim serve until ready", ready * 1e3, "ms")


def _time_command(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _serve_until_ready() -> float:
    """Return how many seconds `serve` takes until it is ready."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "spatius_sim", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took = time.perf_counter() - start
        process.terminate()
    return took
