"""The page of a study in a browser: on a desk and on a phone, light and dark, without a request."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.study.html_report import html_report
from spatius_sim.study.pipeline import AudioPacing, Pipeline
from spatius_sim.study.run_study import run_study
from spatius_sim.study.study import Budget, Study
from spatius_sim.tests.reporting.browser import axe, page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plain = Pipeline(seconds=6.0)
    networks = shipped_networks()
    study = Study(
        "Does it move?",
        (networks["lte-att-2016-driving"], networks["evdo-verizon-driving"]),
        {"as it comes": plain, "paced": replace(plain, audio=AudioPacing.PACED)},
        turns=20,
        budgets=(Budget("stalls_per_minute", 1.0),),
        what_would_help=True,
    )
    path = tmp_path_factory.mktemp("page") / "study.html"
    path.write_text(html_report(run_study(study, 1)), encoding="utf-8")
    return path


def test_the_page_asks_for_nothing_and_fits_a_desk_and_a_phone(written: Path) -> None:
    async def look() -> None:
        async with page() as tab:
            for width, dark in ((1280, False), (390, True)):
                await tab.looks(dark=dark, width=width)
                await tab.open(written.as_uri())
                asked = [request["request"]["url"] for request in tab.of("Network.requestWillBeSent")]
                assert asked == [written.as_uri()]
                assert await tab.asked("document.documentElement.scrollWidth <= innerWidth")
                assert await tab.asked("document.querySelectorAll('svg').length") >= 6

    asyncio.run(look())


@pytest.mark.parametrize(
    "look", [{}, {"dark": True}, {"width": 390, "dark": True}], ids=["light", "dark", "phone"]
)
def test_everybody_can_read_the_page(look: dict[str, Any], written: Path) -> None:
    source = axe()

    async def find_faults() -> list[str]:
        async with page() as tab:
            await tab.looks(**look)
            await tab.open(written.as_uri())
            await tab.asked("document.querySelectorAll('details').forEach(one => one.open = true)")
            await tab.do("Runtime.evaluate", expression=source)
            found = await tab.asked("axe.run().then(result => result.violations)")
            return [f"{one['id']} {node['html'][:200]}" for one in found for node in one["nodes"]]

    assert asyncio.run(find_faults()) == []
