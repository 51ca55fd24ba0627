"""Token requests are read, or refused with a status and a body that SDKs can read."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.protocol.console_api import (
    AUTH_ROOT,
    CONSOLE_ROOT,
    INGRESS_ROOT,
    MAX_TOKEN_LIFE_SECONDS,
    SESSION_TOKENS_PATH,
    TOKEN_PATHS,
    WEBSOCKET_PATH,
    HttpAnswer,
    RequestRefusedError,
    TokenRequest,
    UpgradeRefusedError,
    answer_bootstrap,
    answer_telemetry,
    check_expiry,
    console_refusal,
    read_token_request,
    session_token_in,
    token_answer,
    upgrade_refusal,
)

NOW = 1_760_000_000
DAY = 24 * 3600

NOT_WHOLE_SECONDS = "expireAt must be whole unix seconds"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
almost_requests = st.fixed_dictionaries({}, optional={"expireAt": values, "appId": values})


def detail_of(refusal: RequestRefusedError) -> object:
    """The detail of the one error in a console refusal, once all the rest of it has been checked."""
    (error,) = json.loads(refusal.answer.body)["errors"]
    assert refusal.answer.status == 400
    assert error == {
        "id": "INVALID_ARGUMENT",
        "status": 400,
        "code": "INVALID_ARGUMENT",
        "title": "Invalid argument",
        "detail": error["detail"],
    }
    return error["detail"]


def outcome(body: bytes) -> object:
    """The request in `body`, or the detail of its refusal; any other exception escapes."""
    try:
        return read_token_request(body)
    except RequestRefusedError as refusal:
        return detail_of(refusal)


def test_the_paths_lie_under_their_roots() -> None:
    assert f"{CONSOLE_ROOT}/session-tokens" == SESSION_TOKENS_PATH == "/v1/console/session-tokens"
    assert f"{INGRESS_ROOT}/websocket" == WEBSOCKET_PATH == "/v2/driveningress/websocket"


def test_each_door_answers_with_its_own_field() -> None:
    answers = [(path, json.loads(token_answer(path, "t").body)) for path in TOKEN_PATHS]
    assert answers == [
        ("/v1/console/session-tokens", {"sessionToken": "t"}),
        ("/v1/auth/session-token", {"session_token": "t"}),
    ]
    assert all(path.startswith((CONSOLE_ROOT, AUTH_ROOT)) for path, _ in answers)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"expireAt": 1760000000}', TokenRequest(NOW)),
        (b'{"expireAt": 1760000000, "appId": "app"}', TokenRequest(NOW, "app")),
        (b'{"expireAt": 1760000000, "somethingNew": {}}', TokenRequest(NOW)),
        (b'{"expireAt": -1}', TokenRequest(-1)),
    ],
)
def test_a_request_is_read(body: bytes, asked: TokenRequest) -> None:
    assert read_token_request(body) == asked


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is not JSON"),
        (b"expireAt=1760000000", "the body is not JSON"),
        (b'{"expireAt": 1760000000', "the body is not JSON"),
        (b"\xff\xfe\xfd", "the body is not JSON"),
        (b'{"expireAt": ' + b"1" * 5000 + b"}", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[1760000000]", "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
        (b"1760000000", "the body is not a JSON object"),
        (b"{}", NOT_WHOLE_SECONDS),
        (b'{"expireAt": null}', NOT_WHOLE_SECONDS),
        (b'{"expireAt": "1760000000"}', NOT_WHOLE_SECONDS),
        (b'{"expireAt": 1760000000.5}', NOT_WHOLE_SECONDS),
        (b'{"expireAt": true}', NOT_WHOLE_SECONDS),
        (b'{"expireAt": 18446744073709551616}', NOT_WHOLE_SECONDS),
        (b'{"expireAt": 1760000000, "appId": 7}', "appId must be a string"),
        (b'{"expireAt": 1760000000, "appId": null}', "appId must be a string"),
    ],
)
def test_a_malformed_request_is_refused(body: bytes, detail: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read_token_request(body)
    assert detail_of(refused.value) == detail


@settings(deadline=None)
@given(st.binary() | almost_requests.map(lambda asked: json.dumps(asked).encode()))
def test_any_body_is_read_or_refused_and_nothing_else(body: bytes) -> None:
    assert isinstance(outcome(body), TokenRequest | str)


@pytest.mark.parametrize("expire_at", [NOW + 1, NOW + 60, NOW + DAY - 1])
def test_an_expiry_within_a_day_is_allowed(expire_at: int) -> None:
    check_expiry(TokenRequest(expire_at), NOW)


@pytest.mark.parametrize(
    ("expire_at", "now", "detail"),
    [
        (NOW, NOW, "expire_at must be in the future"),
        (NOW - 1, NOW, "expire_at must be in the future"),
        (NOW, NOW + 0.5, "expire_at must be in the future"),
        (0, NOW, "expire_at must be in the future"),
        (NOW + DAY, NOW, "expire_at must be within 24 hours"),
        (NOW + DAY, NOW - 0.5, "expire_at must be within 24 hours"),
        pytest.param(10**400, NOW, "expire_at must be within 24 hours", id="beyond every float"),
    ],
)
def test_another_expiry_is_refused(expire_at: int, now: float, detail: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        check_expiry(TokenRequest(expire_at), now)
    assert detail_of(refused.value) == detail


def test_a_token_lives_for_less_than_a_day() -> None:
    assert MAX_TOKEN_LIFE_SECONDS == DAY


def test_a_console_refusal_carries_what_it_is_told() -> None:
    answer = console_refusal(401, "INVALID_API_KEY", "no such key").answer
    assert answer.status == 401
    assert json.loads(answer.body) == {
        "errors": [
            {
                "id": "INVALID_API_KEY",
                "status": 401,
                "code": "INVALID_API_KEY",
                "title": "Invalid api key",
                "detail": "no such key",
            }
        ]
    }


def test_an_upgrade_refusal_is_a_message_and_a_newline() -> None:
    answer = upgrade_refusal(404, "Avatar not found: a").answer
    assert answer.status == 404
    assert answer.body == '{"message":"Avatar not found: a"}\n'


def test_a_refusal_can_be_shown_on_one_line() -> None:
    assert str(RequestRefusedError(HttpAnswer(402, "no credits\n"))) == "HTTP 402: no credits"


@pytest.mark.parametrize(
    ("asked", "current"),
    [({}, "us-west"), ({"region": "auto"}, "us-west"), ({"region": ""}, "us-west"), ({"region": "eu"}, "eu")],
)
def test_bootstrap_names_a_region_and_the_time(asked: dict[str, str], current: str) -> None:
    answer = answer_bootstrap(json.dumps(asked).encode(), 12.5)
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told == {"region": {"current": current}, "time_sync": {"server_time_ms": 12_500}}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"region":7}', b"[" * 100_000])
def test_a_malformed_bootstrap_request_is_refused(body: bytes) -> None:
    assert answer_bootstrap(body, 0).status == 400


@pytest.mark.parametrize(
    ("body", "token"),
    [
        ('{"sessionToken": "t"}', "t"),
        ("{}", ""),
        ("[]", ""),
        ("no JSON", ""),
        ("[" * 100_000, ""),
    ],
)
def test_a_token_is_read_from_the_answer_of_the_console(body: str, token: str) -> None:
    assert session_token_in(HttpAnswer(200, body)) == token


def test_a_refused_upgrade_says_how_it_was_refused() -> None:
    refused = UpgradeRefusedError(HttpAnswer(402, "no credits\n"))
    assert str(refused) == "the upgrade was refused: HTTP 402 no credits"
    assert refused.answer.status == 402


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        ("application/json", ("{}", "application/json")),
        ("application/x-protobuf", ("", "application/x-protobuf")),
        ("application/octet-stream", ("", "application/x-protobuf")),
    ],
)
def test_telemetry_is_answered_in_its_own_form(content_type: str, answer: tuple[str, str]) -> None:
    assert answer_telemetry(content_type) == answer
