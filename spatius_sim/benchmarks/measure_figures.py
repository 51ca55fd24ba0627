"""Measures the figures of `spatius-sim bench`: ours, and the least that could do the same work."""

import asyncio
from collections.abc import Iterator

from spatius_sim.benchmarks.figure import BenchSize, Figure
from spatius_sim.benchmarks.measure_codec import measure_codec
from spatius_sim.benchmarks.measure_servers import (
    measure_growth,
    measure_idle,
    measure_paced,
    measure_unpaced,
)
from spatius_sim.benchmarks.measure_startup import measure_startup


def measure_figures(size: BenchSize, mitmdump_path: str | None = None) -> Iterator[Figure]:
    """Measure all figures of `spatius-sim bench`, and yield each as soon as it is measured. A module that
    only some figures need is imported when these are measured.

    `mitmdump_path`: the path of mitmproxy's program `mitmdump`; None: look for it on PATH."""
    yield from measure_codec(size)
    yield from asyncio.run(measure_unpaced(size))
    yield from asyncio.run(measure_paced(size))
    yield from asyncio.run(measure_idle(size))
    yield from asyncio.run(measure_growth(size))
    from spatius_sim.benchmarks.measure_inspector import measure_inspector

    yield from (Figure(*row) for row in asyncio.run(measure_inspector(size)))
    yield from measure_startup(size)
    from spatius_sim.benchmarks.measure_client import measure_client

    yield from measure_client(size)
    from spatius_sim.benchmarks.measure_virtual_time import measure_virtual_time

    yield from measure_virtual_time(size)
    yield from _measure_tapes(size, mitmdump_path)
    from spatius_sim.benchmarks.measure_studies import measure_study

    yield from (Figure(*row) for row in measure_study(size.study_turn_count))


def _measure_tapes(size: BenchSize, mitmdump_path: str | None) -> Iterator[Figure]:
    """Yield the figures of tapes (files with recorded sessions): how fast they are read and replayed, and
    what the proxy costs that records them. `mitmdump_path`: the path of the program `mitmdump`, with which
    the proxy is compared; None: look for it on PATH."""
    from spatius_sim.benchmarks.measure_proxy import measure_proxy
    from spatius_sim.benchmarks.measure_tapes import measure_reading, measure_replaying

    yield from (Figure(*row) for row in measure_reading(size.taped_session_count, size.round_count))
    yield from (Figure(*row) for row in measure_replaying(size.taped_session_count))
    proxy_rows = measure_proxy(size.proxied_session_count, size.round_count, mitmdump_path)
    yield from (Figure(*row) for row in proxy_rows)
