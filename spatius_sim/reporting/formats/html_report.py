"""Writes the report as one HTML file that opens offline and loads nothing. Only the players of failures run a
script."""

import os
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spatius_sim.reporting.formats.histogram import histogram_of
from spatius_sim.reporting.player.write_player_page import hash_of, player_css, player_script
from spatius_sim.reporting.report import JudgedRule, Report
from spatius_sim.reporting.report_matrix import Matrix
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.verdict_labels import FAMILIES, HEADLINES, VERDICTS
from spatius_sim.rules.findings import Verdict

LARGEST_EMBEDDED_TAPE = 262_144
"""Bytes. A larger tape is linked from the report, not put inside."""

_KEYWORD = re.compile(r"\b(MUST|SHOULD|MAY)\b")
_WEB = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Tape:
    """The tape of a failure, for the page: the `name` of its file, and the link `href`; "" if the page does
    not link the tape. `embedded`: whether the link holds the tape itself."""

    name: str
    href: str
    embedded: bool


def html_report(report: Report, folder: Path) -> str:
    """Return the report as an HTML page. `folder` is where the page will stand: its links to tapes
    (recordings of a run) start there."""

    def find_tape_of(failure: Failure) -> Tape | None:
        """Return the tape of a failure for the page; None if there is none."""
        return _find_tape(failure.trace, folder)

    has_player = any(rule.failure and rule.failure.player for rule in report.rules)
    script = player_script() if has_player else {"script": "", "script_hash": ""}
    template = _make_environment().get_template("report.html.j2")
    return template.render(report=report, tape=find_tape_of, **script, **_read_style())


def html_matrix(matrix: Matrix) -> str:
    """Return several reports side by side as a page."""
    return _make_environment().get_template("matrix.html.j2").render(matrix=matrix, **_read_style())


def group_by_family(rules: Sequence[JudgedRule]) -> list[tuple[str, str, list[JudgedRule]]]:
    """Group the judged rules into families: the rules of a family have ids that begin with the same letter.
    Return for each family its letter, its title, and its rules, as the HTML report shows them."""
    rules_by_letter: dict[str, list[JudgedRule]] = {}
    for rule in rules:
        rules_by_letter.setdefault(rule.id[:1], []).append(rule)
    return [
        (letter, FAMILIES.get(letter, letter), family_rules)
        for letter, family_rules in rules_by_letter.items()
    ]


def make_verdict_bar(rules: Sequence[JudgedRule]) -> list[tuple[Verdict, int, float, float]]:
    """Return the parts of the coloured bar in the HTML report that shows how many of these rules have which
    verdict. A part is four values: a verdict that occurs, its count, and the start and the width of the part
    (in percent)."""
    count_of_verdicts = [(verdict, sum(rule.verdict is verdict for rule in rules)) for verdict in VERDICTS]
    bar_parts: list[tuple[Verdict, int, float, float]] = []
    part_start = 0.0
    for verdict, count in count_of_verdicts:
        if count:
            part_width = 100 * count / len(rules)
            bar_parts.append((verdict, count, round(part_start, 2), round(part_width, 2)))
            part_start += part_width
    return bar_parts


def split_at_keywords(sentence: str) -> list[tuple[str, bool]]:
    """Split the sentence of a rule into pieces for the HTML report. With each piece, return whether it is the
    word MUST, SHOULD or MAY."""
    return [(piece, bool(_KEYWORD.fullmatch(piece))) for piece in _KEYWORD.split(sentence) if piece]


def web_address(address: str) -> str:
    """Return the address if it begins with http:// or https://, else ""."""
    return address if address.startswith(_WEB) else ""


def _find_tape(path: str, folder: Path) -> Tape | None:
    """Return the tape (the recording of a run) at this path for the HTML report. A small tape is embedded in
    the page, and a large one is linked. Return None if `path` is "".

    A file gets no link if it is missing, is no tape, or lies outside `folder` (where the page stands) and the
    working directory. The report may come from somebody else and name any file, and we must not read such a
    file."""
    if not path:
        return None
    page_folder = folder.resolve()
    # If a folder of reports was moved, its tapes lie beside the page.
    possible_files = (Path(path), page_folder / Path(path).name)
    file = next((file for file in possible_files if file.is_file()), Path(path))
    allowed_folders = (page_folder, Path.cwd())
    may_be_read = any(file.resolve().is_relative_to(allowed) for allowed in allowed_folders)
    if file.suffix != ".tape" or not may_be_read or not file.is_file():
        return Tape(file.name, "", embedded=False)
    if file.stat().st_size <= LARGEST_EMBEDDED_TAPE:
        encoded = b64encode(file.read_bytes()).decode()
        return Tape(file.name, f"data:application/octet-stream;base64,{encoded}", embedded=True)
    return Tape(file.name, quote(Path(os.path.relpath(file, page_folder)).as_posix()), embedded=False)


@cache
def _make_environment() -> Environment:
    """Return Jinja's environment, in which the templates of the HTML report and of the other pages are
    rendered. Templates find our filters, the verdicts, the headlines and the histogram there."""
    environment = Environment(
        loader=PackageLoader("spatius_sim.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "keywords": split_at_keywords,
        "families": group_by_family,
        "tally": make_verdict_bar,
        "web_address": web_address,
    }
    environment.globals |= {
        "VERDICTS": VERDICTS,
        "HEADLINES": HEADLINES,
        "histogram": histogram_of,
    }
    return environment


@cache
def _read_style() -> dict[str, str]:
    """Return the style sheet of the report's page as `css`, and its hash as `css_hash`: both are values of a
    template. The page allows only the style that has this hash."""
    css = files("spatius_sim.reporting").joinpath("templates", "report.css").read_text(encoding="utf-8")
    css += player_css()
    return {"css": Markup(css), "css_hash": hash_of(css)}
