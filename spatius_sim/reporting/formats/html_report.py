"""The report as one HTML file: it opens offline, runs no script, and asks nobody for anything."""

import hashlib
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
from spatius_sim.reporting.matrix import Matrix
from spatius_sim.reporting.report import JudgedRule, Report
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.timeline.picture import picture_of
from spatius_sim.reporting.wording import FAMILIES, HEADLINES, VERDICTS
from spatius_sim.rules.findings import Verdict

LARGEST_EMBEDDED_TAPE = 262_144
"""Bytes of a tape that travels inside the report; a larger one lies beside it."""

_KEYWORD = re.compile(r"\b(MUST|SHOULD|MAY)\b")
_WEB = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Tape:
    """A failure's tape: its file's `name`, and where it is: inside the page, beside it, or ("") not here."""

    name: str
    href: str
    embedded: bool


def html_report(report: Report, folder: Path) -> str:
    """The page; it will stand in that folder, from which tapes are linked."""

    def tape(failure: Failure) -> Tape | None:
        return _tape(failure.trace, folder)

    return _environment().get_template("report.html.j2").render(report=report, tape=tape, **_style())


def html_matrix(matrix: Matrix) -> str:
    """The page of several reports side by side."""
    return _environment().get_template("matrix.html.j2").render(matrix=matrix, **_style())


def families(rules: Sequence[JudgedRule]) -> list[tuple[str, str, list[JudgedRule]]]:
    """The rules by family: letter, title, rules."""
    found: dict[str, list[JudgedRule]] = {}
    for judged in rules:
        found.setdefault(judged.id[:1], []).append(judged)
    return [(letter, FAMILIES.get(letter, letter), of_family) for letter, of_family in found.items()]


def tally(rules: Sequence[JudgedRule]) -> list[tuple[Verdict, int, float, float]]:
    """The verdicts that occur: how often, and from where to where they reach in a bar of a hundred."""
    counted = [(verdict, sum(judged.verdict is verdict for judged in rules)) for verdict in VERDICTS]
    found: list[tuple[Verdict, int, float, float]] = []
    start = 0.0
    for verdict, count in counted:
        if count:
            width = 100 * count / len(rules)
            found.append((verdict, count, round(start, 2), round(width, 2)))
            start += width
    return found


def keywords(sentence: str) -> list[tuple[str, bool]]:
    """The sentence in pieces, and which of them are MUST, SHOULD or MAY."""
    return [(piece, bool(_KEYWORD.fullmatch(piece))) for piece in _KEYWORD.split(sentence) if piece]


def web_address(address: str) -> str:
    """The address where it leads to the web, else ""."""
    return address if address.startswith(_WEB) else ""


def _tape(path: str, folder: Path) -> Tape | None:
    """A tape inside the page, if it is small and lies in the page's folder or where we run: a report that
    came from elsewhere may name any file."""
    if not path:
        return None
    here = folder.resolve()
    # A folder of reports that was moved has its tapes beside the page.
    file = next((file for file in (Path(path), here / Path(path).name) if file.is_file()), Path(path))
    inside = any(file.resolve().is_relative_to(place) for place in (here, Path.cwd()))
    if file.suffix != ".tape" or not inside or not file.is_file():
        return Tape(file.name, "", embedded=False)
    if file.stat().st_size <= LARGEST_EMBEDDED_TAPE:
        encoded = b64encode(file.read_bytes()).decode()
        return Tape(file.name, f"data:application/octet-stream;base64,{encoded}", embedded=True)
    return Tape(file.name, quote(Path(os.path.relpath(file, here)).as_posix()), embedded=False)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("spatius_sim.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "keywords": keywords,
        "families": families,
        "tally": tally,
        "picture": picture_of,
        "web_address": web_address,
    }
    environment.globals |= {
        "VERDICTS": VERDICTS,
        "HEADLINES": HEADLINES,
        "histogram": histogram_of,
    }
    return environment


@cache
def _style() -> dict[str, str]:
    """The style sheet, and its hash: the page allows no other style, and nothing else at all."""
    css = files("spatius_sim.reporting").joinpath("templates", "report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return {"css": Markup(css), "css_hash": f"sha256-{digest}"}
