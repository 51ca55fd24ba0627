"""The page of each rule says what the catalogue says."""

import runpy
from pathlib import Path

import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.miniatures.rule_pages import rule_pages, write_rule_pages
from spatius_sim.rules.catalogue import RULES


def test_every_rule_has_a_page_that_says_what_the_catalogue_says() -> None:
    pages = rule_pages()
    assert set(pages) == {"README.md", *(f"{rule_id}.md" for rule_id in RULES)}
    for rule_id, rule in RULES.items():
        assert rule.sentence[1:] in pages[f"{rule_id}.md"]
        assert all(f"({presumed}.md)" in pages[f"{rule_id}.md"] for presumed in rule.presumes)
        assert f"[{rule_id}]({rule_id}.md)" in pages["README.md"]


def test_the_committed_pages_are_in_step() -> None:
    folder = resource("conformance") / "rules"
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert written == rule_pages(), "run: python -m spatius_sim.miniatures.rule_pages conformance/rules"


def test_pages_of_rules_that_no_longer_exist_go_and_others_stay(tmp_path: Path) -> None:
    write_rule_pages(tmp_path)
    (tmp_path / "R-GONE.md").write_text((tmp_path / "R-TURNS.md").read_text())
    (tmp_path / "notes.md").write_text("ours")
    write_rule_pages(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "R-GONE.md" not in names
    assert "notes.md" in names


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_module_writes_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["rule_pages", str(tmp_path / "rules")])
    runpy.run_module("spatius_sim.miniatures.rule_pages", run_name="__main__")
    assert {path.name for path in (tmp_path / "rules").iterdir()} == set(rule_pages())
