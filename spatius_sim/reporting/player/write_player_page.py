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

_PLAYER_MODULES = ("data.js", "face.js", "lanes.js", "sound.js", "main.js")
"""In the order in which they need each other."""

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_END_OF_COLOURS = "*{box-sizing"


def player_page(player_data: dict[str, Any]) -> str:
    """Return the HTML page of a player that shows `player_data`, as `build_player` returned it. The page
    allows no script and no style but its own."""
    template = _make_template_environment().get_template("player.html.j2")
    css = colour_css() + player_css()
    return template.render(
        title=player_data["title"],
        notices=player_data["notices"],
        packed=compress_player_data(player_data),
        css=Markup(css),
        css_hash=hash_of(css),
        **player_script(),
    )


def compress_player_data(player_data: dict[str, Any]) -> str:
    """Return the data of a player as the text that its page unpacks: JSON, gzip, base64."""
    return b64encode(gzip.compress(json.dumps(player_data).encode(), 6, mtime=0)).decode()


@cache
def _make_template_environment() -> Environment:
    """Return Jinja's environment, in which the templates of player pages are rendered."""
    return Environment(
        loader=PackageLoader("spatius_sim.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inspector_page() -> tuple[str, str]:
    """Return the HTML page that shows the sessions of a server while they happen, and its content security
    policy. The policy lets the page send requests to its own server only."""
    script_values = _bundle_modules("inspector.js")
    css = colour_css() + player_css() + _read("player", "web", "inspector.css")
    template = _make_template_environment().get_template("inspector.html.j2")
    page = template.render(css=Markup(css), **script_values)
    script_hash = script_values["script_hash"]
    allowed = f"script-src '{script_hash}'; style-src '{hash_of(css)}'; connect-src 'self'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return page, policy


def player_script() -> dict[str, Markup | str]:
    """Return the script of all players of a page, and its hash, by the names that templates use."""
    return _bundle_modules("start.js")


@cache
def _bundle_modules(last_module: str) -> dict[str, Markup | str]:
    """Return the JavaScript modules of a player page as one script, with `last_module` at the end, and the
    hash of the script. Templates use them as `script` and `script_hash`."""
    modules = [_read("player", "web", name) for name in (*_PLAYER_MODULES, last_module)]
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
    return {"script": Markup(script), "script_hash": hash_of(script)}


def player_css() -> str:
    """Return the style of a player."""
    return _read("player", "web", "player.css")


def colour_css() -> str:
    """Return the colours of reports, light and dark, as a style."""
    return _read("templates", "report.css").partition(_END_OF_COLOURS)[0]


@cache
def _read(*place: str) -> str:
    """Return the text of a file of this room."""
    return files("spatius_sim.reporting").joinpath(*place).read_text(encoding="utf-8")


def hash_of(text: str) -> str:
    """Return the hash of a script or style, as a content security policy names it."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
