"""The page as a browser has it: drawn, quiet, alone, and open to everybody."""

import re
from pathlib import Path
from typing import Any

import pytest

from spatius_sim.miniatures.wrong_relays import LosesLastPayload, NeverMarksAudioEnd, SwapsPayloads
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.reporting.formats.html_report import html_matrix, html_report
from spatius_sim.reporting.matrix import matrix_of
from spatius_sim.reporting.report import Report
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.reporting.browser import Page, axe, page
from spatius_sim.tests.reporting.hostile import ATTACKS, report_saying
from spatius_sim.tests.reporting.judged import report_of_reference_relay, report_of_relay

WRONG: dict[str, type[PlainRelay]] = {
    "R-MOTION-ORDER": SwapsPayloads,
    "R-MOTION-COMPLETE": LosesLastPayload,
    "R-END-AUDIO": NeverMarksAudioEnd,
}
SAMPLE = Path(__file__).resolve().parents[4] / "reports" / "sample.html"
PHONE = 390
LOOKS = [{}, {"dark": True}, {"width": PHONE, "height": 844}]


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


async def test_a_page_asks_nobody_for_anything_and_complains_of_nothing(pages: dict[str, Path]) -> None:
    async with page() as tab:
        for path in pages.values():
            await tab.open(path.as_uri())
            requested = [event["request"]["url"] for event in tab.of("Network.requestWillBeSent")]
            assert requested == [path.as_uri()]
            for complaint in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                assert tab.of(complaint) == []
            assert await tab.asked("document.scripts.length") == 0


async def test_the_time_line_is_drawn_and_the_evidence_stands_out(pages: dict[str, Path]) -> None:
    async with page() as tab:
        await tab.looks()
        for name in (*WRONG, "sample"):
            await tab.open(pages[name].as_uri())
            drawn = await tab.asked(_DRAWN)
            assert drawn["lanes"] == ["client-1", "relay", "Motion Server"]
            assert drawn["area"] > 800 * 250
            assert min(drawn["audio"], drawn["motion"], drawn["arrows"], drawn["ticks"]) > 0
            assert drawn["guilty"] == drawn["evidence"] > 0
            assert drawn["red"] != drawn["plain"]
            await tab.asked("document.querySelector('.timeline').scrollIntoView()")
            assert await tab.picture() != await tab.picture(without=".timeline svg > *")


async def test_a_page_without_a_failure_says_what_was_exercised(
    pages: dict[str, Path],
) -> None:
    async with page() as tab:
        await tab.open(pages["reference"].as_uri())
        assert await tab.asked("document.querySelectorAll('.failure, .timeline').length") == 0
        text = await tab.asked("document.body.innerText")
        assert "Passed" in text
        assert "Exercised" in text


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "phone"])
async def test_a_page_can_be_read_by_everybody(look: dict[str, Any], pages: dict[str, Path]) -> None:
    source = axe()
    async with page() as tab:
        await tab.looks(**look)
        for name in ("reference", *WRONG, "hostile-0", "matrix", "sample"):
            await tab.open(pages[name].as_uri())
            await tab.asked("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert await faults(tab, source) == []
            assert await tab.asked("document.documentElement.scrollWidth <= window.innerWidth")
            pictures = "[...document.querySelectorAll('.timeline .scroll')]"
            assert await tab.asked(f"{pictures}.every(one => one.scrollWidth <= one.clientWidth)")
            shown = await tab.asked(f"{pictures}.filter(one => one.clientWidth > 0).length")
            assert shown == await tab.asked("document.querySelectorAll('.timeline').length")


async def faults(tab: Page, source: str) -> list[str]:
    """What axe-core finds, by impact, rule and place."""
    await tab.do("Runtime.evaluate", expression=source)
    found = await tab.asked("axe.run().then(result => result.violations)")
    return [f"{one['impact']} {one['id']} {node['html'][:200]}" for one in found for node in one["nodes"]]


_DRAWN = """(() => {
  const svg = document.querySelector('.timeline svg'), box = svg.getBoundingClientRect();
  const count = (selector) => svg.querySelectorAll(selector).length;
  const colour = (selector) => getComputedStyle(svg.querySelector(selector)).stroke;
  return {
    lanes: [...svg.querySelectorAll('.name')].map((one) => one.textContent),
    area: box.width * box.height,
    audio: count('.curve.audio polygon'), motion: count('.curve.motion polyline'),
    arrows: count('.mark polygon'), ticks: count('.tick'), guilty: count('.mark.guilty'),
    evidence: document.querySelector('.failure').querySelectorAll('ol.evidence > li').length,
    red: colour('.mark.guilty'), plain: colour('.mark:not(.guilty)'),
  };
})()"""
