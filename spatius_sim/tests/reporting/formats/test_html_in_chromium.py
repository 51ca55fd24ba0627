"""The page as a browser has it: drawn, quiet, alone, and open to everybody."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.miniatures.relay.wrong_relays import (
    RELAY_MINIATURES,
    LosesLastPayload,
    NeverMarksAudioEnd,
    SwapsPayloads,
)
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.reporting.formats.html_report import html_matrix, html_report
from spatius_sim.reporting.report import Report
from spatius_sim.reporting.report_matrix import matrix_of
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.reporting.browser import Heard, faults, fits, in_every_look
from spatius_sim.tests.reporting.hostile import ATTACKS, report_saying
from spatius_sim.tests.reporting.judged import report_of_reference_relay, report_of_relay
from spatius_sim.tests.reporting.player.test_in_chromium import MOUTH, READY

if TYPE_CHECKING:
    from playwright.async_api import Page

SHORTENED = "R-TURNS"
"""The smallest scenario that breaks this rule is too short for a mouth to be seen moving."""
WRONG: dict[str, type[PlainRelay]] = {
    "R-MOTION-ORDER": SwapsPayloads,
    "R-MOTION-COMPLETE": LosesLastPayload,
    "R-END-AUDIO": NeverMarksAudioEnd,
    SHORTENED: RELAY_MINIATURES[SHORTENED][0],
}
SAMPLE = Path(__file__).resolve().parents[4] / "reports" / "sample.html"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    folder = tmp_path_factory.mktemp("reports")
    rules = ["R-MOTION-VERBATIM", "U-TOKEN"]
    found = {"reference": report_of_reference_relay(rules, folder)}
    for rule_id, brain in WRONG.items():
        found[rule_id] = report_of_relay(brain, [*rules, rule_id], folder)
    return found


@pytest.fixture(scope="module")
def pages(reports: dict[str, Report], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    texts = {name: html_report(report, folder) for name, report in reports.items()}
    texts |= {f"hostile-{n}": html_report(report_saying(text), folder) for n, text in enumerate(ATTACKS)}
    texts["matrix"] = html_matrix(matrix_of(list(reports.items())))
    texts["sample"] = SAMPLE.read_text("utf-8")
    paths = {name: folder / f"{name}.html" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name], encoding="utf-8")
    return paths


def test_each_relay_has_the_verdict_that_its_page_shows(reports: dict[str, Report]) -> None:
    for name, report in reports.items():
        failed = [rule.id for rule in report.rules if rule.verdict is Verdict.FAILED]
        assert failed == ([] if name == "reference" else [name])


def test_the_sample_looks_as_reports_do_now(pages: dict[str, Path]) -> None:
    """Where it does not: python reports/make_sample.py."""
    style = re.compile("style-src '([^']+)'")
    found = [style.findall(pages[name].read_text("utf-8")) for name in ("sample", "reference")]
    assert found[0] == found[1] != []


async def test_a_page_asks_nobody_for_anything_and_complains_of_nothing(
    pages: dict[str, Path], tab: "Page", heard: Heard
) -> None:
    for path in pages.values():
        heard.forget()
        await tab.goto(path.as_uri())
        failures = await tab.locator(".player").count()
        if failures:
            await tab.evaluate(READY)
        assert heard.requests == [path.as_uri()]
        assert heard.complaints == []
        assert await tab.evaluate("document.scripts.length") == (failures + 1 if failures else 0)


@in_every_look
async def test_all_evidence_is_in_the_picture_without_scrolling(
    look: dict[str, Any], pages: dict[str, Path], tab: "Page"
) -> None:
    for name in (*WRONG, "sample"):
        await tab.goto(pages[name].as_uri())
        await tab.evaluate(READY)
        for drawn in await tab.evaluate(_DRAWN):
            assert drawn["wide"] > 0.75 * min(drawn["window"], 500)
            assert drawn["wide"] < drawn["room"] + 1
            assert drawn["red"] >= drawn["evidence"] * 60
            assert drawn["evidence"] > 0


async def test_a_failure_can_be_played_and_its_face_moves(pages: dict[str, Path], tab: "Page") -> None:
    await tab.goto(pages["R-MOTION-ORDER"].as_uri())
    await tab.evaluate(READY)
    sizes = await mouth_sizes(tab, "R-MOTION-ORDER")
    assert len(sizes) > 2


async def test_a_failure_of_ordinary_length_stands_beside_the_smallest_and_its_face_moves(
    pages: dict[str, Path], tab: "Page"
) -> None:
    await tab.goto(pages[SHORTENED].as_uri())
    await tab.evaluate(READY)
    told = await tab.locator(".player .about").all_text_contents()
    assert told[0] == "The smallest scenario"
    assert told[1].startswith("The same failure at ordinary length: 2 s of speech")
    stages = [await one.bounding_box() for one in await tab.locator(".players.two .stage").all()]
    assert len({(box["y"], box["height"]) for box in stages if box is not None}) == 1
    sizes = await mouth_sizes(tab, f"{SHORTENED}-longer")
    assert len(sizes) > 2


async def mouth_sizes(tab: "Page", player: str) -> set[int]:
    """How large the mouth of Motion Server's face is at some moments."""
    sizes = set()
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        await tab.evaluate(
            f"(seek => {{ seek.value = seek.max * {share}; seek.dispatchEvent(new Event('input')); }})"
            f"(document.getElementById('{player}-seek'))"
        )
        await tab.evaluate(READY)
        sizes.add(await tab.evaluate(f"{MOUTH}('{player}-server-face')"))
    return sizes


async def test_a_picture_that_cannot_be_read_says_so_and_harms_no_other(
    pages: dict[str, Path], tab: "Page"
) -> None:
    await tab.goto(pages["hostile-0"].as_uri())
    await tab.evaluate(READY)
    told = await tab.locator(".player .notice").first.text_content()
    assert (told or "").startswith("This picture cannot be shown: ")


async def test_a_page_without_a_failure_says_what_was_exercised(pages: dict[str, Path], tab: "Page") -> None:
    await tab.goto(pages["reference"].as_uri())
    assert await tab.locator(".failure, .player").count() == 0
    told = await tab.inner_text("body")
    assert "Passed" in told
    assert "Exercised" in told


@in_every_look
async def test_a_page_can_be_read_by_everybody(
    look: dict[str, Any], pages: dict[str, Path], tab: "Page", axe: str
) -> None:
    for name in ("reference", "R-MOTION-ORDER", SHORTENED, "hostile-0", "matrix"):
        await tab.goto(pages[name].as_uri())
        await tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert await faults(tab, axe) == []
        assert await fits(tab)


_DRAWN = """[...document.querySelectorAll('.player')].map((player) => {
  const canvas = player.querySelector('.lanes canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const style = getComputedStyle(document.documentElement).getPropertyValue('--guilty').trim();
  const wanted = [1, 3, 5].map((at) => parseInt(style.slice(at, at + 2), 16));
  let red = 0;
  for (let at = 0; at < data.length; at += 4) if (wanted.every((one, n) => data[at + n] === one)) red += 1;
  return {
    wide: canvas.getBoundingClientRect().width, room: canvas.parentElement.clientWidth,
    window: innerWidth, red,
    evidence: player.closest('.failure').querySelectorAll('ol.evidence > li').length,
  };
})"""
