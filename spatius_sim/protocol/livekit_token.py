"""Makes access tokens of LiveKit: JWTs signed with HS256 (docs.livekit.io, "Tokens and grants"). Says what is
wrong with a token that somebody else made."""

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

TOKEN_LIFE_SECONDS = 3600
_CLOCK_DIFFERENCE_SECONDS = 10
"""A token is valid so much earlier, because the clock of LiveKit's server may be behind."""


@dataclass(frozen=True, slots=True)
class RoomGrant:
    """What a LiveKit token lets a participant do in a room. `attributes` are its attributes; `kind` is
    `agent` for an agent, "" for anybody else."""

    room: str
    identity: str
    kind: str = ""
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    attributes: tuple[tuple[str, str], ...] = ()


def make_livekit_token(api_key: str, api_secret: str, grant: RoomGrant, now: float) -> str:
    """Return a LiveKit access token (a JWT) for this grant, signed with the API secret. It is valid for an
    hour from `now` (unix seconds)."""
    claims = {
        "iss": api_key,
        "sub": grant.identity,
        "nbf": int(now) - _CLOCK_DIFFERENCE_SECONDS,
        "exp": int(now) + TOKEN_LIFE_SECONDS,
        "video": {
            "roomJoin": True,
            "room": grant.room,
            "canPublish": grant.can_publish,
            "canSubscribe": grant.can_subscribe,
            "canPublishData": grant.can_publish_data,
            "canUpdateOwnMetadata": True,
        },
        "attributes": dict(grant.attributes),
    } | ({"kind": grant.kind} if grant.kind else {})
    signed_text = ".".join(map(_encode_json, ({"alg": "HS256", "typ": "JWT"}, claims)))
    signature = hmac.digest(api_secret.encode(), signed_text.encode(), hashlib.sha256)
    return f"{signed_text}.{_to_base64url(signature)}"


def find_livekit_token_fault(token: str, room_name: str, now: float) -> str:
    """Return in words what is wrong with a LiveKit token for this room; "" if nothing is wrong. The token
    must be a JWT, be valid at `now` (unix seconds), and let its bearer join the room. Its signature is not
    checked, because Motion Server does not know the secret."""
    claims = _read_claims(token)
    if claims is None:
        return "it is not a JWT"
    expiry, grants = claims.get("exp"), claims.get("video")
    if isinstance(expiry, int | float) and expiry <= now:
        return "it has expired"
    if not isinstance(grants, dict) or grants.get("roomJoin") is not True:
        return "it does not grant roomJoin"
    if grants.get("room") not in (None, "", room_name):
        return "it is for another room"
    return ""


def _read_claims(token: str) -> dict[str, object] | None:
    """Return the claims of a LiveKit token, or None if the token is not a JWT. A JWT has three parts: header
    and claims, both JSON objects in base64url, and a signature. The signature is not checked."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[2]:
        return None
    try:
        header, claims = (json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except (binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(header, dict) and isinstance(claims, dict) else None


def _encode_json(document: object) -> str:
    """Return a document as a part of a LiveKit token: as JSON in base64url."""
    return _to_base64url(json.dumps(document, separators=(",", ":")).encode())


def _to_base64url(raw: bytes) -> str:
    """Return bytes of a LiveKit token in base64url without padding."""
    return urlsafe_b64encode(raw).decode().rstrip("=")
