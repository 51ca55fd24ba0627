"""The inspector: a live page of a Motion Server, usable with a thousand sessions, for this machine only."""

from typing import Any

import aiohttp
import pytest

from spatius_sim.mock_server.server import MotionServer
from spatius_sim.net.server.session_log import SessionRecord
from spatius_sim.tests.reporting.browser import Page, axe, page

READY = """new Promise(done => { (function wait() {
  const count = document.getElementById('count').textContent;
  if (document.documentElement.dataset.ready && /[0-9]/.test(count)) done();
  else setTimeout(wait, 20);
})() })"""


def with_sessions(server: MotionServer, number: int) -> None:
    for index in range(number):
        server.journal.opened(SessionRecord(f"session-{index}", f"id-{index}", "app", "<b>avatar</b>", 1.0))


async def text(tab: Page, name: str) -> str:
    return str(await tab.asked(f"document.getElementById({name!r}).textContent"))


async def until(tab: Page, condition: str) -> None:
    await tab.asked(
        f"new Promise(done => (function wait() {{ {condition} ? done() : setTimeout(wait, 20); }})())"
    )


async def test_a_thousand_sessions_stay_usable_and_are_found() -> None:
    async with MotionServer() as server, page() as tab:
        with_sessions(server, 1000)
        await tab.open(f"{server.control_endpoint}/")
        await tab.asked(READY)
        assert await text(tab, "count") == (
            "1000 open, 0 past; 1000 found, the first 100 are shown: search for others"
        )
        assert await tab.asked("document.querySelectorAll('#sessions tr').length") == 100
        await tab.asked("document.getElementById('search').value = 'session-777'")
        await until(tab, "document.querySelectorAll('#sessions tr').length === 1")
        assert "<b>avatar</b>" in await text(tab, "sessions")
        server.journal.open.clear()


async def test_scenarios_are_played_and_reset_from_the_page() -> None:
    async with MotionServer() as server, page() as tab:
        await tab.open(f"{server.control_endpoint}/")
        await tab.asked(READY)
        await tab.asked("document.getElementById('scenario').value = 'credits-exhausted'")
        await tab.asked("document.getElementById('play').click()")
        await until(tab, "document.getElementById('said').textContent")
        assert server.scenario.name == "credits-exhausted"
        await tab.asked("document.getElementById('reset').click()")
        await until(tab, "document.getElementById('said').textContent.startsWith('was reset')")
        assert server.scenario.name == "none"
        for complaint in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            assert tab.of(complaint) == []
        asked = {event["request"]["url"] for event in tab.of("Network.requestWillBeSent")}
        assert all(url.startswith(f"http://127.0.0.1:{server.port}/") for url in asked)


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"width": 390, "height": 844}])
async def test_the_inspector_can_be_read_by_everybody(look: dict[str, Any]) -> None:
    source = axe()
    async with MotionServer() as server, page() as tab:
        with_sessions(server, 3)
        await tab.looks(**look)
        await tab.open(f"{server.control_endpoint}/")
        await tab.asked(READY)
        await tab.do("Runtime.evaluate", expression=source)
        found = await tab.asked("axe.run().then(result => result.violations)")
        assert [f"{one['id']} {node['html'][:200]}" for one in found for node in one["nodes"]] == []
        assert await tab.asked("document.documentElement.scrollWidth <= window.innerWidth")
        server.journal.open.clear()


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_no_other_machine_and_no_other_page_is_answered(headers: dict[str, str]) -> None:
    async with (
        MotionServer() as server,
        aiohttp.ClientSession() as client,
        client.get(f"{server.control_endpoint}/", headers=headers) as answer,
    ):
        assert answer.status == 403
        assert "Motion Server, live" not in await answer.text()
