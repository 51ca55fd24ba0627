"""Whatever a subject says, every report stays harmless and small."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.reporting.formats.html_report import html_matrix, html_report
from spatius_sim.reporting.formats.json_report import json_report, read_report
from spatius_sim.reporting.formats.junit_report import junit_report
from spatius_sim.reporting.formats.markdown_report import escape_markdown, markdown_matrix, markdown_report
from spatius_sim.reporting.formats.write_report_files import WRITERS, choose_report_paths, write_reports
from spatius_sim.reporting.make_text_harmless import harmless_line, harmless_lines, make_harmless
from spatius_sim.reporting.report_matrix import matrix_of
from spatius_sim.tests.reporting.hostile import ATTACKS, HUGE, report_saying, texts

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
COMMAND = re.compile(r"::[A-Za-z]|##[\[A-Za-z]")
PARTS = {"path", "rect", "line", "circle", "polygon", "polyline", "text", "g", "title", "desc", "svg"}
WORDS = """html head meta title style body header main section article figure figcaption p h1 h2 h3 span b em
strong dl dt dd div ul ol li a code pre details summary table thead tbody tr th td br"""
ELEMENTS = PARTS | set(WORDS.split())
NAMES = """lang charset http-equiv content name class id aria-hidden aria-label aria-labelledby role tabindex
title href rel download scope viewbox preserveaspectratio width height x y x1 x2 y1 y2 cx cy r rx d points
text-anchor open"""
ATTRIBUTES = set(NAMES.split())


class Page(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.links += [value or "" for name, value in attributes if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(texts, st.integers(60, 700))
def test_a_line_is_one_line_and_no_longer_than_it_may_be(text: str, most: int) -> None:
    line = harmless_line(text, most)
    assert len(line) <= most
    assert "\n" not in line
    assert not OBEYED.search(line)
    assert not COMMAND.search(line)
    assert harmless_line(line, most) == line


@given(texts, st.integers(60, 700))
def test_lines_stay_lines(text: str, most: int) -> None:
    lines = harmless_lines(text, most)
    assert len(lines) <= most
    assert not OBEYED.search(lines)
    assert not COMMAND.search(lines)
    assert harmless_lines(lines, most) == lines


@given(st.text(st.characters(categories=["L", "N"]) | st.just(" ")))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert harmless_line(text) == text or len(text) > 600
    assert make_harmless(text) == text


@given(texts)
def test_markdown_gives_no_text_a_meaning(text: str) -> None:
    written = escape_markdown(harmless_line(text))
    assert not set(re.sub(r"&#\d+;", "", written)) & set("<>&|`*_[]()#!@:/\\~$%{}=+\"'.\n")
    read = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), written)
    assert read == harmless_line(text)


@pytest.mark.parametrize("attack", [*ATTACKS, HUGE], ids=[*map(str, range(len(ATTACKS))), "huge"])
class TestEveryFormat:
    def test_html_has_no_elements_of_a_subject(self, attack: str, tmp_path: Path) -> None:
        report = report_saying(attack)
        for text in (html_report(report, tmp_path), html_matrix(matrix_of([(attack, report)] * 2))):
            page = Page(text)
            assert page.elements <= ELEMENTS
            assert page.attributes <= ATTRIBUTES
            assert all(link.startswith(("#R-", "https://")) for link in page.links)
            assert "{{" not in attack or "{{ 7 * 7 }}" in page.text
            assert not OBEYED.search(text)
            assert len(text) < 100_000

    def test_junit_is_xml_with_the_rules_and_no_more(self, attack: str) -> None:
        text = junit_report(report_saying(attack))
        document = ElementTree.fromstring(text)
        assert [case.get("name") for case in document.iter("testcase")] == [
            "R-MOTION-ORDER",
            "R-MOTION-COMPLETE",
            "U-TOKEN",
            "U-CONFIGURE",
            "U-AUDIO-END",
            "R-SECRETS",
        ]
        assert len(text) < 100_000

    def test_markdown_has_lines_of_ours_alone(self, attack: str) -> None:
        report = report_saying(attack)
        for text in (markdown_report(report), markdown_matrix(matrix_of([(attack, report)] * 2))):
            begins = ("#", "|", "**relay**", "- ", "level <code>", "payloads", "")
            assert all(line.startswith(begins) for line in text.splitlines())
            assert not re.search(r"<(?!/?code>)", text)
            assert not re.search(r"\]\(|::|@|https?:", text)
            assert len(text) < 100_000

    def test_json_comes_back_as_it_was(self, attack: str, tmp_path: Path) -> None:
        report = report_saying(attack)
        text = json_report(report)
        assert json.loads(text)["rules"][0]["id"] == "R-MOTION-ORDER"
        assert not OBEYED.search(text)
        assert len(text) < 150_000
        (tmp_path / "report.json").write_text(text)
        assert read_report(tmp_path / "report.json") == report

    def test_all_can_be_written(self, attack: str, tmp_path: Path) -> None:
        write_reports(choose_report_paths({}, str(tmp_path)), report_saying(attack))
        assert {path.name for path in tmp_path.iterdir()} == {file for file, _ in WRITERS.values()}
