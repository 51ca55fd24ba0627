"""Decides who may open a session with Motion Server. What a session answers is in session.py (protocol.md
sections 1 and 2)."""

from dataclasses import dataclass

from spatius_sim.model.scenario.faults_by_id import EXPIRED_TOKEN, MISSING_AVATAR, REVOKED_KEY, read_id_prefix
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

    def issue_session_token(
        self, api_key: str, body: bytes, unix_now: float, nonce: str, clock_ahead_seconds: float = 0.0
    ) -> str:
        """Return a new session token in answer to a token request with this API key and body. `nonce` makes
        the token unlike all others.

        `unix_now` is the time in unix seconds, by the clock of the relay that asks. That clock is
        `clock_ahead_seconds` ahead of the clock that later decides whether the token has expired. Raises
        RequestRefusedError if the key or the body is bad, or if the token would expire too early or too
        late."""
        is_unknown = bool(self.api_keys) and api_key not in self.api_keys
        if not api_key or is_unknown or read_id_prefix(api_key) == REVOKED_KEY:
            raise console_refusal(401, "UNAUTHENTICATED", "the API key is missing or unknown")
        request = read_token_request(body)
        check_expiry(request, unix_now)
        return issue_token(SessionToken(request.expire_at - clock_ahead_seconds, request.app_id), nonce)

    def check_upgrade(self, app_id: str, session_key: str, avatar_id: str, unix_now: float) -> None:
        """Check whether Motion Server may open a session for a WebSocket upgrade with this app id, avatar id,
        and session token (`session_key`). `unix_now` is the time in unix seconds. Raises RequestRefusedError,
        with the HTTP answer to send, if it may not.

        An avatar with `missing` in its id does not exist. A session token that begins with `expired-` counts
        as expired."""
        if read_id_prefix(session_key) == EXPIRED_TOKEN:
            raise upgrade_refusal(401, "session token expired")
        token = read_token(session_key)
        if token is None:
            raise upgrade_refusal(400, "Invalid session token")
        if token.expire_at <= unix_now:
            raise upgrade_refusal(401, "session token expired")
        if not app_id or (self.app_ids and app_id not in self.app_ids):
            raise upgrade_refusal(404, "app id unrecognized")
        if token.app_id and token.app_id != app_id:
            raise upgrade_refusal(400, "app id mismatch")
        if not avatar_id or MISSING_AVATAR in avatar_id:
            raise upgrade_refusal(404, f"Avatar not found: {avatar_id}")


def make_refusal(refusal: Refuse, moment: Moment, avatar_id: str = "") -> RequestRefusedError:
    """Return the error by which Motion Server refuses access: a token request or an upgrade that a scenario
    wants it to refuse. The caller raises it. The error carries the HTTP answer, with the status of `refusal`.

    If `refusal` has a body, or no message, its body is sent unchanged. Otherwise the message is sent in JSON:
    for a token request (Moment.TOKEN) in the form of the Console API, for an upgrade in that of Motion
    Server. `{avatar}` in the message of an upgrade stands for `avatar_id`."""
    if refusal.body or not refusal.message:
        return RequestRefusedError(HttpAnswer(refusal.status, refusal.body))
    if moment is Moment.TOKEN:
        return console_refusal(refusal.status, "REFUSED", refusal.message)
    return upgrade_refusal(refusal.status, refusal.message.replace("{avatar}", avatar_id))
