"""Writes the report as one HTML file that opens offline, runs no script, and loads nothing."""

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
from spatius_sim.reporting.labels import FAMILIES, HEADLINES, VERDICTS
from spatius_sim.reporting.matrix import Matrix
from spatius_sim.reporting.report import JudgedRule, Report
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.timeline.picture import picture_of
from spatius_sim.rules.findings import Verdict

LARGEST_EMBEDDED_TAPE = 262_144
"""At most so many bytes of a tape go inside the report; a larger tape lies beside it."""

_KEYWORD = re.compile(r"\b(MUST|SHOULD|MAY)\b")
_WEB = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Tape:
    """The tape of a failure: the `name` of its file, and its place: inside the page, beside it, or ("")
    nowhere."""

    name: str
    href: str
    embedded: bool


def html_report(report: Report, folder: Path) -> str:
    """Write the page. It will stand in this folder, from which it links the tapes."""

    def tape(failure: Failure) -> Tape | None:
        return _attach_tape(failure.trace, folder)

    return (
        _make_environment().get_template("report.html.j2").render(report=report, tape=tape, **_read_style())
    )


def html_matrix(matrix: Matrix) -> str:
    """Write the page of several reports side by side."""
    return _make_environment().get_template("matrix.html.j2").render(matrix=matrix, **_read_style())


def families(rules: Sequence[JudgedRule]) -> list[tuple[str, str, list[JudgedRule]]]:
    """Sort the rules by family: letter, title, rules."""
    by_letter: dict[str, list[JudgedRule]] = {}
    for judged in rules:
        by_letter.setdefault(judged.id[:1], []).append(judged)
    return [(letter, FAMILIES.get(letter, letter), family) for letter, family in by_letter.items()]


def tally(rules: Sequence[JudgedRule]) -> list[tuple[Verdict, int, float, float]]:
    """Count the verdicts that occur. Return each with its number, and its start and width in a bar of 100."""
    counted = [(verdict, sum(judged.verdict is verdict for judged in rules)) for verdict in VERDICTS]
    tallied: list[tuple[Verdict, int, float, float]] = []
    start = 0.0
    for verdict, count in counted:
        if count:
            width = 100 * count / len(rules)
            tallied.append((verdict, count, round(start, 2), round(width, 2)))
            start += width
    return tallied


def keywords(sentence: str) -> list[tuple[str, bool]]:
    """Split a sentence into pieces, and mark those that are MUST, SHOULD or MAY."""
    return [(piece, bool(_KEYWORD.fullmatch(piece))) for piece in _KEYWORD.split(sentence) if piece]


def web_address(address: str) -> str:
    """Return the address if it leads to the web, else ""."""
    return address if address.startswith(_WEB) else ""


def _attach_tape(path: str, folder: Path) -> Tape | None:
    """Put a tape inside the page or link it, but only if it lies in the folder of the page or in the working
    directory: a report from elsewhere may name any file."""
    if not path:
        return None
    here = folder.resolve()
    # If a folder of reports was moved, its tapes lie beside the page.
    file = next((file for file in (Path(path), here / Path(path).name) if file.is_file()), Path(path))
    inside = any(file.resolve().is_relative_to(place) for place in (here, Path.cwd()))
    if file.suffix != ".tape" or not inside or not file.is_file():
        return Tape(file.name, "", embedded=False)
    if file.stat().st_size <= LARGEST_EMBEDDED_TAPE:
        encoded = b64encode(file.read_bytes()).decode()
        return Tape(file.name, f"data:application/octet-stream;base64,{encoded}", embedded=True)
    return Tape(file.name, quote(Path(os.path.relpath(file, here)).as_posix()), embedded=False)


@cache
def _make_environment() -> Environment:
    """Make the environment of the templates."""
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
def _read_style() -> dict[str, str]:
    """Read the style sheet, and hash it: the page allows no other style, and nothing else at all."""
    css = files("spatius_sim.reporting").joinpath("templates", "report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return {"css": Markup(css), "css_hash": f"sha256-{digest}"}
