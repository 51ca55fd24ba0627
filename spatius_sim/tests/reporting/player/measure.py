"""Measures the player in Chromium: `python -m spatius_sim.tests.reporting.player.measure`.

A conversation of ten minutes, spoken at the pace of speech over a relay in virtual time, becomes one page.
Measured are its bytes without sound, the time from the navigation until it can be used, and scrubbing: a jump
to another moment in every frame, for three seconds, from afar and from near. The frames of a second depend on
what else the machine does; the CPU that a frame takes of the page's thread does not: 16.7 ms allow 60."""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.reporting.player.runs_to_player_data import build_player
from spatius_sim.reporting.player.write_player_page import player_page
from spatius_sim.tests.reporting.browser import launch, open_tab
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.trace.events import Trace
from spatius_sim.virtual.virtual_loop import VirtualLoop

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

TURNS, SECONDS = 60, 10
READY_AT = """new Promise(done => { (function wait() {
  if (document.documentElement.dataset.ready) requestAnimationFrame(() => done(performance.now()));
  else setTimeout(wait, 5);
})() })"""
SCRUB = """new Promise(done => {
  const seek = document.getElementById('seek');
  const began = performance.now();
  let frames = 0, at = 0.1;
  requestAnimationFrame(function frame(now) {
    at = (at * 97.31 + 0.137) % 1;
    seek.value = seek.max * at;
    seek.dispatchEvent(new Event('input'));
    frames += 1;
    if (now - began < 3000) requestAnimationFrame(frame);
    else done({ rate: frames / ((now - began) / 1000), frames });
  });
})"""
NEAR = "for (let n = 0; n < 6; n += 1) document.getElementById('closer').click()"


def conversation() -> Trace:
    """Return the trace of ten minutes of speech, one turn after the other."""
    turn = TurnPlan(SECONDS * PLAN_SAMPLE_RATE, 3200, chunk_pause_ms=100)
    loop, stack = VirtualLoop(), AsyncExitStack()
    try:
        subject = loop.run(stack.enter_async_context(miniature_relay(PlainRelay)), 10.0)
        return loop.run(subject.run(Plan(((turn,) * TURNS,)), patient=False), 10_000.0)
    finally:
        loop.run(stack.aclose(), 10.0)
        loop.stop()


async def look(path: Path) -> list[dict[str, Any]]:
    """Return when the page was ready (milliseconds), and how it was scrubbed from afar and from near."""
    async with AsyncExitStack() as stack:
        tab = await open_tab(await launch(stack))
        tools = await tab.context.new_cdp_session(tab)
        await tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        await tab.goto(path.as_uri())
        opened = {"ready": await tab.evaluate(READY_AT), "cpu": await cpu_seconds(tools)}
        found = [opened]
        for before in ("0", NEAR):
            await tab.evaluate(before)
            began = await cpu_seconds(tools)
            scrubbed = await tab.evaluate(SCRUB)
            found.append(scrubbed | {"cpu": (await cpu_seconds(tools) - began) / scrubbed["frames"]})
        return found


async def cpu_seconds(tools: "CDPSession") -> float:
    """Return the CPU that the page's thread has taken."""
    metrics = (await tools.send("Performance.getMetrics"))["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def main() -> None:
    """Measure, and print the figures."""
    began = time.monotonic()
    values = build_player([conversation()], "ten minutes", sound=False)
    text = player_page(values)
    built = time.monotonic() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        opened, afar, near = asyncio.run(look(path))
    lines = [
        f"{values['end'] / 60_000:.1f} minutes, {len(values['events']['at']):,} events",
        f"page without sound  {len(text) / 1e6:.2f} MB (made in {built:.1f} s)",
        f"opens in            {opened['ready'] / 1000:.2f} s, {opened['cpu']:.2f} s of CPU",
    ]
    lines += [
        f"scrubbing from {place:5}{one['rate']:.0f} frames a second, "
        f"{one['cpu'] * 1000:.1f} ms of CPU a frame"
        for place, one in (("afar", afar), ("near", near))
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
