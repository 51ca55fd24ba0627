"""The player as a browser has it: it plays, scrubs, links and filters, and nothing leaves the page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.keyframes import EXPRESSION, EYE_LID, EYE_POSE, JAW_POSE, NECK_POSE, WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.player.curves import CHANNELS, RANGES
from spatius_sim.reporting.player.runs_to_player_data import build_player
from spatius_sim.reporting.player.write_player_page import player_page
from spatius_sim.tape.traces_on_tapes import read_damaged_traces, read_traces
from spatius_sim.tests.reporting.browser import Heard, faults, fits, in_every_look, text, until
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

if TYPE_CHECKING:
    from playwright.async_api import Page

TAPES = resource("fixtures") / "tapes"
READY = """new Promise(done => { (function wait() {
  if (document.documentElement.dataset.ready) requestAnimationFrame(() => requestAnimationFrame(done));
  else setTimeout(wait, 10);
})() })"""
COUNT_SOUNDS = """window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...at) {
  started.push(Number(this.buffer.duration.toFixed(2)));
  return start.apply(this, at);
};"""
PLACES: dict[str, int | slice] = {
    "jaw": JAW_POSE.start,
    "lidLeft": EYE_LID.start,
    "lidRight": EYE_LID.start + 1,
    "eyeX": EYE_POSE.start + 1,
    "eyeY": EYE_POSE.start,
    "neckX": NECK_POSE.start,
    "neckY": NECK_POSE.start + 1,
    "energy": slice(EXPRESSION.start, EXPRESSION.start + 50),
}
"""Where a keyframe has each channel."""
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


def cut_off(folder: Path) -> dict[str, Any]:
    """The page of a tape whose end is missing, as `tape view` makes it."""
    path = folder / "cut-off.tape"
    path.write_bytes((TAPES / "wire-json-envelope.tape").read_bytes()[:-40])
    traces, damage, _ = read_damaged_traces(path, 1000)
    return build_player(traces, path.name, [f"The tape is damaged: {line}" for line in damage])


def a_face(channel: str) -> dict[str, Any]:
    """A second of motion in which this channel alone moves from zero to its largest."""
    largest = dict(zip(CHANNELS, RANGES, strict=True))[channel][1]
    keyframes = np.zeros((25, WIDTH), np.float32)
    keyframes.T[PLACES[channel]] = np.linspace(0.0, largest, 25)
    motion = Sent(b"all", MotionResponse("c", "a", True, keyframes))
    events = (
        Event(0, 0, Lane.UPSTREAM, "u", motion),
        Event(1, 10**9, Lane.KIT, "", Injected("end", Excuse.NOTHING)),
    )
    return build_player([Trace(TraceHeader("relay", "", 1, "", "0"), events)], channel)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("players")
    names = ("wire-json-envelope", "fails-C-MISMATCH", "scene-Motion-Server-dies", "fails-S-MOTION-COUNT")
    values = {name: build_player(read_traces(TAPES / f"{name}.tape"), name) for name in names}
    values |= {"empty": build_player([], "empty"), "hostile": hostile_values()}
    values |= {"hours": hours(), "megabyte": a_megabyte_of_hostility(), "cut-off": cut_off(folder)}
    paths = {name: folder / f"{name}.html" for name in values}
    for name, path in paths.items():
        path.write_text(player_page(values[name]), encoding="utf-8")
    return paths


async def opened(tab: "Page", path: Path, link: str = "") -> None:
    await tab.goto("about:blank")
    await tab.goto(f"{path.as_uri()}{link}")
    await tab.evaluate(READY)


async def seek(tab: "Page", milliseconds: float) -> None:
    await tab.evaluate(
        f"(seek => {{ seek.step = 'any'; seek.value = {milliseconds};"
        " seek.dispatchEvent(new Event('input')); })"
        "(document.getElementById('seek'))"
    )
    await tab.evaluate(READY)


async def test_no_request_leaves_a_page_and_nothing_is_complained_of(
    pages: dict[str, Path], tab: "Page", heard: Heard
) -> None:
    for path in pages.values():
        heard.forget()
        await opened(tab, path)
        await tab.locator("#play").click()
        await tab.evaluate(READY)
        assert [url for url in heard.requests if url != "about:blank"] == [path.as_uri()]
        assert heard.complaints == []


async def test_nothing_of_the_player_is_at_the_top_level(
    pages: dict[str, Path], tmp_path: Path, tab: "Page"
) -> None:
    names = "Object.getOwnPropertyNames(window)"
    empty = tmp_path / "empty.html"
    empty.write_text("<!doctype html><title>empty</title>")
    await tab.goto(empty.as_uri())
    before = set(await tab.evaluate(names))
    await opened(tab, pages["wire-json-envelope"])
    assert set(await tab.evaluate(names)) <= before


async def test_the_sound_is_played_where_the_tape_keeps_it(pages: dict[str, Path], tab: "Page") -> None:
    await tab.add_init_script(COUNT_SOUNDS)
    for name, sounds in (("wire-json-envelope", 2), ("hours", 0)):
        await opened(tab, pages[name])
        assert await tab.locator("#sound").is_visible() == (sounds > 0)
        await tab.locator("#play").click()
        assert await tab.evaluate("started") == [0.4] * sounds


@pytest.mark.parametrize("channel", CHANNELS)
async def test_each_channel_of_the_motion_moves_the_face(channel: str, tmp_path: Path, tab: "Page") -> None:
    path = tmp_path / "face.html"
    path.write_text(player_page(a_face(channel)), encoding="utf-8")
    await opened(tab, path)
    faces = set()
    for milliseconds in (0, 480, 960):
        await seek(tab, milliseconds)
        faces.add(await tab.evaluate("document.getElementById('server-face').toDataURL()"))
    assert len(faces) == 3


async def test_what_a_page_does_wrong_is_heard(tmp_path: Path, tab: "Page", heard: Heard) -> None:
    """Else the silence of our pages would say nothing."""
    path = tmp_path / "page.html"
    path.write_text(
        "<!doctype html><meta http-equiv='Content-Security-Policy' content=\"img-src 'none'\">"
        "<img alt='' src='http://127.0.0.1:9/a.png'><link rel=stylesheet href='none.css'>"
        "<script>console.info('said'); setTimeout(() => { throw new Error('thrown') });</script>"
    )
    await tab.goto(path.as_uri())
    await until(tab, "document.readyState === 'complete'")
    asked = {path.as_uri(), path.with_name("none.css").as_uri(), "http://127.0.0.1:9/a.png"}
    assert set(heard.requests) == asked
    for complaint in ("said", "thrown", "img-src 'none'", "ERR_FILE_NOT_FOUND"):
        assert any(complaint in one for one in heard.complaints), heard.complaints


async def test_the_jaw_follows_the_keyframes_on_both_faces(pages: dict[str, Path], tab: "Page") -> None:
    """The jaw of the fixture's keyframes is 1 rad, but in a few frames, where it is smaller."""
    await opened(tab, pages["wire-json-envelope"])
    mouths = set()
    for milliseconds in (0, 100, 270, 300, 350, 400):
        await seek(tab, milliseconds)
        for face in ("server-face", "client-face"):
            mouths.add((face, await tab.evaluate(f"{MOUTH}({face!r})")))
    for face in ("server-face", "client-face"):
        sizes = sorted(size for one, size in mouths if one == face)
        assert sizes[-1] > 1000
        assert sizes[0] < sizes[-1] / 3


async def test_a_discarded_payload_leaves_the_face_still_and_says_why(
    pages: dict[str, Path], tab: "Page"
) -> None:
    await opened(tab, pages["fails-C-MISMATCH"])
    still = set()
    for milliseconds in (100, 300, 500):
        await seek(tab, milliseconds)
        still.add(await tab.evaluate(f"{MOUTH}('client-face')"))
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
        ("cut-off", "The tape is damaged"),
    ],
)
async def test_a_page_says_what_it_lacks(name: str, says: str, pages: dict[str, Path], tab: "Page") -> None:
    await opened(tab, pages[name])
    told = await tab.locator("header .notice").all_text_contents()
    assert any(one.startswith(says) for one in told), told
    assert await tab.locator("#trouble").is_hidden()


async def test_a_megabyte_of_hostile_text_is_a_small_page_that_shows_its_beginning(
    pages: dict[str, Path], tab: "Page"
) -> None:
    assert pages["megabyte"].stat().st_size < 100_000
    await opened(tab, pages["megabyte"])
    assert await text(tab, "found") == "3 of 3 events"
    assert "</script><img src=x" in await text(tab, "events")
    assert await tab.evaluate("document.images.length") == 0


async def test_it_plays_to_its_end_and_stops(pages: dict[str, Path], tab: "Page") -> None:
    await opened(tab, pages["wire-json-envelope"])
    await tab.locator("#play").click()
    await until(tab, "document.getElementById('play').textContent === 'Play'")
    assert float(await tab.locator("#seek").input_value()) > 440
    await until(tab, "location.hash.startsWith('#t=')")


PIXELS = "document.getElementById('lanes').toDataURL()"


async def pressed(tab: "Page", key: str) -> None:
    await tab.keyboard.press(key)
    await tab.evaluate(READY)


async def speed(tab: "Page", keys: str, speed: float) -> None:
    for key in keys:
        await pressed(tab, key)
    assert await tab.evaluate("parseFloat(document.getElementById('speed').value)") == speed


async def test_a_link_and_the_keys_lead_to_a_moment(pages: dict[str, Path], tab: "Page") -> None:
    await opened(tab, pages["wire-json-envelope"], "#t=0.2")
    assert (await text(tab, "clock")).startswith("0.20 s")
    for key, clock in ((".", "0.24"), (",", "0.20"), ("Home", "0.00"), ("End", "0.49")):
        await pressed(tab, key)
        assert (await text(tab, "clock")).startswith(f"{clock} s")
    # So slowly that it does not come to its end meanwhile.
    await speed(tab, "<<<", 0.1)
    for key, shows in ((" ", "Pause"), (" ", "Play"), ("k", "Pause"), ("k", "Play")):
        await pressed(tab, key)
        assert await text(tab, "play") == shows
    await speed(tab, ">>>>", 1.5)
    whole = await tab.evaluate(PIXELS)
    await pressed(tab, "+")
    assert await tab.evaluate(PIXELS) != whole
    await pressed(tab, "-")
    await pressed(tab, "Home")
    await pressed(tab, "n")
    first = await text(tab, "event-words")
    await pressed(tab, "n")
    assert await text(tab, "event-words") != first
    await pressed(tab, "p")
    assert await text(tab, "event-words") == first
    await pressed(tab, "/")
    assert await tab.evaluate("document.activeElement.id") == "search"
    await tab.evaluate("location.hash = 't=0.12'")
    await tab.evaluate(READY)
    assert (await text(tab, "clock")).startswith("0.12 s")


async def test_events_are_searched_filtered_and_shown_with_their_first_bytes(
    pages: dict[str, Path], tab: "Page"
) -> None:
    await opened(tab, pages["wire-json-envelope"])
    assert await text(tab, "found") == "59 of 59 events"
    await tab.locator("#kind").select_option("motion")
    await tab.evaluate(READY)
    assert await text(tab, "found") == "8 of 59 events"
    await tab.locator("#search").fill("request-1")
    await tab.evaluate(READY)
    assert await text(tab, "found") == "4 of 59 events"
    await tab.locator("#connection").select_option("upstream-1")
    await tab.evaluate(READY)
    assert await text(tab, "found") == "2 of 59 events"
    await tab.locator("#events button").first.click()
    await tab.evaluate(READY)
    assert "motion of request-1" in await text(tab, "event-words")
    assert len((await text(tab, "event-hex")).split()) == 64
    await tab.locator("#search").fill("nothing says this")
    await tab.evaluate(READY)
    assert await text(tab, "found") == "0 of 59 events"


@in_every_look
async def test_a_page_can_be_read_by_everybody(
    look: dict[str, Any], pages: dict[str, Path], tab: "Page", axe: str
) -> None:
    for name in ("wire-json-envelope", "fails-C-MISMATCH", "hostile", "empty", "cut-off"):
        await opened(tab, pages[name], "#t=0.1")
        assert await faults(tab, axe) == []
        assert await fits(tab)
        assert await tab.evaluate(
            "document.getElementById('lanes').getBoundingClientRect().top < innerHeight"
        )
