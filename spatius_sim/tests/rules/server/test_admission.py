"""S rules: who gets a token, and whom the ingress lets in."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import DAY, HOUR, NOW, Dialogue, voice
from spatius_sim.trace.events import Lane, Opened, Provocation, Provoked, Refused, TokenRequested
from spatius_sim.wires.optional_features import KEYS

ASK, KNOCK, SESSION = "ask-1", "knock-1", "session-1"
READABLE = '{"errors":[{"detail":"expire_at must be in the future"}]}'


def asked(
    life: int | None, status: int, *, token: str = "", body: str = "", intent: Provocation | None = None
) -> Dialogue:
    said = Dialogue("server")
    if intent is not None:
        said.happens(Lane.KIT, ASK, Provoked(intent))
    expire_at = None if life is None else int(NOW) + life
    said.happens(Lane.CONSOLE, ASK, TokenRequested("key#1", expire_at, NOW, status, token))
    if body:
        said.happens(Lane.CONSOLE, ASK, Refused(status, body))
    return said


@pytest.mark.parametrize("life", [-HOUR, DAY + HOUR])
def test_an_expiry_outside_the_window_is_refused(life: int) -> None:
    assert asked(life, 400, body=READABLE).verdict("S-TOKEN-WINDOW") is Verdict.PASSED


@pytest.mark.parametrize("life", [-HOUR, DAY + HOUR])
def test_an_expiry_outside_the_window_is_granted(life: int) -> None:
    assert asked(life, 200, token="token#1").failed == ["S-TOKEN-WINDOW"]


@pytest.mark.parametrize(("status", "body"), [(400, ""), (400, " \n"), (500, READABLE), (302, READABLE)])
def test_a_refusal_that_nobody_can_read(status: int, body: str) -> None:
    assert asked(-HOUR, status, body=body).failed == ["S-TOKEN-WINDOW"]


@pytest.mark.parametrize("life", [HOUR, 1, -30, DAY + 30, None])
def test_an_expiry_inside_the_window_or_too_near_to_its_border(life: int | None) -> None:
    assert asked(life, 200, token="token#1").verdict("S-TOKEN-WINDOW") is Verdict.UNEXERCISED


BAD_KEYS = [Provocation.WRONG_KEY, Provocation.MISSING_KEY]


@pytest.mark.parametrize("intent", BAD_KEYS)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_bad_key_is_refused(intent: Provocation, status: int) -> None:
    said = asked(HOUR, status, body="no", intent=intent)
    assert said.verdict("S-TOKEN-KEY") is Verdict.PASSED
    assert said.verdict("S-TOKEN-WINDOW") is Verdict.UNEXERCISED


@pytest.mark.parametrize("intent", BAD_KEYS)
@pytest.mark.parametrize(("status", "token"), [(200, "token#1"), (200, ""), (401, "token#1")])
def test_a_bad_key_is_taken(intent: Provocation, status: int, token: str) -> None:
    assert asked(HOUR, status, token=token, intent=intent).failed == ["S-TOKEN-KEY"]


def test_a_good_key_says_nothing_of_bad_ones() -> None:
    assert asked(HOUR, 200, token="token#1").verdict("S-TOKEN-KEY") is Verdict.UNEXERCISED


def test_a_server_without_keys_need_not_refuse_any() -> None:
    judgement = Dialogue("server", (KEYS,)).judged("S-TOKEN-KEY")
    assert judgement.verdict is Verdict.NOT_APPLICABLE
    assert judgement.reason == "the subject lacks keys"


def knocked(intent: Provocation, outcome: Opened | Refused) -> Dialogue:
    said = Dialogue("server")
    said.happens(Lane.KIT, KNOCK, Provoked(intent))
    said.happens(Lane.UPSTREAM, KNOCK, outcome)
    return said


@pytest.mark.parametrize(
    ("intent", "status", "body"),
    [
        (Provocation.INVENTED_TOKEN, 400, '{"message":"Invalid session token"}\n'),
        (Provocation.MISSING_TOKEN, 400, ""),
        (Provocation.MISSING_TOKEN, 401, "anything"),
        (Provocation.UNKNOWN_AVATAR, 404, '{"message":"Avatar not found: missing-avatar"}'),
        (Provocation.UNKNOWN_AVATAR, 404, "avatar not found"),
        (Provocation.UNKNOWN_AVATAR, 404, '["Avatar not found"]'),
        (Provocation.UNKNOWN_AVATAR, 404, '{"error":"avatar not found"}'),
    ],
)
def test_a_bad_upgrade_is_refused(intent: Provocation, status: int, body: str) -> None:
    assert knocked(intent, Refused(status, body)).verdict("S-UPGRADE-REFUSED") is Verdict.PASSED


@pytest.mark.parametrize(
    ("intent", "outcome"),
    [
        (Provocation.INVENTED_TOKEN, Refused(401, '{"message":"Invalid session token"}')),
        (Provocation.INVENTED_TOKEN, Refused(400, '{"message":"no"}')),
        (Provocation.MISSING_TOKEN, Refused(500, "")),
        (Provocation.UNKNOWN_AVATAR, Refused(404, "")),
        (Provocation.UNKNOWN_AVATAR, Opened()),
    ],
)
def test_a_bad_upgrade_is_refused_otherwise_or_let_in(intent: Provocation, outcome: Opened | Refused) -> None:
    assert knocked(intent, outcome).failed == ["S-UPGRADE-REFUSED"]


def test_an_expired_token_opens_nothing() -> None:
    refused = knocked(Provocation.EXPIRED_TOKEN, Refused(401, "session token expired"))
    assert refused.verdict("S-TOKEN-EXPIRY") is Verdict.PASSED
    assert refused.verdict("S-UPGRADE-REFUSED") is Verdict.UNEXERCISED
    assert knocked(Provocation.EXPIRED_TOKEN, Opened()).failed == ["S-TOKEN-EXPIRY"]


def test_an_expired_token_opens_nothing_though_it_did_before() -> None:
    refused = knocked(Provocation.USED_TOKEN, Refused(400, "Invalid session token"))
    assert refused.verdict("S-TOKEN-EXPIRY") is Verdict.PASSED
    assert refused.verdict("S-UPGRADE-REFUSED") is Verdict.UNEXERCISED
    assert knocked(Provocation.USED_TOKEN, Opened()).failed == ["S-TOKEN-EXPIRY"]


def outlived(*, waited: bool, closed: bool) -> Dialogue:
    said = Dialogue("server")
    said.opened(SESSION)
    said.happens(Lane.KIT, SESSION, Provoked(Provocation.OUTLIVED_TOKEN))
    said.starts(SESSION, 0, voice("late"))
    if closed:
        said.closed(SESSION, by_kit=False)
    if waited:
        said.ends(SESSION, 0)
    said.closed(SESSION, by_kit=True)
    return said


def test_what_is_open_stays_open() -> None:
    assert outlived(waited=True, closed=False).verdict("S-TOKEN-EXPIRY") is Verdict.PASSED
    assert outlived(waited=True, closed=True).failed == ["S-TOKEN-EXPIRY"]
    assert outlived(waited=False, closed=True).verdict("S-TOKEN-EXPIRY") is Verdict.UNEXERCISED


def test_a_turn_before_the_token_expired_says_nothing() -> None:
    said = Dialogue("server")
    said.starts(SESSION, 0, voice("early"))
    said.ends(SESSION, 0)
    said.happens(Lane.KIT, SESSION, Provoked(Provocation.OUTLIVED_TOKEN))
    assert said.verdict("S-TOKEN-EXPIRY") is Verdict.UNEXERCISED
