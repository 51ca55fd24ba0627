"""Issues and reads session tokens, and stores none. So each run of the simulator accepts the tokens of every
other run: a relay may connect to a simulator that was restarted since."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

_SIGNING_KEY = b"spatius-sim session token"
"""Not a secret: the key only tells an issued token from an invented one."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """The content of a session token. `expire_at` is in unix seconds; `app_id` is "" if the token is valid
    for every app."""

    expire_at: float
    app_id: str


def issue_token(token: SessionToken, nonce: str) -> str:
    """Return the signed text of a session token; a new `nonce` makes each text unique."""
    claims = json.dumps({"exp": token.expire_at, "app": token.app_id, "jti": nonce})
    body = urlsafe_b64encode(claims.encode()).decode()
    return f"{body}.{_sign(body)}"


def read_token(text: str) -> SessionToken | None:
    """Return the content of a session token; None if the simulator did not issue the token. This shows in its
    signature, or in a content that cannot be read."""
    body, _, signature = text.partition(".")
    if signature != _sign(body):
        return None
    try:
        claims = json.loads(urlsafe_b64decode(body))
        return SessionToken(int(claims["exp"]), str(claims["app"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None  # The key is public, so anybody can sign such a content.


def _sign(body: str) -> str:
    """Return the signature of a token's body."""
    return hashlib.blake2b(body.encode(errors="replace"), key=_SIGNING_KEY, digest_size=16).hexdigest()
