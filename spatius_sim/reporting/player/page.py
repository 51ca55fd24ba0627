"""Writes a player page: one HTML file that opens offline, loads nothing, and sends nothing."""

import gzip
import hashlib
import json
import re
from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_MODULES = ("data.js", "face.js", "lanes.js", "sound.js", "main.js")
"""In the order in which they need each other."""

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_END_OF_COLOURS = "*{box-sizing"


def player_page(values: dict[str, Any]) -> str:
    """Return the page of what `build_player` returned. The page allows no script and no style but its own."""
    packed = b64encode(gzip.compress(json.dumps(values).encode(), 6, mtime=0)).decode()
    template = _make_environment().get_template("player.html.j2")
    return template.render(
        title=values["title"], notices=values["notices"], packed=Markup(packed), **_read_parts()
    )


@cache
def _make_environment() -> Environment:
    """Return the environment in which the page is rendered."""
    return Environment(
        loader=PackageLoader("spatius_sim.reporting"), autoescape=True, undefined=StrictUndefined
    )


@cache
def _read_parts() -> dict[str, Markup | str]:
    """Return script and style with their hashes, by the names that the template uses."""
    room = files("spatius_sim.reporting")
    web = room.joinpath("player", "web")
    modules = [web.joinpath(name).read_text(encoding="utf-8") for name in _MODULES]
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
    style_of_reports = room.joinpath("templates", "report.css").read_text(encoding="utf-8")
    css = style_of_reports.partition(_END_OF_COLOURS)[0] + web.joinpath("player.css").read_text(
        encoding="utf-8"
    )
    return {
        "script": Markup(script),
        "script_hash": _hash_of(script),
        "css": Markup(css),
        "css_hash": _hash_of(css),
    }


def _hash_of(text: str) -> str:
    """Return the hash of a script or style, as a content security policy names it."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
