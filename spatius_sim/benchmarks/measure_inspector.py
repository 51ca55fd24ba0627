"""Measures what the inspector costs a Motion Server: nothing without a page, and little with one."""

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median

import aiohttp

from spatius_sim.benchmarks.drive_sessions import Driver, speech_frames
from spatius_sim.benchmarks.figure import BenchSize
from spatius_sim.benchmarks.measure_servers import segment_borders, start_server
from spatius_sim.net.ports_and_hosts import LOOPBACK

WINDOW_SECONDS = 1.5
EVERY_SECONDS, REST = 1.0, 25
"""How often the page asks, and how many times the CPU of an answer it rests (player/web/inspector.js)."""


async def measure_inspector(size: BenchSize) -> list[tuple[str, float, str, str]]:
    """Benchmark the inspector, and return figures as name, value, unit and promise: the CPU time of a server
    with the inspector to that of a server without it, and by how much one open page raises the share of a
    core that paced sessions take."""
    least_cpu: dict[str, float] = {}
    frames, responses = speech_frames(size.spoken), len(segment_borders(size.spoken)) + 1
    async with AsyncExitStack() as stack:
        servers = {
            server_kind: await stack.enter_async_context(start_server(server_kind))
            for server_kind in ("ours", "inspected")
        }
        for _ in range(2 * size.rounds):
            for kind, (server, driver) in servers.items():
                before = await server.measure()
                await asyncio.gather(*(driver.speak(frames, responses) for _ in range(size.sessions)))
                cpu = (await server.measure()).cpu - before.cpu
                least_cpu[kind] = min(least_cpu.get(kind, cpu), cpu)
    shares = await _measure_cpu_shares(size)
    sessions = max(1, size.paced // 5)
    return [
        (
            "inspector: no page open, CPU to a server without it",
            least_cpu["inspected"] / least_cpu["ours"],
            "x",
            "at most 1.05",
        ),
        (f"inspector: {sessions} paced sessions, CPU share", shares[False] * 100, "%", ""),
        (
            "inspector: one page open, more CPU share",
            (shares[True] - shares[False]) * 100,
            "%",
            "at most 5",
        ),
    ]


async def _measure_cpu_shares(size: BenchSize) -> dict[bool, float]:
    """Measure, for the benchmark of the inspector, which share of a CPU core a server with the inspector
    takes while sessions speak in real time. Return the median without an open page of the inspector
    (False) and with one (True). The two are measured alternately, so that other work on the machine disturbs
    both alike."""
    frames, segment_ends = speech_frames(size.paced_seconds), segment_borders(size.paced_seconds)
    shares: dict[bool, list[float]] = {False: [], True: []}
    async with start_server("inspected") as (server, driver):
        for _ in range(size.rounds):
            sessions = (
                driver.speak_paced(frames, (number % 100) / 100, segment_ends)
                for number in range(max(1, size.paced // 5))
            )
            speaking = asyncio.gather(*sessions)
            while not speaking.done():
                for with_page in (False, True):
                    page = asyncio.create_task(_act_as_open_page(driver)) if with_page else None
                    before, started = await server.measure(), time.monotonic()
                    await asyncio.wait([speaking], timeout=WINDOW_SECONDS)
                    cpu = (await server.measure()).cpu - before.cpu
                    if not speaking.done() or not shares[with_page]:
                        shares[with_page].append(cpu / (time.monotonic() - started))
                    if page is not None:
                        page.cancel()
            await speaking
    return {with_page: median(windows) for with_page, windows in shares.items()}


async def _act_as_open_page(driver: Driver) -> None:
    """Ask the server as an open page of the inspector does, until this task is cancelled: the list of
    sessions, then the newest session."""
    base = f"http://{LOOPBACK}:{driver.port}/_sim"
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{base}/page") as page_answer:
                session_list = await page_answer.json()
            cost = session_list["cost"]
            if session_list["sessions"]:
                name = session_list["sessions"][0]["name"]
                async with http.get(f"{base}/sessions/{name}/player") as page_answer:
                    cost += (await page_answer.json())["cost"]
            await asyncio.sleep(max(EVERY_SECONDS, REST * cost / 1000))
