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

_PLAYER = ("data.js", "face.js", "lanes.js", "sound.js", "main.js")
"""In the order in which they need each other."""

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_END_OF_COLOURS = "*{box-sizing"


def player_page(values: dict[str, Any]) -> str:
    """Return the player page with the data that `build_player` returned. The page allows no script and no
    style but its own."""
    template = _make_environment().get_template("player.html.j2")
    style = colours() + player_css()
    return template.render(
        title=values["title"],
        notices=values["notices"],
        packed=pack(values),
        css=Markup(style),
        css_hash=hash_of(style),
        **player_script(),
    )


def pack(values: dict[str, Any]) -> str:
    """Return the data of a player as the text that its page unpacks: JSON, gzip, base64."""
    return b64encode(gzip.compress(json.dumps(values).encode(), 6, mtime=0)).decode()


@cache
def _make_environment() -> Environment:
    """Return the environment in which the templates of player pages are rendered."""
    return Environment(
        loader=PackageLoader("spatius_sim.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inspector_page() -> tuple[str, str]:
    """Return the page that shows the sessions of a server while they happen, and its content security policy:
    it may ask its own server, and nobody else."""
    parts = _bundle_modules("inspector.js")
    style = colours() + player_css() + _read("player", "web", "inspector.css")
    page = _make_environment().get_template("inspector.html.j2").render(css=Markup(style), **parts)
    allowed = f"script-src '{parts['script_hash']}'; style-src '{hash_of(style)}'; connect-src 'self'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return page, policy


def player_script() -> dict[str, Markup | str]:
    """Return the script of all players of a page, and its hash, by the names that templates use."""
    return _bundle_modules("start.js")


@cache
def _bundle_modules(last: str) -> dict[str, Markup | str]:
    """Return the JavaScript modules of a player page, with the module `last` at the end, as one script, and
    its hash."""
    modules = [_read("player", "web", name) for name in (*_PLAYER, last)]
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
    return {"script": Markup(script), "script_hash": hash_of(script)}


def player_css() -> str:
    """Return the style of a player."""
    return _read("player", "web", "player.css")


def colours() -> str:
    """Return the colours of reports, light and dark, as a style."""
    return _read("templates", "report.css").partition(_END_OF_COLOURS)[0]


@cache
def _read(*place: str) -> str:
    """Return the text of a file of this room."""
    return files("spatius_sim.reporting").joinpath(*place).read_text(encoding="utf-8")


def hash_of(text: str) -> str:
    """Return the hash of a script or style, as a content security policy names it."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
