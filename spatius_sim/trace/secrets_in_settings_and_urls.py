"""Finds secrets in headers, settings and URLs, and makes URLs that may be shown.

If no document says that a setting is a secret, its name may show that (`authToken`), or its value: it looks
random if it has sixteen characters or more, and changes between letters and digits four times or more.
"""

import binascii
import re
import shlex
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
_PUBLIC_HEADER = re.compile(r"sec-websocket-", re.IGNORECASE)
"""Headers such as Sec-WebSocket-Key: their names look secret, but they are not."""

_PLAIN_WORD = re.compile(r"[\w.:+-]{0,32}")
"""A value that can be shown: one short word, such as `en-US` or `0.75`."""

_RANDOM_CHARACTERS = re.compile(r"[\w.~+=-]{16,}")
_FEWEST_CHANGES = 4
_FILE_NAME = re.compile(r".*\.[A-Za-z]{1,5}")

_USER = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
_QUERY_VALUE = re.compile(r"([?&#])([^=&#\s,]+)=[^&#\s,]+")
"""A value in the query of a URL, or in its fragment: single sign-on hands over tokens there, too."""
_BARE_QUERY = re.compile(r"([?#])[^=&#\s,]+(?![^&#\s,])")
_LOGIN_BEGINS_AFTER = re.compile(r".*[/\s?#]", re.DOTALL)
_WORD_LIMITS = re.compile(r"([\s'\"()]+)")
_PLACEHOLDERS = re.compile(r"(?:\{\w+\})*")
"""A value of a command that the kit fills in."""

StandIn = Callable[[str], str]
"""A function from the name of a secret's place to the text that is shown there instead of the secret."""


def hide_value(name: str) -> str:
    """Return HIDDEN for a login of any name: the stand-in that tells nothing about the secret."""
    return HIDDEN


def names_a_secret(name: str) -> bool:
    """Return whether the name of a setting or header shows that its value is a secret, such as a login."""
    return _SECRET_NAME.search(name) is not None


def is_plain(name: str, value: str) -> bool:
    """Return whether the value of a setting can be shown although its meaning is unknown: its name is not
    that of a secret such as a login, and the value is one short word that does not look random."""
    return not names_a_secret(name) and _PLAIN_WORD.fullmatch(value) is not None and not _looks_random(value)


def secrets_in_header(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in an HTTP header: secret cookies, a login without its scheme, the password of a
    Basic login, or the whole value if the header's name shows that it is secret."""
    lower_name = name.lower()
    if lower_name == "cookie":
        for pair in value.split(";"):
            cookie, _, content = pair.strip().partition("=")
            if _SECRET_NAME.search(cookie) or _SESSION_NAME.search(cookie) or _looks_random(content):
                yield content
    elif lower_name.endswith("authorization"):
        scheme, _, login = value.strip().partition(" ")
        yield login.strip() or scheme
        if scheme.lower() == "basic":
            yield from _parts_of_basic_login(login.strip())
    elif _SECRET_NAME.search(name) and not _PUBLIC_HEADER.match(name):
        yield value.strip()


def secrets_in_setting(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in a setting, such as an environment variable: the logins in its URL, or the whole
    value if the name or the value shows that it is secret."""
    if "://" in value:
        yield from secrets_in_url(value)
    elif _SECRET_NAME.search(name) or _looks_random(value):
        yield value


def secrets_in_url(url: str) -> Iterator[str]:
    """Find the secrets in a URL, and yield them: first its login (the password, or the user if there is no
    password), then the secret values in its query and fragment. Yield nothing if the URL is malformed."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    yield unquote(password) or unquote(user)
    for name, value in (*parse_qsl(parts.query), *parse_qsl(parts.fragment)):
        if _SECRET_NAME.search(name) or _looks_random(value):
            yield value


def url_without_logins(url: str, stand_in: StandIn = hide_value) -> str:
    """Return a URL, or a text with URLs, without the logins and the secrets in it, so that it may be shown.

    `stand_in("login")` replaces user and password, `stand_in(name)` replaces each value in a query or
    fragment, and `stand_in("query")` replaces a query or fragment without names. A login is also found if the
    scheme of its URL is missing or misspelt (`ws:/me:password@host`)."""
    if "://" not in url:
        head, at, host = url.rpartition("@")
        begin = match.end() if (match := _LOGIN_BEGINS_AFTER.match(head)) else 0
        return head[:begin] + stand_in("login") + at + host if ":" in head[begin:] else url
    url = _USER.sub(lambda match: stand_in("login"), url)
    url = _QUERY_VALUE.sub(lambda match: f"{match[1]}{match[2]}={stand_in(match[2])}", url)
    return _BARE_QUERY.sub(lambda match: f"{match[1]}{stand_in('query')}", url)


def text_without_logins(text: str) -> str:
    """Find the logins in the URLs of a text, and return the text without them, so that people may see it: for
    example an error that quotes what the user typed. A word in quotes that looks like a random key is hidden,
    too: somebody may have typed it in a wrong place."""
    limits_and_words = ["", *_WORD_LIMITS.split(text)]
    return "".join(
        limit + _word_without_login(word, quoted=limit.endswith(("'", '"')))
        for limit, word in zip(limits_and_words[::2], limits_and_words[1::2], strict=True)
    )


def _word_without_login(word: str, *, quoted: bool) -> str:
    """Return a word of a text so that people may see it: a URL without its login, and HIDDEN in place of a
    word in quotes (`quoted`) that looks like a random key and is not the name of a file."""
    if "://" in word or "@" in word:
        return url_without_logins(word)
    is_key = quoted and _looks_random(word.rstrip("…")) and not _FILE_NAME.fullmatch(word)
    return HIDDEN if is_key else word


def command_without_logins(command: str, stand_in: StandIn = hide_value) -> str:
    """Return a command line without the logins and other secrets in its words: `stand_in(name)` replaces each
    of them. Return HIDDEN alone if no shell would accept the command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return HIDDEN
    shown = [
        before + (url_without_logins(value, stand_in) if "://" in value else stand_in(name or "argument"))
        if any(secrets_in_setting(name, value))
        else before + value
        for before, name, value in _split_words(words)
    ]
    return command if shown == words else shlex.join(shown)


def secrets_in_command(command: str) -> Iterator[str]:
    """Yield the secrets in the words of a command: in `NAME=VALUE`, `--name=VALUE` and `--name VALUE`, as
    `secrets_in_setting` finds them, and in any other word. Yields nothing if no shell would take it."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    for _, name, value in _split_words(words):
        yield from secrets_in_setting(name, value)


def _split_words(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Split the words of a subject's command line, in which logins are looked for. Yield for each word the
    part before its value, the value's name and the value. The name is "" if the value has none, or if the
    value is a placeholder."""
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if equals and "://" not in name:
            before = name + equals
        else:
            before, name, value = "", "" if word.startswith("-") else option, word
        is_filled_in = _PLACEHOLDERS.fullmatch(value) is not None
        yield before, "" if is_filled_in else name.lstrip("-"), value
        option = word if word.startswith("-") and not equals else ""


def _parts_of_basic_login(login: str) -> Iterator[str]:
    """Yield user and password of a Basic login as one text `user:password`, then the password alone. Yields
    nothing if the login is not base64 text."""
    try:
        user_and_password = b64decode(login, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    yield user_and_password
    _, _, password = user_and_password.partition(":")
    yield password


def _looks_random(value: str) -> bool:
    """Return whether a value looks like a random key: long, without spaces, letters and digits mixed."""
    if _RANDOM_CHARACTERS.fullmatch(value) is None:
        return False
    return _count_letter_digit_changes(value) >= _FEWEST_CHANGES


def _count_letter_digit_changes(value: str) -> int:
    """Return how often a digit follows a letter in a value, or a letter a digit; other characters do not
    count. Random keys have many such changes."""
    digits = [character.isdigit() for character in value if character.isalnum()]
    return sum(first != second for first, second in pairwise(digits))
