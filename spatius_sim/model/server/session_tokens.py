"""Issues and reads session tokens without any memory: each run of the simulator accepts the tokens of every
other run, because a relay connects when it likes."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

_SIGNING_KEY = b"spatius-sim session token"
"""Not a secret: the key only tells an issued token from an invented one."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """The content of a token: `expire_at` in unix seconds, and `app_id`, "" if the token is bound to no
    app."""

    expire_at: int
    app_id: str


def issue_token(token: SessionToken, nonce: str) -> str:
    """Return the text of a token; `nonce` makes it unique."""
    claims = json.dumps({"exp": token.expire_at, "app": token.app_id, "jti": nonce})
    body = urlsafe_b64encode(claims.encode()).decode()
    return f"{body}.{_sign(body)}"


def read_token(text: str) -> SessionToken | None:
    """Return the content of a token, or None if it was never issued."""
    body, _, signature = text.partition(".")
    if signature != _sign(body):
        return None
    claims = json.loads(urlsafe_b64decode(body))
    return SessionToken(claims["exp"], claims["app"])


def _sign(body: str) -> str:
    return hashlib.blake2b(body.encode(errors="replace"), key=_SIGNING_KEY, digest_size=16).hexdigest()
