"""Decides who may open a session with Motion Server. What a session answers is in session.py (protocol.md
sections 1 and 2)."""

from dataclasses import dataclass

from spatius_sim.model.scenario.meaningful_ids import EXPIRED_TOKEN, MISSING_AVATAR, REVOKED_KEY, first_word
from spatius_sim.model.scenario.scenario import Moment, Refuse
from spatius_sim.model.server.session_tokens import SessionToken, issue_token, read_token
from spatius_sim.protocol.console import (
    HttpAnswer,
    RequestRefusedError,
    check_expiry,
    console_refusal,
    read_token_request,
    upgrade_refusal,
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Issues session tokens and admits upgrades. Empty sets accept any API key and any app id."""

    api_keys: frozenset[str] = frozenset()
    app_ids: frozenset[str] = frozenset()

    def issue(self, api_key: str, body: bytes, now: float, nonce: str) -> str:
        """Issue the session token for a token request at `now` (unix seconds).

        Raises RequestRefusedError if the key is bad, the body malformed, or the expiry outside the window.
        """
        unknown = bool(self.api_keys) and api_key not in self.api_keys
        if not api_key or unknown or first_word(api_key) == REVOKED_KEY:
            raise console_refusal(401, "UNAUTHENTICATED", "the API key is missing or unknown")
        asked = read_token_request(body)
        check_expiry(asked, now)
        return issue_token(SessionToken(asked.expire_at, asked.app_id), nonce)

    def admit(self, app_id: str, session_key: str, avatar_id: str, now: float) -> None:
        """Let an upgrade pass, or raise RequestRefusedError with its status and body.

        An avatar id with `missing` in it does not exist, and a session key that begins with `expired-`
        has expired.
        """
        if first_word(session_key) == EXPIRED_TOKEN:
            raise upgrade_refusal(401, "session token expired")
        token = read_token(session_key)
        if token is None:
            raise upgrade_refusal(400, "Invalid session token")
        if token.expire_at <= now:
            raise upgrade_refusal(401, "session token expired")
        if not app_id or (self.app_ids and app_id not in self.app_ids):
            raise upgrade_refusal(404, "app id unrecognized")
        if token.app_id and token.app_id != app_id:
            raise upgrade_refusal(400, "app id mismatch")
        if not avatar_id or MISSING_AVATAR in avatar_id:
            raise upgrade_refusal(404, f"Avatar not found: {avatar_id}")


def refusal(refuse: Refuse, moment: Moment, avatar_id: str = "") -> RequestRefusedError:
    """Return the refusal that a scenario asks for, in the shape that a token request or an upgrade gets."""
    if refuse.body or not refuse.message:
        return RequestRefusedError(HttpAnswer(refuse.status, refuse.body))
    if moment is Moment.TOKEN:
        return console_refusal(refuse.status, "REFUSED", refuse.message)
    return upgrade_refusal(refuse.status, refuse.message.replace("{avatar}", avatar_id))
