"""Measures start-up: how long the commands of the kit take until they are ready."""

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from spatius_sim.benchmarks.figure import BenchSize, Figure


def measure_startup(size: BenchSize) -> Iterator[Figure]:
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
    """Start the command `spatius-sim serve`, and end it as soon as it is ready. Return how many seconds its
    start-up took, that is, until it printed its first line."""
    started_at = time.perf_counter()
    command = [sys.executable, "-m", "spatius_sim", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds_until_ready = time.perf_counter() - started_at
        process.terminate()
    return seconds_until_ready
