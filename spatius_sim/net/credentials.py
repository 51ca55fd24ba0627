"""Takes known secrets and the credentials of an egress out of the messages of Motion Server's wire."""

import re
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from spatius_sim.net.secrets_in_text import KnownSecrets
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse

_SECRET_KEY = re.compile(r"key|secret|token|auth|password|credential|jwt|signature", re.IGNORECASE)
_USUAL_FRAMING = 36
"""Bytes around the audio of a message with an id of the usual form and nothing else."""


def without_credentials(raw: bytes, message: object, secrets: KnownSecrets) -> bytes:
    """A frame that means `message` with stars in place of secrets; motion and plain audio as they are."""
    match message:
        case MotionResponse():
            return raw
        case AudioInput(audio=audio):
            return raw if len(raw) - len(audio) <= _USUAL_FRAMING else _around(raw, audio, secrets)
        case ConfigureSession():
            hidden = _hidden(message)
            raw = raw if hidden == message else encode(hidden)
    return secrets.redact(raw)[0]


def _around(raw: bytes, audio: bytes, secrets: KnownSecrets) -> bytes:
    before, found, rest = raw.partition(audio) if audio else (raw, b"", b"")
    return secrets.redact(before)[0] + found + secrets.redact(rest)[0]


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
    return tuple((key, _stars(value) if _SECRET_KEY.search(key) else value) for key, value in pairs)


def _plain_url(url: str) -> str:
    """The URL without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return _stars(url)


def _stars(secret: str) -> str:
    return "*" * len(secret)
