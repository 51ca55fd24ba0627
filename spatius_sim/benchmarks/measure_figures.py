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


def measure_figures(size: BenchSize, mitmdump_path: str | None = None) -> Iterator[Figure]:
    """Measure all figures of `spatius-sim bench`, and yield each as soon as it is measured.

    `mitmdump_path`: the path of mitmproxy's program `mitmdump`; None: look for it on PATH."""
    yield from measure_codec(size)
    yield from asyncio.run(measure_unpaced(size))
    yield from asyncio.run(measure_paced(size))
    yield from asyncio.run(measure_idle(size))
    yield from asyncio.run(measure_growth(size))
    yield from _measure_inspector(size)
    yield from _measure_startup(size)
    yield from _measure_client(size)
    yield from _measure_virtual_time(size)
    yield from _measure_tapes(size, mitmdump_path)
    yield from _measure_study(size)


# Tapes.


def _measure_tapes(size: BenchSize, mitmdump_path: str | None) -> Iterator[Figure]:
    """Yield the figures of tapes (files with recorded sessions): how fast they are read and replayed, and
    what the proxy costs that records them. `mitmdump_path`: see `measure_proxy`."""
    from spatius_sim.benchmarks.measure_proxy import measure_proxy
    from spatius_sim.benchmarks.measure_tapes import measure_reading, measure_replaying

    yield from (Figure(*row) for row in measure_reading(size.taped_session_count, size.round_count))
    yield from (Figure(*row) for row in measure_replaying(size.taped_session_count))
    proxy_rows = measure_proxy(size.proxied_session_count, size.round_count, mitmdump_path)
    yield from (Figure(*row) for row in proxy_rows)


# Studies.


def _measure_study(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of studies: how fast turns of conversation are simulated over modelled networks."""
    from spatius_sim.benchmarks.measure_studies import measure_study

    yield from (Figure(*row) for row in measure_study(size.study_turn_count))


# Virtual time.


def _measure_virtual_time(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of virtual time (a simulated clock): how many seconds of conversation are simulated
    in a second of CPU. Compare them with calls of the same relay and server without clock and connections."""
    from spatius_sim.benchmarks.measure_virtual_time import measure_simulation_speed

    for wire_name, least_speed in (("json-envelope", 1200), ("binary-header", 2000)):
        speeds_by_round = [
            (
                measure_simulation_speed(wire_name, size.virtual_turn_count, direct=False),
                measure_simulation_speed(wire_name, size.virtual_turn_count, direct=True),
            )
            for _ in range(size.round_count)
        ]
        virtual_speed, direct_speed = (max(speeds) for speeds in zip(*speeds_by_round, strict=True))
        unit = "session-s/CPU-s"
        yield Figure(f"virtual time, {wire_name}", virtual_speed, unit, f"at least {least_speed}")
        yield Figure(f"its brains called directly, {wire_name}", direct_speed, unit)
        ratio = direct_speed / virtual_speed
        yield Figure(f"virtual time to its brains, {wire_name}", ratio, "x", "at most 1.3")


# The client suite.


def _measure_client(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of our client decoder, and of the suite of tests for clients. If Node is installed,
    the suite also tests a client in JavaScript, over stdio."""
    from spatius_sim.benchmarks import measure_client

    client_figures = [
        measure_client.measure_decoder(),
        measure_client.measure_plans_in_process(size.plan_count),
    ]
    if shutil.which("node"):
        script = resource("conformance") / "client" / "js" / "reference_testee.js"
        command = shlex.join(["node", str(script)])
        javascript_figure = measure_client.measure_plans_over_stdio(command, size.plan_count)
        client_figures.append(javascript_figure._replace(name="C suite, JavaScript over stdio"))
    for name, value, unit, least_value in client_figures:
        yield Figure(name, value, unit, f"at least {least_value:.0f}")


# The inspector.


def _measure_inspector(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of the inspector, the web page that shows a server's sessions: how much CPU time it
    costs the server while no page is open, and while one is."""
    from spatius_sim.benchmarks.measure_inspector import measure_inspector

    yield from (Figure(*row) for row in asyncio.run(measure_inspector(size)))


# Start-up.


def _measure_startup(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of start-up: how long a bare Python interpreter, `spatius-sim --help` and
    `spatius-sim serve` take to start."""
    commands = {
        "a bare interpreter": ["-c", ""],
        "an interpreter that imports aiohttp": ["-c", "import aiohttp"],
        "spatius-sim --help": ["-m", "spatius_sim", "--help"],
    }
    for name, arguments in commands.items():
        run_seconds = [_time_command([sys.executable, *arguments]) for _ in range(size.start_count)]
        yield Figure(f"start-up: {name}", median(run_seconds) * 1e3, "ms")
    seconds_until_ready = median(_time_start_of_serve() for _ in range(size.start_count))
    yield Figure("start-up: spatius-sim serve until ready", seconds_until_ready * 1e3, "ms")


def _time_command(command: list[str]) -> float:
    """Run this command, and return how many seconds it takes from its start to its end. Its output is thrown
    away. Raises CalledProcessError if the command fails."""
    started_at = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_at


def _time_start_of_serve() -> float:
    """Start the command `spatius-sim serve`, and end it as soon as it is ready. Return how many seconds it
    took to get ready, that is, to print its first line."""
    started_at = time.perf_counter()
    command = [sys.executable, "-m", "spatius_sim", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds_until_ready = time.perf_counter() - started_at
        process.terminate()
    return seconds_until_ready
