"""Session tokens that need no memory: any run of the simulator accepts what any other has issued, for
relays connect when they like."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

_SIGNING_KEY = b"spatius-sim session token"
"""No secret: it only tells an issued token from an invented one."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What a token says. `expire_at` in unix seconds; `app_id` "" where it is bound to no app."""

    expire_at: int
    app_id: str


def issue_token(token: SessionToken, nonce: str) -> str:
    """The text of a token; `nonce` makes it unique."""
    claims = json.dumps({"exp": token.expire_at, "app": token.app_id, "jti": nonce})
    body = urlsafe_b64encode(claims.encode()).decode()
    return f"{body}.{_signature(body)}"


def read_token(text: str) -> SessionToken | None:
    """What a token says, or None for one that was never issued."""
    body, _, signature = text.partition(".")
    if signature != _signature(body):
        return None
    claims = json.loads(urlsafe_b64decode(body))
    return SessionToken(claims["exp"], claims["app"])


def _signature(body: str) -> str:
    return hashlib.blake2b(body.encode(errors="replace"), key=_SIGNING_KEY, digest_size=16).hexdigest()
