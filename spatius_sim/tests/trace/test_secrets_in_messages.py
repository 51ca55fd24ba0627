"""Where secrets stand: they are learnt there, and taken out, whatever their length."""

import numpy as np
import pytest

from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    LiveKitEgress,
    Message,
    MotionResponse,
    ServerError,
)
from spatius_sim.trace.known_secrets import KnownSecrets
from spatius_sim.trace.secrets_in_messages import redact_frame

SECRET = "a-secret-of-some-length"
DRAWN = "f3Kd82Lm9Qp4Zx7c"


def clean(message: Message, known: KnownSecrets | None = None) -> Message:
    return decode(redact_frame(encode(message), message, known or KnownSecrets()))


@pytest.mark.parametrize("secret", ["short", SECRET])
def test_the_credentials_of_an_egress_are_taken_out_and_learnt(secret: str) -> None:
    stars = "*" * len(secret)
    livekit = LiveKitEgress(
        f"wss://me:{secret}@room.example/x?token={secret}#f", secret, secret, secret, "room", "publisher"
    )
    asked = ConfigureSession(16000, livekit_egress=livekit, agora_egress=AgoraEgress("channel", secret))
    known = KnownSecrets()
    told = clean(asked, known)
    assert isinstance(told, ConfigureSession) and told.agora_egress is not None
    assert told.livekit_egress == LiveKitEgress(
        "wss://room.example/x", stars, stars, stars, "room", "publisher"
    )
    assert told.agora_egress == AgoraEgress("channel", stars)
    hidden = known.redact_text(secret) == stars
    assert hidden == (secret == SECRET)
    assert known.lengths() == {}


def test_pairs_are_taken_out_where_their_name_or_their_look_says_so() -> None:
    pairs = (("authToken", "x"), ("colour", "light-blue"), ("ref", DRAWN), ("at", f"https://u:{SECRET}@h/"))
    kept = {"authToken": "*", "colour": "light-blue", "ref": "*" * 16, "at": f"https://u:{'*' * 23}@h/"}
    told = clean(ConfigureSession(16000, livekit_egress=LiveKitEgress(extra_attributes=pairs)))
    assert isinstance(told, ConfigureSession) and told.livekit_egress is not None
    assert dict(told.livekit_egress.extra_attributes) == kept
    told = clean(ConfigureSession(16000, extra_params=pairs))
    assert isinstance(told, ConfigureSession)
    assert dict(told.extra_params) == kept | {"at": "*" * len(pairs[-1][1])}


def test_a_url_that_is_none_is_taken_out_whole() -> None:
    told = clean(ConfigureSession(16000, livekit_egress=LiveKitEgress("wss://[bad")))
    assert isinstance(told, ConfigureSession) and told.livekit_egress is not None
    assert told.livekit_egress.url == "*" * 10
    assert clean(ConfigureSession(16000)) == ConfigureSession(16000)


def test_other_messages_are_searched_but_for_motion_and_plain_audio() -> None:
    known = KnownSecrets()
    known.hide(SECRET)
    stars = "*" * len(SECRET)
    assert clean(ServerError("c", "", 3, f"no {SECRET}"), known) == ServerError("c", "", 3, f"no {stars}")
    assert clean(AudioInput("r", SECRET.encode()), known) == AudioInput("r", SECRET.encode())
    long = AudioInput(SECRET, b"\1\2" * 50, traceparent=SECRET)
    assert clean(long, known) == AudioInput(stars, b"\1\2" * 50, traceparent=stars)
    assert clean(AudioInput(SECRET, tracestate=SECRET), known) == AudioInput(stars, tracestate=stars)
    motion = MotionResponse("c", SECRET, True, np.zeros((0, WIDTH), np.float32))
    assert redact_frame(b"raw", motion, known) == b"raw"


def test_of_a_parameter_only_a_plain_word_is_shown() -> None:
    params = (("headers", '{"Authorization": "Bearer abc-secret"}'), ("voice", "soft"))
    secrets = KnownSecrets()
    told = decode(redact_frame(encode(asked := ConfigureSession(16000, extra_params=params)), asked, secrets))
    assert isinstance(told, ConfigureSession)
    assert dict(told.extra_params) == {"headers": "*" * len(params[0][1]), "voice": "soft"}
    assert "abc-secret" not in secrets.redact_text(f"refused: {params[0][1]}")
