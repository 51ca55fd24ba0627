"""Measures the figures of `spatius-sim bench`: ours, and the least that could do the same work."""

import asyncio
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from spatius_sim.benchmarks.figure import BenchSize, Figure
from spatius_sim.benchmarks.measure_codec import measure_codec
from spatius_sim.benchmarks.measure_servers import (
    measure_growth,
    measure_idle,
    measure_paced,
    measure_unpaced,
)
from spatius_sim.files.find_resources import resource


def measure_figures(size: BenchSize, mitmdump: str | None = None) -> Iterator[Figure]:
    """Measure all figures of `spatius-sim bench`, and yield each as soon as it is measured.

    `mitmdump` is the path of mitmproxy's program, if it is not on PATH."""
    yield from measure_codec(size)
    yield from asyncio.run(measure_unpaced(size))
    yield from asyncio.run(measure_paced(size))
    yield from asyncio.run(measure_idle(size))
    yield from asyncio.run(measure_growth(size))
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
    """Yield the figures of virtual time: how fast conversations are simulated while a trace is recorded, and
    how fast if the brains of relay and server are called directly."""
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


# The inspector.


def _measure_inspector(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of `spatius-sim bench` on the inspector: what it costs the server, without an open
    page and with one."""
    from spatius_sim.benchmarks.measure_inspector import measure_inspector

    yield from (Figure(*row) for row in asyncio.run(measure_inspector(size)))


# Start-up.


def _measure_startup(size: BenchSize) -> Iterator[Figure]:
    """Measure how long commands take to start, such as `spatius-sim serve` and a bare Python interpreter, and
    yield the benchmark's figures of this."""
    commands = {
        "a bare interpreter": ["-c", ""],
        "an interpreter that imports aiohttp": ["-c", "import aiohttp"],
        "spatius-sim --help": ["-m", "spatius_sim", "--help"],
    }
    for name, arguments in commands.items():
        seconds = [_time_command([sys.executable, *arguments]) for _ in range(size.starts)]
        yield Figure(f"start-up: {name}", median(seconds) * 1e3, "ms")
    ready = median(_time_start_of_serve() for _ in range(size.starts))
    yield Figure("start-up: spatius-sim serve until ready", ready * 1e3, "ms")


def _time_command(command: list[str]) -> float:
    """Run a command for the figure on start-up, `spatius-sim` or bare Python, and return how many seconds it
    takes from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _time_start_of_serve() -> float:
    """For the figures of start-up in `spatius-sim bench`, start the command `serve` and end it. Return the
    seconds until the server was ready: until it printed its first line."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "spatius_sim", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - start
        process.terminate()
    return seconds
