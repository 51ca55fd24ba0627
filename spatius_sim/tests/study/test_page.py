"""The page of a study in a browser: on a desk and on a phone, light and dark, without a request."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline
from spatius_sim.study.run_study import run_study
from spatius_sim.study.study_definition import Budget, Study
from spatius_sim.study.study_page import make_study_page
from spatius_sim.tests.reporting.browser import Heard, faults, fits, in_every_look

if TYPE_CHECKING:
    from playwright.async_api import Page


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
    path.write_text(make_study_page(run_study(study, 1)), encoding="utf-8")
    return path


@in_every_look
async def test_the_page_asks_for_nothing_fits_and_can_be_read_by_everybody(
    look: dict[str, Any], written: Path, tab: "Page", heard: Heard, axe: str
) -> None:
    await tab.goto(written.as_uri())
    assert heard.requests == [written.as_uri()]
    assert heard.complaints == []
    assert await fits(tab)
    assert await tab.locator("svg").count() >= 6
    await tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert await faults(tab, axe) == []
