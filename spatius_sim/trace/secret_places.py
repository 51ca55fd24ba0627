"""Learns secrets from the places where they stand in messages and events, and takes them out there."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.trace.known_secrets import KnownSecrets
from spatius_sim.trace.logins import names_a_secret, secrets_in_setting, secrets_in_url

_USUAL_FRAMING = 36
"""Bytes around the audio of a message with an id of the usual form and nothing else."""

W = TypeVar("W")


def without_secrets(raw: bytes, message: object, secrets: KnownSecrets, holder: str = "") -> bytes:
    """Return a frame that means `message` with stars in place of secrets. Secrets that stand in it for the
    first time are learnt. Motion and plain audio stay as they are."""
    match message:
        case MotionResponse():
            return raw
        case AudioInput(audio=audio):
            return raw if len(raw) - len(audio) <= _USUAL_FRAMING else _replace_around(raw, audio, secrets)
        case ConfigureSession():
            for secret in _secrets_of_egress(message):
                secrets.hide(secret, holder)
            hidden = _hide_egress_secrets(message)
            raw = raw if hidden == message else encode(hidden)
    return secrets.redact(raw)[0]


def texts_without_secrets(what: W, secrets: KnownSecrets) -> W:
    """Return an event, or another dataclass, with stars in place of the secrets in its texts."""
    texts = {field.name: getattr(what, field.name) for field in fields(what)}  # type: ignore[arg-type]
    clean = {name: secrets.text(text) for name, text in texts.items() if type(text) is str and text}
    changed = {name: text for name, text in clean.items() if text != texts[name]}
    return replace(what, **changed) if changed else what  # type: ignore[type-var]


def _secrets_of_egress(message: ConfigureSession) -> Iterator[str]:
    """Yield all secrets that a session configuration carries."""
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


def _hide_egress_secrets(message: ConfigureSession) -> ConfigureSession:
    """Return the configuration with every secret replaced."""
    livekit, agora = message.livekit_egress, message.agora_egress
    if livekit is not None:
        livekit = replace(
            livekit,
            url=_plain_url(livekit.url),
            api_key=_replace_by_stars(livekit.api_key),
            api_secret=_replace_by_stars(livekit.api_secret),
            api_token=_replace_by_stars(livekit.api_token),
            extra_attributes=_without_secrets(livekit.extra_attributes),
        )
    if agora is not None:
        agora = replace(agora, token=_replace_by_stars(agora.token))
    params = _without_secrets(message.extra_params)
    return replace(message, livekit_egress=livekit, agora_egress=agora, extra_params=params)


def _without_secrets(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Hide a value if its name says that it is a secret, however short the value is."""
    return tuple((name, _replace_by_stars(value) if names_a_secret(name) else value) for name, value in pairs)


def _plain_url(url: str) -> str:
    """Return the URL without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return _replace_by_stars(url)


def _replace_around(raw: bytes, audio: bytes, secrets: KnownSecrets) -> bytes:
    before, found, rest = raw.partition(audio) if audio else (raw, b"", b"")
    return secrets.redact(before)[0] + found + secrets.redact(rest)[0]


def _replace_by_stars(secret: str) -> str:
    return "*" * len(secret)
