"""The player as a browser has it: it plays, scrubs, links and filters, and nothing leaves the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatius_sim.files.resources import resource
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.player.build import build_player
from spatius_sim.reporting.player.page import player_page
from spatius_sim.tape.traces import read_traces
from spatius_sim.tests.reporting.browser import Page, axe, page
from spatius_sim.tests.reporting.hostile import ATTACKS
from spatius_sim.trace.events import (
    Event,
    EventKind,
    Excuse,
    Injected,
    Lane,
    Received,
    Sent,
    Trace,
    TraceHeader,
    Undecodable,
)

TAPES = resource("fixtures") / "tapes"
PHONE = 390
LOOKS = [{}, {"dark": True}, {"width": PHONE, "height": 844}, {"width": PHONE, "height": 844, "dark": True}]
READY = """new Promise(done => { (function wait() {
  if (document.documentElement.dataset.ready) requestAnimationFrame(() => requestAnimationFrame(done));
  else setTimeout(wait, 10);
})() })"""
MOUTH = """(id => { const canvas = document.getElementById(id), wanted = [0x7a, 0x0f, 0x2b];
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) if (wanted.every((one, n) => data[at + n] === one)) count += 1;
  return count; })"""


def hostile_values() -> dict[str, Any]:
    faults = [
        Event(n, n, Lane.KIT, text, Injected(text, Excuse.NOTHING, detail=text))
        for n, text in enumerate(ATTACKS)
    ]
    header = TraceHeader("relay", "json-envelope", 1, ATTACKS[0], "0")
    return build_player([Trace(header, tuple(faults))], "".join(ATTACKS))


def hours() -> dict[str, Any]:
    header = TraceHeader("relay", "json-envelope", 1, "", "0")
    fault = Injected("late", Excuse.NOTHING)
    events = [Event(n, n * 1800 * 10**9, Lane.KIT, "client-1", fault) for n in range(9)]
    return build_player([Trace(header, tuple(events))], "hours")


def a_megabyte_of_hostility() -> dict[str, Any]:
    """A frame, an error and a name, each of a megabyte that means harm."""
    text = "</script><img src=x onerror=alert(1)>\x1b[2J" * 25_000
    kinds: list[EventKind] = [
        Received(text, Undecodable(text)),
        Injected(text, Excuse.NOTHING, detail=text),
        Sent(text.encode(), MotionResponse(text, text, True, np.zeros((2, WIDTH), np.float32))),
    ]
    events = [Event(n, n * 10**8, Lane.UPSTREAM, text, kind) for n, kind in enumerate(kinds)]
    return build_player([Trace(TraceHeader("relay", "", 1, text, "0"), tuple(events))], text)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("players")
    names = ("wire-json-envelope", "fails-C-MISMATCH", "scene-Motion-Server-dies", "fails-S-MOTION-COUNT")
    values = {name: build_player(read_traces(TAPES / f"{name}.tape"), name) for name in names}
    values |= {"empty": build_player([], "empty"), "hostile": hostile_values()}
    values |= {"hours": hours(), "megabyte": a_megabyte_of_hostility()}
    paths = {name: folder / f"{name}.html" for name in values}
    for name, path in paths.items():
        path.write_text(player_page(values[name]), encoding="utf-8")
    return paths


async def opened(tab: Page, path: Path, link: str = "") -> None:
    await tab.open("about:blank")
    await tab.open(f"{path.as_uri()}{link}")
    await tab.asked(READY)


async def seek(tab: Page, milliseconds: float) -> None:
    await tab.asked(
        f"(seek => {{ seek.step = 'any'; seek.value = {milliseconds};"
        " seek.dispatchEvent(new Event('input')); })"
        "(document.getElementById('seek'))"
    )
    await tab.asked(READY)


async def press_play(tab: Page) -> None:
    """As a person does: a browser gives no sound to a page that nobody touched."""
    press = "document.getElementById('play').click()"
    await tab.do("Runtime.evaluate", expression=press, userGesture=True)


async def text(tab: Page, name: str) -> str:
    return str(await tab.asked(f"document.getElementById({name!r}).textContent"))


async def test_no_request_leaves_a_page_and_nothing_is_complained_of(pages: dict[str, Path]) -> None:
    async with page() as tab:
        for path in pages.values():
            await opened(tab, path)
            await press_play(tab)
            await tab.asked(READY)
            asked = [event["request"]["url"] for event in tab.of("Network.requestWillBeSent")]
            assert asked == [path.as_uri()]
            for complaint in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                assert tab.of(complaint) == []


async def test_the_jaw_follows_the_keyframes_on_both_faces(pages: dict[str, Path]) -> None:
    """The jaw of the fixture's keyframes is 1 rad, but in a few frames, where it is smaller."""
    async with page() as tab:
        await opened(tab, pages["wire-json-envelope"])
        mouths = set()
        for milliseconds in (0, 100, 270, 300, 350, 400):
            await seek(tab, milliseconds)
            for face in ("server-face", "client-face"):
                mouths.add((face, await tab.asked(f"{MOUTH}({face!r})")))
        for face in ("server-face", "client-face"):
            sizes = sorted(size for one, size in mouths if one == face)
            assert sizes[-1] > 1000
            assert sizes[0] < sizes[-1] / 3


async def test_a_discarded_payload_leaves_the_face_still_and_says_why(pages: dict[str, Path]) -> None:
    async with page() as tab:
        await opened(tab, pages["fails-C-MISMATCH"])
        still = set()
        for milliseconds in (100, 300, 500):
            await seek(tab, milliseconds)
            still.add(await tab.asked(f"{MOUTH}('client-face')"))
            assert await text(tab, "cause") == "the client discarded motion: mismatched id"
            assert await text(tab, "server-words") == "sends motion"
        assert len(still) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hours", "The tape holds more than a page can show: the page ends at event 3"),
        ("empty", "This tape holds no events: there is nothing to play."),
        ("hours", "This tape holds no motion: the face stays still."),
        ("hours", "This tape holds no speech."),
    ],
)
async def test_a_page_says_what_it_lacks(name: str, says: str, pages: dict[str, Path]) -> None:
    async with page() as tab:
        await opened(tab, pages[name])
        told = await tab.asked("[...document.querySelectorAll('header .notice')].map(one => one.textContent)")
        assert any(one.startswith(says) for one in told), told
        assert await tab.asked("document.getElementById('trouble').hidden")


async def test_a_megabyte_of_hostile_text_is_a_small_page_that_shows_its_beginning(
    pages: dict[str, Path],
) -> None:
    assert pages["megabyte"].stat().st_size < 100_000
    async with page() as tab:
        await opened(tab, pages["megabyte"])
        assert await text(tab, "found") == "3 of 3 events"
        assert "</script><img src=x" in await text(tab, "events")
        assert await tab.asked("document.images.length") == 0


async def test_it_plays_to_its_end_and_stops(pages: dict[str, Path]) -> None:
    async with page() as tab:
        await opened(tab, pages["wire-json-envelope"])
        await press_play(tab)
        await tab.asked(
            "new Promise(done => (function wait() { document.getElementById('play').textContent === 'Play' "
            "? done() : setTimeout(wait, 20); })())"
        )
        assert float(await tab.asked("document.getElementById('seek').value")) > 440
        assert "#t=" in await tab.asked(
            "new Promise(done => (function wait() { location.hash ? done(location.hash) "
            ": setTimeout(wait, 20); })())"
        )


PIXELS = "document.getElementById('lanes').toDataURL()"


async def pressed(tab: Page, key: str) -> None:
    event = f"new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true}})"
    await tab.asked(f"document.body.dispatchEvent({event})")
    await tab.asked(READY)


async def test_a_link_and_the_keys_lead_to_a_moment(pages: dict[str, Path]) -> None:
    async with page() as tab:
        await opened(tab, pages["wire-json-envelope"], "#t=0.2")
        assert (await text(tab, "clock")).startswith("0.20 s")
        for key, clock in ((".", "0.24"), (",", "0.20"), ("Home", "0.00"), ("End", "0.49")):
            await pressed(tab, key)
            assert (await text(tab, "clock")).startswith(f"{clock} s")
        for key, shows in ((" ", "Pause"), (" ", "Play"), ("k", "Pause"), ("k", "Play")):
            await pressed(tab, key)
            assert await text(tab, "play") == shows
        await pressed(tab, ">")
        assert await tab.asked("parseFloat(document.getElementById('speed').value)") == 1.5
        whole = await tab.asked(PIXELS)
        await pressed(tab, "+")
        assert await tab.asked(PIXELS) != whole
        await pressed(tab, "-")
        await pressed(tab, "Home")
        await pressed(tab, "n")
        first = await text(tab, "event-words")
        await pressed(tab, "n")
        assert await text(tab, "event-words") != first
        await pressed(tab, "p")
        assert await text(tab, "event-words") == first
        await pressed(tab, "/")
        assert await tab.asked("document.activeElement.id") == "search"
        await tab.asked("location.hash = 't=0.12'")
        await tab.asked(READY)
        assert (await text(tab, "clock")).startswith("0.12 s")


async def test_events_are_searched_filtered_and_shown_with_their_first_bytes(pages: dict[str, Path]) -> None:
    choose = (
        (
            "(id, value) => {{ const one = document.getElementById(id); one.value = value;"
            " one.dispatchEvent(new Event(id === 'search' ? 'input' : 'change')); }}"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )
    async with page() as tab:
        await opened(tab, pages["wire-json-envelope"])
        assert await text(tab, "found") == "59 of 59 events"
        await tab.asked(f"({choose})('kind', 'motion')")
        await tab.asked(READY)
        assert await text(tab, "found") == "8 of 59 events"
        await tab.asked(f"({choose})('search', 'request-1')")
        await tab.asked(READY)
        assert await text(tab, "found") == "4 of 59 events"
        await tab.asked(f"({choose})('connection', 'upstream-1')")
        await tab.asked(READY)
        assert await text(tab, "found") == "2 of 59 events"
        await tab.asked("document.querySelector('#events button').click()")
        await tab.asked(READY)
        assert "motion of request-1" in await text(tab, "event-words")
        assert len((await text(tab, "event-hex")).split()) == 64
        await tab.asked(f"({choose})('search', 'nothing says this')")
        await tab.asked(READY)
        assert await text(tab, "found") == "0 of 59 events"


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "phone", "phone-dark"])
async def test_a_page_can_be_read_by_everybody(look: dict[str, Any], pages: dict[str, Path]) -> None:
    source = axe()
    async with page() as tab:
        await tab.looks(**look)
        for path in pages.values():
            await opened(tab, path, "#t=0.1")
            await tab.do("Runtime.evaluate", expression=source)
            found = await tab.asked("axe.run().then(result => result.violations)")
            assert [f"{one['id']} {node['html'][:200]}" for one in found for node in one["nodes"]] == []
            assert await tab.asked("document.documentElement.scrollWidth <= window.innerWidth")
            assert await tab.asked(
                "document.getElementById('lanes').getBoundingClientRect().top < innerHeight"
            )
