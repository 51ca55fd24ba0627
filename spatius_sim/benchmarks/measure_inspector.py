"""Measures what the inspector costs a Motion Server: nothing without a page, and little with one."""

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median

import aiohttp

from spatius_sim.benchmarks.drive_sessions import SessionDriver, make_speech_frames
from spatius_sim.benchmarks.figure import BenchSize
from spatius_sim.benchmarks.measure_servers import list_answered_frame_numbers, start_server
from spatius_sim.net.ports_and_hosts import LOOPBACK

WINDOW_SECONDS = 1.5
PAGE_PAUSE_SECONDS, PAGE_PAUSE_PER_CPU_SECOND = 1.0, 25
"""How long the page pauses after an answer: at least the first, and so many times the CPU time that the
answer cost the server (player/web/inspector.js)."""


async def measure_inspector(size: BenchSize) -> list[tuple[str, float, str, str]]:
    """Return figures of the inspector, the web page that shows a server's sessions, as name, value, unit and
    promise. Compare the CPU time of a server with the inspector and of one without it. Then measure by how
    much one open page raises the share of a core that the server takes for paced sessions."""
    least_cpu: dict[str, float] = {}
    frames = make_speech_frames(size.spoken_seconds)
    response_count = len(list_answered_frame_numbers(size.spoken_seconds)) + 1
    async with AsyncExitStack() as stack:
        servers = {
            server_kind: await stack.enter_async_context(start_server(server_kind))
            for server_kind in ("ours", "inspected")
        }
        for _ in range(2 * size.round_count):
            for server_kind, (server, driver) in servers.items():
                before = await server.measure()
                sessions = (driver.speak_unpaced(frames, response_count) for _ in range(size.session_count))
                await asyncio.gather(*sessions)
                cpu = (await server.measure()).cpu_seconds - before.cpu_seconds
                least_cpu[server_kind] = min(least_cpu.get(server_kind, cpu), cpu)
    shares = await _measure_cpu_shares(size)
    session_count = max(1, size.paced_session_count // 5)
    return [
        (
            "inspector: no page open, CPU to a server without it",
            least_cpu["inspected"] / least_cpu["ours"],
            "x",
            "at most 1.05",
        ),
        (f"inspector: {session_count} paced sessions, CPU share", shares[False] * 100, "%", ""),
        (
            "inspector: one page open, more CPU share",
            (shares[True] - shares[False]) * 100,
            "%",
            "at most 5",
        ),
    ]


async def _measure_cpu_shares(size: BenchSize) -> dict[bool, float]:
    """Return which share of a CPU core a server with the inspector takes while sessions speak in real time:
    without an open page of the inspector (False), and with one (True).

    Both are measured alternately, so that other work on the machine disturbs both alike. Each is a
    median."""
    frames = make_speech_frames(size.paced_seconds)
    answered_frame_numbers = list_answered_frame_numbers(size.paced_seconds)
    shares: dict[bool, list[float]] = {False: [], True: []}
    async with start_server("inspected") as (server, driver):
        for _ in range(size.round_count):
            sessions = (
                driver.speak_paced(frames, (session_number % 100) / 100, answered_frame_numbers)
                for session_number in range(max(1, size.paced_session_count // 5))
            )
            all_sessions = asyncio.gather(*sessions)
            while not all_sessions.done():
                for with_page in (False, True):
                    page_task = asyncio.create_task(_act_as_open_page(driver)) if with_page else None
                    before, started_at = await server.measure(), time.monotonic()
                    await asyncio.wait([all_sessions], timeout=WINDOW_SECONDS)
                    cpu = (await server.measure()).cpu_seconds - before.cpu_seconds
                    if not all_sessions.done() or not shares[with_page]:
                        shares[with_page].append(cpu / (time.monotonic() - started_at))
                    if page_task is not None:
                        page_task.cancel()
            await all_sessions
    return {with_page: median(window_shares) for with_page, window_shares in shares.items()}


async def _act_as_open_page(driver: SessionDriver) -> None:
    """Send the server the same requests as an open page of the inspector: for the list of sessions, and for
    the newest session. Repeat them, with pauses, until this task is cancelled."""
    control_url = f"http://{LOOPBACK}:{driver.port}/_sim"
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{control_url}/page") as answer:
                session_list = await answer.json()
            cpu_ms = session_list["cost"]
            if session_list["sessions"]:
                newest_name = session_list["sessions"][0]["name"]
                async with http.get(f"{control_url}/sessions/{newest_name}/player") as answer:
                    cpu_ms += (await answer.json())["cost"]
            await asyncio.sleep(max(PAGE_PAUSE_SECONDS, PAGE_PAUSE_PER_CPU_SECOND * cpu_ms / 1000))
