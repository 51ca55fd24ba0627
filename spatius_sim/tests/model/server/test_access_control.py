"""The brain of Motion Server: the access control, the handshake, and what a session answers."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import Moment, Refuse
from spatius_sim.model.server.access_control import AccessControl, make_refusal
from spatius_sim.model.server.commands import Close, Send, ServerCommand
from spatius_sim.model.server.motion_answers import RecordedAnswer, RequestMotion, SynthesizedAnswer
from spatius_sim.model.server.session import ServerSession
from spatius_sim.model.server.session_tokens import SessionToken, issue_token, read_token
from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.console_api import HttpAnswer, RequestRefusedError
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    Message,
    MotionResponse,
    ServerError,
    UnknownMessage,
)
from spatius_sim.protocol.session_states import SessionState
from spatius_sim.trace.events import Undecodable
from spatius_sim.trace.read_frames import read_upstream

NOW = 1_760_000_000.0
HOUR, DAY = 3600, 24 * 3600
RATE = 16000
KEYFRAME = 1280
"""Bytes of audio to a keyframe."""


# The access: tokens.


def issue(access: AccessControl, body: object, api_key: str = "key") -> str:
    return access.issue_session_token(api_key, json.dumps(body).encode(), NOW, "nonce")


def refusal_of_token(access: AccessControl, body: bytes, api_key: str = "key") -> tuple[int, str]:
    """The status and the detail of a refused token request."""
    with pytest.raises(RequestRefusedError) as refused:
        access.issue_session_token(api_key, body, NOW, "nonce")
    (error,) = json.loads(refused.value.answer.body)["errors"]
    assert error["status"] == refused.value.answer.status
    return refused.value.answer.status, error["detail"]


@pytest.mark.parametrize("life", [1, HOUR, DAY - 1])
def test_a_token_is_issued_for_an_expiry_in_the_window(life: int) -> None:
    token = issue(AccessControl(), {"expireAt": int(NOW) + life, "appId": "app"})
    assert read_token(token) == SessionToken(int(NOW) + life, "app")


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_a_token_lives_as_long_as_was_asked_by_a_clock_that_differs(ahead: int) -> None:
    body = json.dumps({"expireAt": int(NOW) + 60}).encode()
    token = AccessControl().issue_session_token("key", body, NOW, "nonce", ahead)
    AccessControl().check_upgrade("app", token, "ava", NOW - ahead + 59)
    with pytest.raises(RequestRefusedError):
        AccessControl().check_upgrade("app", token, "ava", NOW - ahead + 60)


def test_the_app_id_may_be_omitted() -> None:
    assert read_token(issue(AccessControl(), {"expireAt": int(NOW) + HOUR})) == SessionToken(
        int(NOW) + HOUR, ""
    )


@pytest.mark.parametrize(
    ("life", "detail"),
    [
        (-HOUR, "expire_at must be in the future"),
        (0, "expire_at must be in the future"),
        (DAY, "expire_at must be within 24 hours"),
        (2 * DAY, "expire_at must be within 24 hours"),
    ],
)
def test_an_expiry_outside_the_window_is_refused(life: int, detail: str) -> None:
    body = json.dumps({"expireAt": int(NOW) + life}).encode()
    assert refusal_of_token(AccessControl(), body) == (400, detail)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"expireAt": "soon"}', b'{"expireAt": true}'])
def test_a_malformed_token_request_is_refused(body: bytes) -> None:
    assert refusal_of_token(AccessControl(), body)[0] == 400


@pytest.mark.parametrize(
    ("known", "api_key"), [((), ""), (("key",), ""), (("key",), "other")], ids=["none", "missing", "wrong"]
)
def test_a_bad_key_is_refused_before_the_body_is_read(known: tuple[str, ...], api_key: str) -> None:
    access = AccessControl(api_keys=frozenset(known))
    assert refusal_of_token(access, b"junk", api_key) == (401, "the API key is missing or unknown")


def test_a_known_key_is_let_in() -> None:
    assert issue(AccessControl(api_keys=frozenset({"key"})), {"expireAt": int(NOW) + HOUR})


# The access: upgrades.

BAD_TOKEN = "invented"
EXPIRED = issue_token(SessionToken(int(NOW), "app"), "expired")
VALID = issue_token(SessionToken(int(NOW) + 1, "app"), "valid")
UNBOUND = issue_token(SessionToken(int(NOW) + 1, ""), "unbound")
ACCESS = AccessControl(app_ids=frozenset({"app", "other"}))


def refused_entry(app_id: str, token: str, avatar_id: str, access: AccessControl = ACCESS) -> HttpAnswer:
    with pytest.raises(RequestRefusedError) as refused:
        access.check_upgrade(app_id, token, avatar_id, NOW)
    return refused.value.answer


@pytest.mark.parametrize(
    ("app_id", "token", "avatar_id", "status", "message"),
    [
        ("app", BAD_TOKEN, "ava", 400, "Invalid session token"),
        ("app", "", "ava", 400, "Invalid session token"),
        ("app", EXPIRED, "ava", 401, "session token expired"),
        ("unknown", VALID, "ava", 404, "app id unrecognized"),
        ("", UNBOUND, "ava", 404, "app id unrecognized"),
        ("other", VALID, "ava", 400, "app id mismatch"),
        ("app", VALID, "missing-1", 404, "Avatar not found: missing-1"),
        ("app", VALID, "", 404, "Avatar not found: "),
    ],
)
def test_each_refusal_has_its_status_and_body(
    app_id: str, token: str, avatar_id: str, status: int, message: str
) -> None:
    assert refused_entry(app_id, token, avatar_id) == HttpAnswer(status, f'{{"message":"{message}"}}\n')


@pytest.mark.parametrize(
    ("app_id", "token", "message"),
    [
        ("unknown", BAD_TOKEN, "Invalid session token"),
        ("unknown", EXPIRED, "session token expired"),
        ("unknown", VALID, "app id unrecognized"),
        ("other", VALID, "app id mismatch"),
    ],
)
def test_the_first_fault_decides(app_id: str, token: str, message: str) -> None:
    assert message in refused_entry(app_id, token, "missing").body


def test_no_refusal_of_an_expired_token_says_unauthorized() -> None:
    assert "unauthorized" not in refused_entry("app", EXPIRED, "ava").body


@pytest.mark.parametrize("token", [VALID, UNBOUND])
@pytest.mark.parametrize("access", [ACCESS, AccessControl()], ids=["known apps", "any app"])
def test_a_valid_upgrade_passes(access: AccessControl, token: str) -> None:
    access.check_upgrade("app", token, "ava", NOW)


# The handshake.


def synthesize(connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
    return SynthesizedAnswer(connection_id, req_id, sample_rate, 1)


def new_session() -> ServerSession:
    return ServerSession("connection-1", synthesize)


def open_session() -> ServerSession:
    session = new_session()
    session.receive(ConfigureSession(RATE))
    return session


def said(command: ServerCommand) -> Message:
    assert isinstance(command, Send)
    return decode(command.raw)


@pytest.mark.parametrize("rate", PCM_SAMPLE_RATES)
def test_a_valid_configuration_is_confirmed(rate: int) -> None:
    session = new_session()
    (answer,) = session.receive(ConfigureSession(rate))
    assert said(answer) == ConfirmSession("connection-1")
    assert session.state is SessionState.OPEN


HANDSHAKE_ERRORS: dict[str, tuple[Message | Undecodable, int, str]] = {
    "text": (read_upstream("hello"), 0, "failed to unmarshal initial message: a text frame"),
    "undecodable": (read_upstream(b"\xff\xff"), 0, "failed to unmarshal initial message: "),
    "audio first": (AudioInput("req", b"12"), 0, "expected ClientConfigureSession message"),
    "interrupt first": (Interrupt("req"), 0, "expected ClientConfigureSession message"),
    "unknown type": (UnknownMessage(6), 0, "expected ClientConfigureSession message"),
    "server's own": (ConfirmSession("id"), 0, "expected ClientConfigureSession message"),
    "unsupported rate": (ConfigureSession(11025), 0, "unsupported sample rate: 11025"),
    "no rate": (ConfigureSession(0), 0, "unsupported sample rate: 0"),
    "unknown format": (ConfigureSession(RATE, audio_format=9), 3, "unsupported audio format"),
    "livekit": (ConfigureSession(RATE, egress_type=EgressType.LIVEKIT), 3, "livekit_egress"),
    "agora": (ConfigureSession(RATE, egress_type=EgressType.AGORA), 3, "agora_egress"),
} | {
    f"opus at {rate}": (ConfigureSession(rate, audio_format=AudioFormat.OGG_OPUS), 3, "audio format")
    for rate in OPUS_SAMPLE_RATES
}


@pytest.mark.parametrize("case", HANDSHAKE_ERRORS)
def test_a_bad_first_message_is_refused_with_its_text_and_a_close(case: str) -> None:
    first, code, text = HANDSHAKE_ERRORS[case]
    session = new_session()
    answer, close = session.receive(first)
    error = said(answer)
    assert isinstance(error, ServerError)
    assert (error.connection_id, error.code) == ("connection-1", code)
    assert text in error.message
    assert close == Close(1008, error.message[:100])
    assert session.state is SessionState.REFUSED


def test_the_reason_of_a_close_fits_into_a_closing_frame() -> None:
    _, close = new_session().receive(Undecodable("x" * 500))
    assert isinstance(close, Close)
    assert len(close.reason.encode()) <= 123


def test_a_refused_session_answers_nothing_more() -> None:
    session = new_session()
    session.receive(UnknownMessage(6))
    assert session.receive(ConfigureSession(RATE)) == []


def test_a_closed_session_answers_nothing_more() -> None:
    session = open_session()
    session.handle_close()
    assert session.receive(AudioInput("req", b"12", end=True)) == []
    assert session.state is SessionState.CLOSED


# Requests.


def motion_of(commands: list[ServerCommand]) -> list[MotionResponse]:
    return [message for message in map(said, commands) if isinstance(message, MotionResponse)]


def errors_of(commands: list[ServerCommand]) -> list[ServerError]:
    return [message for message in map(said, commands) if isinstance(message, ServerError)]


def ask(session: ServerSession, req_id: str, *chunks: bytes) -> list[ServerCommand]:
    """All answers to a request of these chunks."""
    answers = [command for chunk in chunks for command in session.receive(AudioInput(req_id, chunk))]
    return answers + session.receive(AudioInput(req_id, end=True))


def test_a_request_is_answered_with_motion_under_its_ids() -> None:
    (response,) = motion_of(ask(open_session(), "req-1", bytes(5 * KEYFRAME)))
    assert (response.connection_id, response.req_id, response.end) == ("connection-1", "req-1", True)
    assert len(response.keyframes) == 5


def test_every_payload_says_what_it_answers() -> None:
    answers = ask(open_session(), "req-1", bytes(60 * KEYFRAME))
    assert [command.answers for command in answers if isinstance(command, Send)] == ["req-1", "req-1"]


def test_motion_comes_while_audio_is_still_going_up() -> None:
    session = open_session()
    assert session.receive(AudioInput("req", bytes(50 * KEYFRAME))) == []
    (early,) = motion_of(session.receive(AudioInput("req", bytes(2))))
    assert (len(early.keyframes), early.end) == (50, False)


def test_the_end_may_carry_audio() -> None:
    session = open_session()
    (response,) = motion_of(session.receive(AudioInput("req", bytes(KEYFRAME), end=True)))
    assert (len(response.keyframes), response.end) == (1, True)


VOICE = bytes(range(256)) * (155 * KEYFRAME // 256)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, len(VOICE)), max_size=6))
def test_audio_chunked_any_way_is_answered_alike_with_one_end(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(VOICE)]
    answers = ask(open_session(), "req", *(VOICE[a:b] for a, b in pairwise(borders)))
    assert answers == ask(open_session(), "req", VOICE)
    assert [response.end for response in motion_of(answers)] == [False, False, True]


def test_requests_may_mingle() -> None:
    session = open_session()
    session.receive(AudioInput("a", bytes(KEYFRAME)))
    session.receive(AudioInput("b", bytes(2 * KEYFRAME)))
    ended = session.receive(AudioInput("b", end=True)) + session.receive(AudioInput("a", end=True))
    assert [(r.req_id, len(r.keyframes)) for r in motion_of(ended)] == [("b", 2), ("a", 1)]


@pytest.mark.parametrize("end", [True, False])
def test_audio_after_the_end_is_an_error_that_harms_nothing(end: bool) -> None:
    session = open_session()
    ask(session, "req-1", bytes(KEYFRAME))
    session.receive(AudioInput("req-2", bytes(KEYFRAME)))
    late = session.receive(AudioInput("req-1", bytes(KEYFRAME), end))
    assert motion_of(late) == []
    assert [(error.req_id, error.code) for error in errors_of(late)] == [("req-1", 3)]
    (response,) = motion_of(session.receive(AudioInput("req-2", end=True)))
    assert (response.req_id, len(response.keyframes)) == ("req-2", 1)


@pytest.mark.parametrize("end", [True, False])
def test_after_an_interrupt_no_motion_comes_for_that_req_id(end: bool) -> None:
    session = open_session()
    session.receive(AudioInput("req-1", bytes(40 * KEYFRAME)))
    assert session.receive(Interrupt("req-1")) == []
    assert motion_of(session.receive(AudioInput("req-1", bytes(40 * KEYFRAME), end))) == []
    assert len(motion_of(ask(session, "req-2", bytes(KEYFRAME)))) == 1


@pytest.mark.parametrize("req_id", ["done", "never heard of"])
def test_an_interrupt_of_nothing_harms_nothing(req_id: str) -> None:
    session = open_session()
    ask(session, "done", bytes(KEYFRAME))
    assert session.receive(Interrupt(req_id)) == []
    assert len(motion_of(ask(session, "next", bytes(KEYFRAME)))) == 1


@pytest.mark.parametrize(
    "odd",
    [UnknownMessage(11), ConfigureSession(RATE), ConfirmSession("id"), ServerError(), read_upstream(b"\xff")],
    ids=["unknown", "configure", "confirm", "error", "undecodable"],
)
def test_an_odd_message_at_run_time_leaves_the_session_usable(odd: Message | Undecodable) -> None:
    session = open_session()
    session.receive(AudioInput("req", bytes(KEYFRAME)))
    (error,) = errors_of(session.receive(odd))
    assert (error.connection_id, error.req_id, error.code) == ("connection-1", "", 3)
    assert session.state is SessionState.OPEN
    (response,) = motion_of(session.receive(AudioInput("req", end=True)))
    assert len(response.keyframes) == 1


def test_a_recording_is_answered_byte_for_byte() -> None:
    recording = [b"any", b"bytes"]
    session = ServerSession("connection-1", lambda *_: RecordedAnswer(recording, RATE))
    session.receive(ConfigureSession(RATE))
    answers = ask(session, "req-1", bytes(KEYFRAME))
    assert answers == [Send(b"any", "req-1"), Send(b"bytes", "req-1")]


def test_an_answer_is_made_for_the_rate_that_was_configured() -> None:
    made: list[tuple[str, str, int]] = []

    def watched(connection_id: str, req_id: str, sample_rate: int) -> RequestMotion:
        made.append((connection_id, req_id, sample_rate))
        return synthesize(connection_id, req_id, sample_rate)

    session = ServerSession("connection-1", watched)
    session.receive(ConfigureSession(48000))
    ask(session, "req-1", bytes(KEYFRAME), bytes(KEYFRAME))
    assert made == [("connection-1", "req-1", 48000)]


def test_keys_and_tokens_may_mean_something() -> None:
    assert refusal_of_token(AccessControl(), b'{"expireAt": 1}', "revoked-key")[0] == 401
    with pytest.raises(RequestRefusedError) as refused:
        AccessControl().check_upgrade("app", "expired-1", "avatar", NOW)
    assert refused.value.answer.status == 401


@pytest.mark.parametrize(
    ("refuse", "moment", "body"),
    [
        (Refuse(401), Moment.UPGRADE, ""),
        (Refuse(200, body="{}"), Moment.TOKEN, "{}"),
        (Refuse(403, "no"), Moment.UPGRADE, '{"message":"no"}\n'),
    ],
)
def test_a_scenario_refuses_in_the_shape_of_the_place(refuse: Refuse, moment: Moment, body: str) -> None:
    assert make_refusal(refuse, moment).answer == HttpAnswer(refuse.status, body)


def test_a_scenario_refuses_an_avatar_by_its_id() -> None:
    answer = make_refusal(Refuse(404, "Avatar not found: {avatar}"), Moment.UPGRADE, "mine").answer
    assert answer.body == '{"message":"Avatar not found: mine"}\n'


def test_a_scenario_refuses_a_token_as_the_console_does() -> None:
    (error,) = json.loads(make_refusal(Refuse(503, "later"), Moment.TOKEN).answer.body)["errors"]
    assert (error["status"], error["detail"]) == (503, "later")
