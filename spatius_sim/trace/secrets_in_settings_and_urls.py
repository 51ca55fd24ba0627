"""Finds secrets in headers, settings and URLs, and makes URLs that may be shown.

If no document says that a setting is a secret, its name may show that (`authToken`), or its value: it looks
random if it has sixteen characters or more, and changes between letters and digits four times or more.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from itertools import pairwise
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "..."
"""What is shown in place of a value that may be a secret."""

_SECRET_WORD = re.compile(
    r"key|secret|token|auth|passw|passphrase|pwd|credential|jwt|signature|cookie|bearer", re.IGNORECASE
)
_SESSION_WORD = re.compile(r"sess|sid", re.IGNORECASE)
_HARMLESS_HEADER = re.compile(r"sec-websocket-", re.IGNORECASE)
"""Headers such as Sec-WebSocket-Key: their names look secret, but they are not."""

_PLAIN_WORD = re.compile(r"[\w.:+-]{0,32}")
"""A value that can be shown: one short word, such as `en-US` or `0.75`."""

_RANDOM_CHARACTERS = re.compile(r"[\w.~+=-]{16,}")
_MIN_LETTER_DIGIT_CHANGES = 4
_FILE_NAME = re.compile(r".*\.[A-Za-z]{1,5}")

_USER_IN_URL = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
_QUERY_VALUE = re.compile(r"([?&#])([^=&#\s,]+)=[^&#\s,]+")
"""A value in the query of a URL, or in its fragment: single sign-on hands over tokens there, too."""
_NAMELESS_QUERY = re.compile(r"([?#])[^=&#\s,]+(?![^&#\s,])")
_TEXT_BEFORE_LOGIN = re.compile(r".*[/\s?#]", re.DOTALL)
_WORD_SEPARATORS = re.compile(r"([\s'\"()]+)")

StandIn = Callable[[str], str]
"""A function from the name of a secret's place to the text that is shown there instead of the secret."""


def hide_value(name: str) -> str:
    """Return HIDDEN for a login of any name: the stand-in that tells nothing about the secret."""
    return HIDDEN


def is_secret_name(name: str) -> bool:
    """Return whether the name of a setting or header shows that its value is a secret, such as a password."""
    return _SECRET_WORD.search(name) is not None


def is_plain_setting(name: str, value: str) -> bool:
    """Return whether the value of a setting may be shown to people, although nobody knows what the setting
    means. True if its name does not look secret, and the value is one short word that does not look like a
    random key."""
    return not is_secret_name(name) and _PLAIN_WORD.fullmatch(value) is not None and not _looks_random(value)


def secrets_in_header(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in an HTTP header. From `Cookie`, yield the values of the cookies that look secret.
    From `Authorization`, yield the login without its scheme, and a Basic login also decoded. From any other
    header, yield the whole value if the name looks secret."""
    lower_name = name.lower()
    if lower_name == "cookie":
        for pair in value.split(";"):
            cookie_name, _, cookie_value = pair.strip().partition("=")
            is_named_secret = _SECRET_WORD.search(cookie_name) or _SESSION_WORD.search(cookie_name)
            if is_named_secret or _looks_random(cookie_value):
                yield cookie_value
    elif lower_name.endswith("authorization"):
        scheme, _, login = value.strip().partition(" ")
        yield login.strip() or scheme
        if scheme.lower() == "basic":
            yield from _decode_basic_login(login.strip())
    elif _SECRET_WORD.search(name) and not _HARMLESS_HEADER.match(name):
        yield value.strip()


def secrets_in_setting(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in a setting, such as an environment variable. If the value is a URL, yield the
    secrets in the URL. Otherwise yield the whole value if the name looks secret, or if the value looks like a
    random key."""
    if "://" in value:
        yield from secrets_in_url(value)
    elif _SECRET_WORD.search(name) or _looks_random(value):
        yield value


def secrets_in_url(url: str) -> Iterator[str]:
    """Yield the secrets in a URL: first its password (or its user, if it has no password; "" if it has
    neither), then the secret values in its query and fragment. If the URL is malformed, yield nothing."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    yield unquote(password) or unquote(user)
    for name, value in (*parse_qsl(parts.query), *parse_qsl(parts.fragment)):
        if _SECRET_WORD.search(name) or _looks_random(value):
            yield value


def url_without_secrets(url: str, make_stand_in: StandIn = hide_value) -> str:
    """Return a URL, or a text with URLs, without the secrets in it, so that people may see it.
    `make_stand_in(name)` returns the text that is shown instead of a secret.

    The name is "login" for user and password, and "query" for a query or fragment without names. For a value
    in a query, it is the value's name. A login is found even if the scheme of its URL is missing or misspelt
    (`ws:/me:password@host`)."""
    if "://" not in url:
        head, at, host = url.rpartition("@")
        login_start = match.end() if (match := _TEXT_BEFORE_LOGIN.match(head)) else 0
        has_login = ":" in head[login_start:]
        return head[:login_start] + make_stand_in("login") + at + host if has_login else url
    url = _USER_IN_URL.sub(lambda match: make_stand_in("login"), url)
    url = _QUERY_VALUE.sub(lambda match: f"{match[1]}{match[2]}={make_stand_in(match[2])}", url)
    return _NAMELESS_QUERY.sub(lambda match: f"{match[1]}{make_stand_in('query')}", url)


def text_without_secrets(text: str) -> str:
    """Return a text without the secrets in it, so that people may see it, such as an error that quotes what
    the user typed. URLs lose their secrets. A word in quotes that looks like a random key is hidden, too,
    because somebody may have typed it in a wrong place."""
    separators_and_words = ["", *_WORD_SEPARATORS.split(text)]
    return "".join(
        separator + _word_without_secret(word, quoted=separator.endswith(("'", '"')))
        for separator, word in zip(separators_and_words[::2], separators_and_words[1::2], strict=True)
    )


def _word_without_secret(word: str, *, quoted: bool) -> str:
    """Return a word of a text so that people may see it. A URL loses its secrets. A word in quotes (`quoted`)
    that looks like a random key, and not like the name of a file, becomes HIDDEN."""
    if "://" in word or "@" in word:
        return url_without_secrets(word)
    looks_like_key = quoted and _looks_random(word.rstrip("…")) and not _FILE_NAME.fullmatch(word)
    return HIDDEN if looks_like_key else word


def _decode_basic_login(login: str) -> Iterator[str]:
    """Decode the login of HTTP Basic authentication. Yield `user:password` as one text, and then the password
    alone. Yield nothing if the login is not the base64 of a text."""
    try:
        user_and_password = b64decode(login, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    yield user_and_password
    _, _, password = user_and_password.partition(":")
    yield password


def _looks_random(value: str) -> bool:
    """Return whether a value looks like a random key: 16 characters or more, no spaces, and it changes
    between letters and digits four times or more."""
    if _RANDOM_CHARACTERS.fullmatch(value) is None:
        return False
    return _count_letter_digit_changes(value) >= _MIN_LETTER_DIGIT_CHANGES


def _count_letter_digit_changes(value: str) -> int:
    """Count how often in a value a digit follows a letter, or a letter a digit; other characters are left
    out. Random keys have many of these changes."""
    are_digits = [character.isdigit() for character in value if character.isalnum()]
    return sum(is_digit != is_next_digit for is_digit, is_next_digit in pairwise(are_digits))
