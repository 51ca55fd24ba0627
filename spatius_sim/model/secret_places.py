"""Where secrets stand: in messages, headers, settings and URLs. What stands there is learnt, and taken out.

In a place of which no document says that it holds a secret, the name tells (`authToken`), or that the value
looks drawn by lot: sixteen characters and more, in which letters and digits take turns four times.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import pairwise
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from spatius_sim.model.known_secrets import KnownSecrets
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse

HIDDEN = "..."
"""What is shown in place of a value that may be a secret."""

_SECRET_NAME = re.compile(
    r"key|secret|token|auth|passw|passphrase|pwd|credential|jwt|signature|cookie|bearer", re.IGNORECASE
)
_SESSION_NAME = re.compile(r"sess|sid", re.IGNORECASE)
_NO_LOGIN = re.compile(r"sec-websocket-", re.IGNORECASE)
_BY_LOT = re.compile(r"[\w.~+=-]{16,}")
_FEWEST_TURNS = 4
_USUAL_FRAMING = 36
"""Bytes around the audio of a message with an id of the usual form and nothing else."""

_USER = re.compile(r"(?<=://)[^/?#\s]*(?=@)")
_QUERY_VALUE = re.compile(r"([?&][^=&#\s,]+=)[^&#\s,]+")
_BARE_QUERY = re.compile(r"\?[^=&#\s,]+(?![^&#\s,])")

W = TypeVar("W")


def without_secrets(raw: bytes, message: object, secrets: KnownSecrets, holder: str = "") -> bytes:
    """A frame that means `message` with stars in place of secrets, those that it tells for the first time as
    well; motion and plain audio as they are."""
    match message:
        case MotionResponse():
            return raw
        case AudioInput(audio=audio):
            return raw if len(raw) - len(audio) <= _USUAL_FRAMING else _around(raw, audio, secrets)
        case ConfigureSession():
            for secret in _secrets_in(message):
                secrets.hide(secret, holder)
            hidden = _hidden(message)
            raw = raw if hidden == message else encode(hidden)
    return secrets.redact(raw)[0]


def event_without_secrets(what: W, secrets: KnownSecrets) -> W:
    """What happened, with stars in place of the secrets in its texts."""
    texts = {field.name: getattr(what, field.name) for field in fields(what)}  # type: ignore[arg-type]
    clean = {name: secrets.text(text) for name, text in texts.items() if type(text) is str and text}
    changed = {name: text for name, text in clean.items() if text != texts[name]}
    return replace(what, **changed) if changed else what  # type: ignore[type-var]


def secrets_in_header(name: str, value: str) -> Iterator[str]:
    """The secrets in an HTTP header: its login, without the scheme; of a Basic one also the password."""
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
            yield from _basic(login.strip())
    elif _SECRET_NAME.search(name) and not _NO_LOGIN.match(name):
        yield value.strip()


def secrets_in_setting(name: str, value: str) -> Iterator[str]:
    """The secrets in a variable of the environment, or in another setting of that name."""
    if "://" in value:
        yield from secrets_in_url(value)
    elif _SECRET_NAME.search(name) or _looks_drawn(value):
        yield value


def secrets_in_url(url: str) -> Iterator[str]:
    """The secrets in a URL: its password, its user where there is none, and those in its query."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    yield unquote(password) or unquote(user)
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name) or _looks_drawn(value):
            yield value


def shown_url(url: str) -> str:
    """The URL (or several, in any text) as it may be shown: without its user and password, and without the
    values of its query."""
    return _QUERY_VALUE.sub(rf"\g<1>{HIDDEN}", _BARE_QUERY.sub(f"?{HIDDEN}", _USER.sub(HIDDEN, url)))


def _secrets_in(message: ConfigureSession) -> Iterator[str]:
    livekit, agora = message.livekit_egress, message.agora_egress
    pairs = message.extra_params
    if livekit is not None:
        yield from (livekit.api_key, livekit.api_secret, livekit.api_token)
        yield from secrets_in_url(livekit.url)
        pairs += livekit.extra_attributes
    if agora is not None:
        yield agora.token
    for name, value in pairs:
        yield from secrets_in_setting(name, value)


def _hidden(message: ConfigureSession) -> ConfigureSession:
    livekit, agora = message.livekit_egress, message.agora_egress
    if livekit is not None:
        livekit = replace(
            livekit,
            url=_plain_url(livekit.url),
            api_key=_stars(livekit.api_key),
            api_secret=_stars(livekit.api_secret),
            api_token=_stars(livekit.api_token),
            extra_attributes=_without_secrets(livekit.extra_attributes),
        )
    if agora is not None:
        agora = replace(agora, token=_stars(agora.token))
    params = _without_secrets(message.extra_params)
    return replace(message, livekit_egress=livekit, agora_egress=agora, extra_params=params)


def _without_secrets(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The names tell here, whatever the length of a value."""
    return tuple((name, _stars(value) if _SECRET_NAME.search(name) else value) for name, value in pairs)


def _plain_url(url: str) -> str:
    """The URL without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return _stars(url)


def _around(raw: bytes, audio: bytes, secrets: KnownSecrets) -> bytes:
    before, found, rest = raw.partition(audio) if audio else (raw, b"", b"")
    return secrets.redact(before)[0] + found + secrets.redact(rest)[0]


def _basic(login: str) -> Iterator[str]:
    try:
        both = b64decode(login, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    yield both
    yield both.partition(":")[2]


def _looks_drawn(value: str) -> bool:
    return _BY_LOT.fullmatch(value) is not None and _turns(value) >= _FEWEST_TURNS


def _turns(value: str) -> int:
    """How often letters follow digits, or digits letters."""
    kinds = ["0" if character.isdigit() else "a" for character in value if character.isalnum()]
    return sum(one != other for one, other in pairwise(kinds))


def _stars(secret: str) -> str:
    return "*" * len(secret)
