"""The inspector: a live page of a Motion Server, usable with a thousand sessions, for this machine only."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from spatius_sim.mock_server import session_player_and_tape
from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.net.server.session_log import SessionRecord
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.net.talk import talk, utterance
from spatius_sim.tests.reporting.browser import Heard, faults, fits, in_every_look, text, until
from spatius_sim.tests.reporting.player.test_in_chromium import MOUTH
from spatius_sim.trace.events import Sent

if TYPE_CHECKING:
    from playwright.async_api import Page

PCM = speech("inspector", 64_000)

READY = """new Promise(done => { (function wait() {
  const count = document.getElementById('count').textContent;
  if (document.documentElement.dataset.ready && /[0-9]/.test(count)) done();
  else setTimeout(wait, 20);
})() })"""


def with_sessions(server: MotionServer, number: int) -> None:
    for index in range(number):
        server.journal.add_session(
            SessionRecord(f"session-{index}", f"id-{index}", "app", "<b>avatar</b>", 1.0)
        )


async def test_a_thousand_sessions_stay_usable_and_are_found(tab: "Page") -> None:
    async with MotionServer() as server:
        with_sessions(server, 1000)
        await tab.goto(f"{server.control_endpoint}/")
        await tab.evaluate(READY)
        assert await text(tab, "count") == (
            "1000 open, 0 past; 1000 found, the first 100 are shown: search for others"
        )
        assert await tab.evaluate("document.querySelectorAll('#sessions tr').length") == 100
        await tab.locator("#wanted").fill("session-777")
        await until(tab, "document.querySelectorAll('#sessions tr').length === 1")
        assert "<b>avatar</b>" in await text(tab, "sessions")
        server.journal.open_sessions.clear()


async def test_scenarios_are_played_and_reset_from_the_page(tab: "Page", heard: Heard) -> None:
    async with MotionServer() as server:
        await tab.goto(f"{server.control_endpoint}/")
        await tab.evaluate(READY)
        await tab.locator("#scenario").select_option("credits-exhausted")
        await tab.locator("#start").click()
        await until(tab, "document.getElementById('said').textContent")
        assert server.scenario.name == "credits-exhausted"
        await tab.locator("#reset").click()
        await until(tab, "document.getElementById('said').textContent.startsWith('was reset')")
        assert server.scenario.name == "none"
        assert heard.complaints == []
        assert all(url.startswith(f"http://127.0.0.1:{server.port}/") for url in heard.requests)


async def saved_requests(tab: "Page", folder: Path) -> set[str]:
    """The requests whose motion is on the tape that a click on "save as tape" gives."""
    async with tab.expect_download() as saved:
        await tab.locator("#save").click()
    tape = folder / "saved.tape"
    await (await saved.value).save_as(tape)
    (trace,) = read_traces(tape)
    values = [event.content.value for event in trace.events if isinstance(event.content, Sent)]
    return {value.req_id for value in values if isinstance(value, MotionResponse)}


MOUTH_AT = """(async () => {{
  const seek = document.getElementById('live-seek');
  seek.step = 'any'; seek.value = {milliseconds}; seek.dispatchEvent(new Event('input'));
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return {mouth}('live-server-face');
}})()"""


async def test_a_session_is_looked_at_while_it_goes_on_and_saved_as_a_tape(
    tmp_path: Path, tab: "Page", heard: Heard
) -> None:
    async with MotionServer() as server, talk(server) as session:
        await session.say(*utterance("a", PCM))
        await session.hear_motion()
        await tab.goto(server.inspector_url)
        await until(tab, "/first motion after/.test(document.getElementById('figures').textContent)")
        assert re.fullmatch(
            r"1 turn; first motion after \S+ s, in the middle \S+ s; \S+ s of motion ahead",
            await text(tab, "figures"),
        )
        # Somebody pauses it, and looks back: the face moves as it did.
        await tab.locator("#live-play").click()
        at = await tab.evaluate("document.getElementById('live-seek').max")
        shares = (0.0, 0.2, 0.4, 0.6, 0.8)
        mouths = {
            await tab.evaluate(MOUTH_AT.format(milliseconds=float(at) * share, mouth=MOUTH))
            for share in shares
        }
        assert len(mouths) > 2
        before = await text(tab, "live-found")
        await session.say(*utterance("b", PCM))
        await session.hear_motion()
        await until(tab, "/^2 turns/.test(document.getElementById('figures').textContent)")
        # The list of events is drawn after the figures, a moment later.
        await until(tab, f"document.getElementById('live-found').textContent !== {before!r}")
        assert await text(tab, "live-play") == "Play"
        assert await saved_requests(tab, tmp_path) == {"a", "b"}
        assert heard.complaints == []


@pytest.mark.parametrize("look", [{"reduced_motion": "reduce"}])
async def test_who_wants_little_motion_starts_the_live_player(look: dict[str, Any], tab: "Page") -> None:
    async with MotionServer() as server, talk(server) as session:
        await session.say(*utterance("a", PCM))
        await session.hear_motion()
        await tab.goto(server.inspector_url)
        await until(tab, "/1 turn/.test(document.getElementById('figures').textContent)")
        assert await text(tab, "live-play") == "Play"


async def test_a_long_session_shows_its_newest_events_on_its_own_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_player_and_tape, "MAX_LIVE_EVENTS", 5)
    async with MotionServer() as server, talk(server) as session:
        await session.say(*utterance("a", PCM))
        await session.hear_motion()
        (name,) = server.journal.open_sessions
        entries = list(server.journal.session_events(name))
        values = session_player_and_tape.make_live_player_data(iter(entries), entries[-1].at_ns + 10**9)
    assert len(entries) > 6
    assert len(values["events"]["at"]) == 6  # With the configuration, for its sample rate.
    assert values["zero"] < 0
    assert values["now"] == pytest.approx(1000 + values["events"]["at"][-1], abs=2)
    assert session_player_and_tape.make_live_player_data(iter(()), 5)["events"]["at"] == []


async def test_where_other_machines_can_reach_the_port_a_token_is_needed() -> None:
    async with MotionServer(host="0.0.0.0") as server, aiohttp.ClientSession() as http:
        assert "?token=" in server.inspector_url
        token = server.inspector_url.partition("?token=")[2]
        there = {"Host": "192.0.2.7:8700"}
        foreign = there | {"Origin": "https://evil.example"}
        own = there | {"Origin": "http://192.0.2.7:8700"}
        for query, headers, status in (
            ("", there, 403),
            ("?token=", there, 403),
            ("?token=" + "x" * len(token), there, 403),
            (f"?token={token}", foreign, 403),
            (f"?token={token}", there, 200),
            (f"?token={token}", own, 200),
            ("", {}, 200),
        ):
            async with http.get(f"{server.control_endpoint}/page{query}", headers=headers) as answer:
                assert answer.status == status, (query, headers)
    async with MotionServer() as server:
        assert "token" not in server.inspector_url


async def test_a_page_beside_a_run_changes_nothing_and_saves_tapes(tmp_path: Path, tab: "Page") -> None:
    async with MotionServer(judges=True) as server, aiohttp.ClientSession() as http:
        for method, path in (("PUT", "/scenario"), ("DELETE", "/scenario"), ("POST", "/reset")):
            async with http.request(method, server.control_endpoint + path) as answer:
                assert answer.status == 409
        await tab.goto(server.inspector_url)
        await tab.evaluate(READY)
        for name in ("bar", "scenario", "start", "reset"):
            assert await tab.locator(f"#{name}").is_hidden()
        assert await tab.locator("#looks-on").is_visible()
        async with talk(server) as session:
            await session.say(*utterance("a", PCM))
            await session.hear_motion()
            assert await saved_requests(tab, tmp_path) == {"a"}


@pytest.mark.parametrize("path", ["player", "tape"])
async def test_a_session_that_is_not_there_is_not_shown(path: str) -> None:
    async with (
        MotionServer() as server,
        aiohttp.ClientSession() as http,
        http.get(f"{server.control_endpoint}/sessions/nobody/{path}") as answer,
    ):
        assert answer.status == 404


@in_every_look
async def test_the_inspector_can_be_read_by_everybody(look: dict[str, Any], tab: "Page", axe: str) -> None:
    async with MotionServer() as server:
        with_sessions(server, 3)
        await tab.goto(f"{server.control_endpoint}/")
        await tab.evaluate(READY)
        assert await faults(tab, axe) == []
        assert await fits(tab)
        server.journal.open_sessions.clear()


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_no_other_machine_and_no_other_page_is_answered(headers: dict[str, str]) -> None:
    async with (
        MotionServer() as server,
        aiohttp.ClientSession() as client,
        client.get(f"{server.control_endpoint}/", headers=headers) as answer,
    ):
        assert answer.status == 403
        assert "Motion Server, live" not in await answer.text()
