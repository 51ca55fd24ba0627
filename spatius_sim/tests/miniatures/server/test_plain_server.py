"""The small honest Motion Server, and how each wrong one departs from it, in its own way and in no other."""

import json
from itertools import count

import numpy as np
import pytest

from spatius_sim.miniatures.server.plain_server import PlainServer, PlainSession, TakesOneAtATime
from spatius_sim.miniatures.server.wrong_servers import (
    SERVER_MINIATURES,
    AnswersTheFirstRequest,
    LeavesRefusedOpen,
    RepeatsItsSecondSegment,
    StandsStillLater,
)
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.console_api import HttpAnswer
from spatius_sim.protocol.keyframes import JAW_POSE
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    Message,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.trace.events import Undecodable

KEY, NOW, DAY = "key", 1_760_000_000.0, 24 * 3600
PCM = bytes(range(256)) * 5 * 160
"""160 keyframes at 16 kHz: segments of 50, 100 and 10."""


def server(kind: type[PlainServer] = PlainServer) -> PlainServer:
    numbers = count(1)
    return kind(KEY, lambda: f"id-{next(numbers)}")


def ask(one: PlainServer, life: int = 60, key: str = KEY) -> tuple[int, str]:
    answer = one.ask_token(key, json.dumps({"expireAt": int(NOW) + life}).encode(), NOW)
    return answer.status, json.loads(answer.body).get("sessionToken", "")


def enter(one: PlainServer, avatar: str = "avatar", now: float = NOW) -> HttpAnswer | PlainSession:
    _, token = ask(one)
    return one.knock(token, avatar, now)


def session(one: PlainServer) -> PlainSession:
    opened = enter(one)
    assert isinstance(opened, PlainSession)
    return opened


def say(one: PlainServer, to: PlainSession, value: Message | Undecodable) -> list[Message]:
    return [decode(raw) for raw in one.receive(to, value)]


def motion(one: PlainServer, configured: ConfigureSession | None = None) -> list[MotionResponse]:
    to = session(one)
    say(one, to, configured or ConfigureSession(16000))
    said = [*say(one, to, AudioInput("req", PCM)), *say(one, to, AudioInput("req", end=True))]
    return [message for message in said if isinstance(message, MotionResponse)]


def test_an_honest_server() -> None:
    one = server()
    assert ask(one)[0] == 200
    assert ask(one, -1)[0] == ask(one, DAY + 1)[0] == 400
    assert ask(one, key="another") == (401, "")
    assert one.knock("invented", "avatar", NOW) == HttpAnswer(400, '{"message":"Invalid session token"}\n')
    late, missing = enter(one, now=NOW + 61), enter(one, "missing-avatar")
    assert isinstance(late, HttpAnswer) and late.status == 401
    assert isinstance(missing, HttpAnswer) and missing.status == 404
    assert one.closes_at(session(one)) is None
    responses = motion(one)
    assert [len(response.keyframes) for response in responses] == [50, 100, 10]
    assert [response.end for response in responses] == [False, False, True]
    assert motion(one, ConfigureSession(16000, egress_type=EgressType.AGORA)) == []


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (Undecodable("text"), "failed to unmarshal initial message: text"),
        (AudioInput("req"), "expected ClientConfigureSession message"),
        (ConfigureSession(11025), "unsupported sample rate: 11025"),
    ],
)
def test_an_honest_server_refuses_a_handshake(first: Message | Undecodable, text: str) -> None:
    one = server()
    assert say(one, session(one), first) == [ServerError(message=text)]


def interrupt(one: PlainServer) -> list[Message]:
    to = session(one)
    say(one, to, ConfigureSession(16000))
    say(one, to, AudioInput("old", PCM[:640]))
    assert say(one, to, Interrupt("old")) == []
    assert say(one, to, AudioInput("old", PCM)) == []
    assert say(one, to, ConfirmSession("nonsense")) == []
    return say(one, to, AudioInput("new", PCM[:640], end=True))


def wrong(rule_id: str, number: int = 0) -> PlainServer:
    return server(SERVER_MINIATURES[rule_id][number])


def test_every_s_rule_has_a_wrong_server() -> None:
    assert set(SERVER_MINIATURES) == {rule.id for rule in rules_for("server")}


def test_wrong_at_the_console() -> None:
    assert ask(wrong("S-TOKEN-WINDOW"), -1)[0] == ask(wrong("S-TOKEN-WINDOW"), DAY + 1)[0] == 200
    assert ask(wrong("S-TOKEN-KEY"), key="another")[0] == 200


def test_wrong_at_the_upgrade() -> None:
    missing = enter(wrong("S-UPGRADE-REFUSED"), "missing-avatar")
    assert isinstance(missing, HttpAnswer) and missing.status == 403
    assert isinstance(enter(wrong("S-TOKEN-EXPIRY"), now=NOW + 61), PlainSession)
    closes = wrong("S-TOKEN-EXPIRY", 1)
    assert closes.closes_at(session(closes)) == NOW + 60


def test_wrong_at_the_handshake() -> None:
    one = wrong("S-CONFIRM")
    assert say(one, session(one), ConfigureSession(16000)) == [ConfirmSession("")]
    one = wrong("S-HANDSHAKE-REFUSED")
    assert say(one, session(one), AudioInput("req")) == [ServerError(code=3, message="no")]


@pytest.mark.parametrize("rule_id", ["S-MOTION-IDS", "S-MOTION-END", "S-MOTION-COUNT", "S-MOTION-SHAPE"])
def test_wrong_in_motion(rule_id: str) -> None:
    honest, told = motion(server()), motion(wrong(rule_id))
    assert {response.req_id for response in told} == {"req-x" if rule_id == "S-MOTION-IDS" else "req"}
    assert [r.end for r in told] == [False, False, rule_id != "S-MOTION-END"]
    assert [len(r.keyframes) for r in told] == [50, 100, 9 if rule_id == "S-MOTION-COUNT" else 10]
    jaws = [bool(np.isinf(r.keyframes[0, JAW_POSE]).all()) for r in told]
    assert jaws == [rule_id == "S-MOTION-SHAPE"] * 3
    for one, other in zip(told, honest, strict=True):
        assert np.array_equal(one.keyframes[1:9], other.keyframes[1:9])


def test_wrong_in_segments() -> None:
    [whole] = motion(wrong("S-MOTION-SEGMENTS"))
    assert whole.end
    assert np.array_equal(whole.keyframes, np.concatenate([r.keyframes for r in motion(server())]))


def test_wrong_beside_an_egress() -> None:
    configured = ConfigureSession(16000, egress_type=EgressType.AGORA)
    assert len(motion(wrong("S-EGRESS-SILENT"), configured)) == 3


def test_wrong_after_an_interrupt() -> None:
    [honest] = interrupt(server())
    [late, answer] = interrupt(wrong("S-INTERRUPT"))
    assert isinstance(late, MotionResponse) and isinstance(answer, MotionResponse)
    assert late.req_id == "old"
    assert isinstance(honest, MotionResponse) and honest.req_id == answer.req_id == "new"


@pytest.mark.parametrize("kind", [PlainServer, LeavesRefusedOpen])
def test_who_refuses_a_handshake_hangs_up(kind: type[PlainServer]) -> None:
    one = server(kind)
    to = session(one)
    assert not one.hangs_up(to)
    say(one, to, AudioInput("req"))
    assert one.hangs_up(to) is (kind is PlainServer)


def answers(kind: type[PlainServer], *requests: str) -> list[MotionResponse]:
    """The motion of whole requests on one session."""
    one = server(kind)
    to = session(one)
    say(one, to, ConfigureSession(16000))
    said = [message for req_id in requests for message in say(one, to, AudioInput(req_id, 4 * PCM, end=True))]
    return [message for message in said if isinstance(message, MotionResponse)]


def test_wrong_ids_of_later_requests() -> None:
    told = answers(AnswersTheFirstRequest, "one", "two")
    assert {response.req_id for response in told} == {"one"}
    assert sum(response.end for response in told) == 2


def test_a_face_that_stands_still_from_the_third_request_on() -> None:
    told = answers(StandsStillLater, "one", "two", "three")
    still = [bool((r.keyframes == r.keyframes[0]).all()) for r in told]
    assert still == [r.req_id == "three" for r in told]


def test_a_segment_that_comes_again() -> None:
    _, second, third, *_ = answers(RepeatsItsSecondSegment, "one")
    assert np.array_equal(second.keyframes, third.keyframes)
    _, second, third, *_ = answers(PlainServer, "one")
    assert not np.array_equal(second.keyframes, third.keyframes)


def test_one_that_takes_one_request_at_a_time() -> None:
    one = server(TakesOneAtATime)
    to = session(one)
    say(one, to, ConfigureSession(16000))
    say(one, to, AudioInput("old", PCM[:640]))
    say(one, to, AudioInput("new", PCM[:640]))
    [older] = say(one, to, AudioInput("old", PCM[:640], end=True))
    assert isinstance(older, MotionResponse) and older.req_id == "new" and len(older.keyframes) == 1
