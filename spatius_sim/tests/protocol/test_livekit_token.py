"""A token of LiveKit says who may do what, and its signature comes from the secret."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from typing import Any

from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token


def part(text: str) -> Any:
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_a_token_says_who_may_do_what() -> None:
    grant = RoomGrant("room", "avatar", "agent", can_subscribe=False, attributes=(("a", "b"),))
    head, claims, signature = make_livekit_token("key", "secret", grant, 1000.5).split(".")
    assert part(head) == {"alg": "HS256", "typ": "JWT"}
    content = part(claims)
    assert (content["iss"], content["sub"], content["exp"]) == ("key", "avatar", 4600)
    assert content["video"]["room"] == "room"
    assert (content["video"]["canPublish"], content["video"]["canSubscribe"]) == (True, False)
    assert (content["kind"], content["attributes"]) == ("agent", {"a": "b"})
    expected = hmac.digest(b"secret", f"{head}.{claims}".encode(), hashlib.sha256)
    assert urlsafe_b64decode(signature + "=") == expected


def test_an_ordinary_participant_has_no_kind() -> None:
    assert "kind" not in part(make_livekit_token("k", "s", RoomGrant("r", "i"), 0).split(".")[1])
