"""Takes secrets out of messages, and learns new secrets from the fields that hold them."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.trace.known_secrets import KnownSecrets
from spatius_sim.trace.secrets_in_settings_and_urls import (
    is_plain_setting,
    is_secret_name,
    secrets_in_setting,
    secrets_in_url,
)

_USUAL_FRAMING = 36
"""Bytes around the audio of a message with an id of the usual form and nothing else."""


def redact_frame(raw: bytes, message: object, secrets: KnownSecrets, holder: str = "") -> bytes:
    """Return a frame with stars in place of the secrets in it. `message` is the frame, decoded. Motion holds
    no secrets, and audio is not searched.

    The secrets in the configuration of an egress (the publishing into a room) become known: they are added to
    `secrets`, which keep them at least as long as `holder` (a connection) needs them."""
    if type(message) is AudioInput:  # Nearly all messages are audio.
        audio = message.audio
        return raw if len(raw) - len(audio) <= _USUAL_FRAMING else _redact_around(raw, audio, secrets)
    match message:
        case MotionResponse():
            return raw
        case ConfigureSession() if message.livekit_egress or message.agora_egress or message.extra_params:
            for secret in _secrets_of_egress(message):
                secrets.hide(secret, holder)
            redacted = _redact_egress_secrets(message)
            raw = raw if redacted == message else encode(redacted)
    return secrets.redact(raw)[0]


def _secrets_of_egress(message: ConfigureSession) -> Iterator[str]:
    """Yield the secrets in a session's configuration: the credentials and the URL's login of its egress (the
    publishing into a room), attributes that look secret, and parameters that do not look harmless.

    No document says what the parameters hold."""
    livekit, agora = message.livekit_egress, message.agora_egress
    yield from (value for name, value in message.extra_params if not is_plain_setting(name, value))
    if livekit is not None:
        yield from (livekit.api_key, livekit.api_secret, livekit.api_token)
        yield from secrets_in_url(livekit.url)
        for name, value in livekit.extra_attributes:
            yield from secrets_in_setting(name, value)
    if agora is not None:
        yield agora.token


def _redact_egress_secrets(message: ConfigureSession) -> ConfigureSession:
    """Return a copy of a session's configuration with stars in place of its secrets, such as the tokens of
    its egress (the publishing into a room). URLs lose their logins and queries."""
    livekit, agora = message.livekit_egress, message.agora_egress
    if livekit is not None:
        livekit = replace(
            livekit,
            url=_redact_url(livekit.url),
            api_key=_replace_by_stars(livekit.api_key),
            api_secret=_replace_by_stars(livekit.api_secret),
            api_token=_replace_by_stars(livekit.api_token),
            extra_attributes=_redact_secret_settings(livekit.extra_attributes),
        )
    if agora is not None:
        agora = replace(agora, token=_replace_by_stars(agora.token))
    params = tuple(
        (name, value if is_plain_setting(name, value) else _replace_by_stars(value))
        for name, value in message.extra_params
    )
    return replace(message, livekit_egress=livekit, agora_egress=agora, extra_params=params)


def _redact_secret_settings(settings: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return these attributes of an egress, from a message that configures a session, with stars in place of
    each value whose name shows that the value is a secret. Attributes are pairs of name and value."""
    return tuple(
        (name, _replace_by_stars(value) if is_secret_name(name) else value) for name, value in settings
    )


def _redact_url(url: str) -> str:
    """Return the URL of an egress, from a message that configures a session, without its user, password,
    query and fragment, because these may hold secrets. If the URL is malformed, return stars of the same
    length."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return _replace_by_stars(url)


def _redact_around(raw: bytes, audio: bytes, secrets: KnownSecrets) -> bytes:
    """Return an audio frame with stars in place of the known secrets before and after its audio. The audio is
    not searched."""
    before, audio_in_frame, after = raw.partition(audio) if audio else (raw, b"", b"")
    return secrets.redact(before)[0] + audio_in_frame + secrets.redact(after)[0]


def _replace_by_stars(secret: str) -> str:
    """Return as many stars as the secret has characters."""
    return "*" * len(secret)
