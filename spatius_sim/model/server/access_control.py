"""Decides who may open a session with Motion Server. What a session answers is in session.py (protocol.md
sections 1 and 2)."""

from dataclasses import dataclass

from spatius_sim.model.scenario.faults_by_id import EXPIRED_TOKEN, MISSING_AVATAR, REVOKED_KEY, first_word
from spatius_sim.model.scenario.scenario import Moment, Refuse
from spatius_sim.model.server.session_tokens import SessionToken, issue_token, read_token
from spatius_sim.protocol.console_api import (
    HttpAnswer,
    RequestRefusedError,
    check_expiry,
    console_refusal,
    read_token_request,
    upgrade_refusal,
)


@dataclass(frozen=True, slots=True)
class AccessControl:
    """Issues session tokens, and admits or refuses upgrades. If `api_keys` or `app_ids` is empty, any API key
    or app id is accepted."""

    api_keys: frozenset[str] = frozenset()
    app_ids: frozenset[str] = frozenset()

    def issue(self, api_key: str, body: bytes, now: float, nonce: str, ahead: float = 0.0) -> str:
        """Issue a session token for a token request with this API key and body, and return the token. `nonce`
        makes the token unlike all others.

        `now` is in unix seconds, by the clock of the relay that asks. That clock is `ahead` seconds ahead of
        the clock by which `admit` checks whether the token has expired. Raises RequestRefusedError if the key
        or the body is bad, or if the token would expire too early or too late."""
        unknown = bool(self.api_keys) and api_key not in self.api_keys
        if not api_key or unknown or first_word(api_key) == REVOKED_KEY:
            raise console_refusal(401, "UNAUTHENTICATED", "the API key is missing or unknown")
        request = read_token_request(body)
        check_expiry(request, now)
        return issue_token(SessionToken(request.expire_at - ahead, request.app_id), nonce)

    def admit(self, app_id: str, session_key: str, avatar_id: str, now: float) -> None:
        """Admit the upgrade of a session with Motion Server: check the app id, the avatar id, and the session
        token `session_key` at the time `now`. Raise RequestRefusedError, with the HTTP answer, if the upgrade
        is refused.

        An avatar with `missing` in its id does not exist. A session token that begins with `expired-` counts
        as expired."""
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


def make_refusal(refuse: Refuse, moment: Moment, avatar_id: str = "") -> RequestRefusedError:
    """Return the error with which Motion Server refuses access to a token request or to an upgrade, if a
    scenario asks for that. The caller raises it; its HTTP answer has the form that belongs to the request."""
    if refuse.body or not refuse.message:
        return RequestRefusedError(HttpAnswer(refuse.status, refuse.body))
    if moment is Moment.TOKEN:
        return console_refusal(refuse.status, "REFUSED", refuse.message)
    return upgrade_refusal(refuse.status, refuse.message.replace("{avatar}", avatar_id))
