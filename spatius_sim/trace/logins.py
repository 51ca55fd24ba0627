"""Finds logins in headers, settings and URLs, and shows the rest without them.

If no document says that a place holds a secret, its name tells (`authToken`), or its value, if that looks
drawn by lot: sixteen characters and more, in which letters and digits take turns four times.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from itertools import pairwise
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "..."
"""What is shown in place of a value that may be a secret."""

_SECRET_NAME = re.compile(
    r"key|secret|token|auth|passw|passphrase|pwd|credential|jwt|signature|cookie|bearer", re.IGNORECASE
)
_SESSION_NAME = re.compile(r"sess|sid", re.IGNORECASE)
_NO_LOGIN = re.compile(r"sec-websocket-", re.IGNORECASE)
_BY_LOT = re.compile(r"[\w.~+=-]{16,}")
_FEWEST_TURNS = 4

_USER = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
_QUERY_VALUE = re.compile(r"([?&])([^=&#\s,]+)=[^&#\s,]+")
_BARE_QUERY = re.compile(r"\?[^=&#\s,]+(?![^&#\s,])")

StandIn = Callable[[str], str]
"""What is shown in place of a secret, by the name of its place."""


def hide_value(name: str) -> str:
    """Return the stand-in that tells nothing."""
    return HIDDEN


def names_a_secret(name: str) -> bool:
    """Whether what is named so is a secret."""
    return _SECRET_NAME.search(name) is not None


def secrets_in_header(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in an HTTP header: its login (no scheme); if it is Basic, also the password."""
    lowered = name.lower()
    if lowered == "cookie":
        for pair in value.split(";"):
            cookie, _, crumb = pair.strip().partition("=")
            if _SECRET_NAME.search(cookie) or _SESSION_NAME.search(cookie) or _looks_drawn(crumb):
                yield crumb
    elif lowered.endswith("authorization"):
        scheme, _, login = value.strip().partition(" ")
        yield login.strip() or scheme
        if scheme.lower() == "basic":
            yield from _parts_of_basic_login(login.strip())
    elif _SECRET_NAME.search(name) and not _NO_LOGIN.match(name):
        yield value.strip()


def secrets_in_setting(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in a variable of the environment, or in another setting of that name."""
    if "://" in value:
        yield from secrets_in_url(value)
    elif _SECRET_NAME.search(name) or _looks_drawn(value):
        yield value


def secrets_in_url(url: str) -> Iterator[str]:
    """Yield the secrets in a URL: its password (its user if it has no password), and those in its query."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    yield unquote(password) or unquote(user)
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name) or _looks_drawn(value):
            yield value


def shown_url(url: str, stand_in: StandIn = hide_value) -> str:
    """Return the URL (or a text with several) as it may be shown: without user and password (their place is
    `login`), and without the values of its query (their place is their name)."""
    url = _USER.sub(lambda found: stand_in("login"), url)
    url = _QUERY_VALUE.sub(lambda found: f"{found[1]}{found[2]}={stand_in(found[2])}", url)
    return _BARE_QUERY.sub(lambda found: f"?{stand_in('query')}", url)


def _parts_of_basic_login(login: str) -> Iterator[str]:
    """Yield the user:password pair of a Basic login, and the password alone."""
    try:
        both = b64decode(login, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    yield both
    yield both.partition(":")[2]


def _looks_drawn(value: str) -> bool:
    return _BY_LOT.fullmatch(value) is not None and _count_letter_digit_changes(value) >= _FEWEST_TURNS


def _count_letter_digit_changes(value: str) -> int:
    """Count how often letters follow digits, or digits letters."""
    kinds = ["0" if character.isdigit() else "a" for character in value if character.isalnum()]
    return sum(one != other for one, other in pairwise(kinds))
