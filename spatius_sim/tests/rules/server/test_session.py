"""S rules: the handshake of a session, its egress, its interrupts."""

from dataclasses import replace

import numpy as np
import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
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
)
from spatius_sim.protocol.ogg import write_ogg_opus
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.rules.traces import RATE, Dialogue, voice
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Lane,
    Provocation,
    Provoked,
    WaitEnded,
)
from spatius_sim.wires.optional_features import EGRESS

SESSION, REQ = "session-1", "req-1"
MOTION = MotionResponse(f"id of {SESSION}", REQ, True, np.zeros((1, WIDTH), np.float32))
VALID = ConfigureSession(RATE)
ROOM = ConfigureSession(RATE, egress_type=EgressType.LIVEKIT)


def greeted(
    asked: Message | str, answer: Message | str | None, intent: Provocation | None = None
) -> Dialogue:
    said = Dialogue("server")
    if intent is not None:
        said.happens(Lane.KIT, SESSION, Provoked(intent))
    said.opened(SESSION)
    said.client_says_raw(SESSION, asked if isinstance(asked, str) else encode(asked))
    if answer is not None:
        raw = answer.encode() if isinstance(answer, str) else encode(answer)
        said.server_says_raw(SESSION, raw)
    return said


def test_a_valid_configuration_is_confirmed() -> None:
    assert greeted(VALID, ConfirmSession("id")).verdict("S-CONFIRM") is Verdict.PASSED


@pytest.mark.parametrize("answer", [ConfirmSession(""), ServerError(code=3), MOTION, "junk"])
def test_a_valid_configuration_is_answered_otherwise(answer: Message | str) -> None:
    assert greeted(VALID, answer).verdict("S-CONFIRM") is Verdict.FAILED


@pytest.mark.parametrize("rule_id", ["S-CONFIRM", "S-HANDSHAKE-REFUSED"])
def test_silence_is_judged_where_a_wait_for_it_ended(rule_id: str) -> None:
    intent = None if rule_id == "S-CONFIRM" else Provocation.TEXT
    said = greeted(VALID, None, intent)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.HANDSHAKE, False))
    assert said.failed == [rule_id]


def judge_confirmation(said: Dialogue, plan_token: str = "a plan") -> Judgement:
    """What S-CONFIRM says of a trace that the kit recorded itself, or a proxy if there is no plan."""
    trace = said.trace
    return judge(replace(trace, header=replace(trace.header, plan_token=plan_token)))["S-CONFIRM"]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("intent", [None, Provocation.TOKEN_IN_QUERY])
def test_an_upgrade_in_which_nothing_is_wrong_is_refused(status: int, intent: Provocation | None) -> None:
    said = Dialogue("server")
    if intent is not None:
        said.happens(Lane.KIT, SESSION, Provoked(intent))
    said.refused(SESSION, status, "Invalid session token")
    [broken] = judge_confirmation(said).broken
    assert ("query" in broken.expected) == (intent is not None)
    assert broken.actual == f"HTTP {status} Invalid session token"
    assert judge_confirmation(said, plan_token="").verdict is Verdict.UNEXERCISED


def test_a_refused_upgrade_is_no_breach_if_it_was_wrong_or_one_too_many() -> None:
    said = Dialogue("server")
    said.refused(SESSION, 429, "too many requests")
    said.happens(Lane.KIT, "session-2", Provoked(Provocation.INVENTED_TOKEN))
    said.refused("session-2", 400, "Invalid session token")
    assert judge_confirmation(said).verdict is Verdict.UNEXERCISED


def refused_after(seconds: float, *, closed: bool = True) -> Dialogue:
    """A session is refused so many seconds after another one was closed, or while that is open."""
    said = Dialogue("server")
    said.connects("session-0")
    if closed:
        said.closed("session-0", by_kit=True)
    said.passes(seconds)
    said.opened(SESSION)
    said.client_says(SESSION, VALID)
    said.server_says(SESSION, ServerError(code=4003))
    said.closed(SESSION, by_kit=False)
    said.opened("session-2")
    return said


def test_too_many_sessions_though_the_kit_has_had_none_for_a_while() -> None:
    [broken] = judge_confirmation(refused_after(5.1)).broken
    assert broken.expected == "a session, because the kit has had none for 5 s"
    assert judge_confirmation(refused_after(5.1), plan_token="").verdict is Verdict.PASSED


@pytest.mark.parametrize(("seconds", "closed"), [(4.0, True), (5.1, False)])
def test_too_many_sessions_if_the_kit_has_one_or_had_one_just_now(seconds: float, closed: bool) -> None:
    assert judge_confirmation(refused_after(seconds, closed=closed)).verdict is Verdict.PASSED


def test_too_many_sessions_at_the_first_one_may_be_those_of_an_earlier_run() -> None:
    assert judge_confirmation(greeted(VALID, ServerError(code=4003))).verdict is Verdict.UNEXERCISED


def test_another_error_is_a_breach_at_once() -> None:
    [broken] = judge_confirmation(greeted(VALID, ServerError(code=3, message="no"))).broken
    assert broken.expected == "first a ServerConfirmSession with a connection_id"


def test_a_wrong_first_message_may_be_one_session_too_many() -> None:
    said = greeted("hello", ServerError(code=4003), Provocation.TEXT)
    assert said.verdict("S-HANDSHAKE-REFUSED") is Verdict.UNEXERCISED


def test_a_close_is_no_answer() -> None:
    said = greeted(VALID, None)
    said.closed(SESSION, by_kit=False)
    assert said.failed == ["S-CONFIRM"]
    [broken] = said.judged("S-CONFIRM").broken
    assert broken.actual == "nothing, and the server closed the connection: 1000"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (ServerError(code=4001, message="Credits exhausted"), Verdict.UNEXERCISED),
        (None, Verdict.UNEXERCISED),
        (ConfirmSession("id"), Verdict.PASSED),
        (ConfirmSession(""), Verdict.FAILED),
    ],
    ids=["an error", "a close", "a confirmation", "a confirmation without an id"],
)
def test_a_service_may_refuse_the_relay_that_a_proxy_recorded_but_not_confirm_it_without_an_id(
    answer: Message | None, verdict: Verdict
) -> None:
    said = Dialogue("relay")
    said.configures(SESSION)
    if answer is not None:
        said.server_says(SESSION, answer)
    said.closed(SESSION, by_kit=True)
    header = replace(said.trace.header, subject="server", halves="upstream")
    assert judge(replace(said.trace, header=header))["S-CONFIRM"].verdict is verdict


@pytest.mark.parametrize(
    "asked",
    [
        ConfigureSession(11025),
        ConfigureSession(RATE, audio_format=AudioFormat.OGG_OPUS),
        ROOM,
        AudioInput(REQ),
    ],
)
def test_what_the_service_may_refuse_needs_no_confirmation(asked: Message) -> None:
    assert greeted(asked, ServerError(message="no")).verdict("S-CONFIRM") is Verdict.UNEXERCISED


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        (Provocation.WRONG_MESSAGE, "expected ClientConfigureSession message"),
        (Provocation.TEXT, "Failed to unmarshal initial message: text"),
        (Provocation.UNDECODABLE, "unexpected message type"),
        (Provocation.UNSUPPORTED_RATE, "unsupported sample rate: 11025"),
    ],
)
def test_a_bad_first_message_is_refused_in_known_words(intent: Provocation, text: str) -> None:
    said = greeted("hello", ServerError(message=text), intent)
    assert said.verdict("S-HANDSHAKE-REFUSED") is Verdict.PASSED
    assert greeted("hello", ServerError(message="no"), intent).failed == ["S-HANDSHAKE-REFUSED"]


@pytest.mark.parametrize("answer", [ConfirmSession("id"), "junk"])
def test_a_bad_first_message_is_taken(answer: Message | str) -> None:
    assert greeted("hello", answer, Provocation.TEXT).failed == ["S-HANDSHAKE-REFUSED"]


OPUS = ConfigureSession(RATE, audio_format=AudioFormat.OGG_OPUS)


def second_in_opus(rate: int, *, first_answer: int) -> Dialogue:
    """A session for Ogg Opus whose turn of six keyframes is answered by so many, and another session at this
    rate, which is refused."""
    said = greeted(OPUS, ConfirmSession(f"id of {SESSION}"))
    stream = write_ogg_opus([b"\x08packet"] * 13, 1)
    said.starts(SESSION, 0, stream, 0)
    said.audio_up(SESSION, REQ, stream, end=True)
    said.motion(SESSION, REQ, first_answer, end=True)
    said.ends(SESSION, 0)
    said.opened("second")
    said.configures("second", rate, AudioFormat.OGG_OPUS)
    said.server_says("second", ServerError(message="no"))
    return said


def test_a_server_that_takes_ogg_opus_takes_it_at_each_rate() -> None:
    assert second_in_opus(12_000, first_answer=6).failed == ["S-CONFIRM"]
    assert second_in_opus(22_050, first_answer=6).failed == []


def test_one_that_takes_ogg_opus_for_pcm_does_not_take_it() -> None:
    assert second_in_opus(12_000, first_answer=1).failed == ["S-MOTION-COUNT"]


@pytest.mark.parametrize("answer", [ConfirmSession(""), MOTION, None])
def test_ogg_opus_is_refused_in_words(answer: Message | None) -> None:
    said = greeted(OPUS, answer)
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.HANDSHAKE, answer is not None))
    assert said.verdict("S-CONFIRM") is Verdict.FAILED


def test_what_the_server_says_before_it_is_asked_is_no_answer() -> None:
    said = Dialogue("server")
    said.confirms(SESSION)
    assert said.verdict("S-CONFIRM") is Verdict.UNEXERCISED


def into_a_room(*, motion: bool, waited: bool) -> Dialogue:
    said = greeted(ROOM, ConfirmSession(f"id of {SESSION}"))
    pcm = voice("room")
    said.starts(SESSION, 0, pcm)
    said.audio_up(SESSION, REQ, pcm, end=True)
    if motion:
        said.server_says(SESSION, MOTION)
    if waited:
        said.ends(SESSION, 0)
    return said


def test_nothing_comes_back_beside_an_egress() -> None:
    assert into_a_room(motion=False, waited=True).verdict("S-EGRESS-SILENT") is Verdict.PASSED
    assert into_a_room(motion=True, waited=True).failed == ["S-EGRESS-SILENT"]
    assert into_a_room(motion=False, waited=False).verdict("S-EGRESS-SILENT") is Verdict.UNEXERCISED


def test_a_server_without_egress() -> None:
    assert Dialogue("server", (EGRESS,)).verdict("S-EGRESS-SILENT") is Verdict.NOT_APPLICABLE


def interrupted() -> Dialogue:
    said = greeted(VALID, ConfirmSession(f"id of {SESSION}"))
    said.audio_up(SESSION, REQ, voice("cut"))
    said.client_says(SESSION, Interrupt(REQ))
    return said


def test_motion_within_the_second() -> None:
    said = interrupted()
    said.server_says(SESSION, MOTION)
    assert said.verdict("S-INTERRUPT") is Verdict.UNEXERCISED
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.SILENCE, True))
    assert said.verdict("S-INTERRUPT") is Verdict.PASSED


def test_motion_later_than_that() -> None:
    said = interrupted()
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.SILENCE, True))
    said.server_says(SESSION, MOTION)
    assert said.failed == ["S-INTERRUPT"]


def test_motion_later_than_that_beside_an_egress_is_judged_in_the_room() -> None:
    said = greeted(ROOM, ConfirmSession(f"id of {SESSION}"))
    said.audio_up(SESSION, REQ, voice("cut"))
    said.client_says(SESSION, Interrupt(REQ))
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.SILENCE, True))
    assert said.verdict("S-INTERRUPT") is Verdict.UNEXERCISED


def test_a_kit_that_was_late_itself_judges_nothing() -> None:
    said = interrupted()
    said.lags(0.5)
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.SILENCE, True))
    assert said.verdict("S-INTERRUPT") is Verdict.PASSED
    said.server_says(SESSION, MOTION)
    assert said.verdict("S-INTERRUPT") is Verdict.INCONCLUSIVE


def refused(*, closes_after: float | None, watched: bool = True) -> Dialogue:
    """A handshake that was spoilt on purpose and refused; the server closes so many seconds later, or
    never."""
    said = greeted("hello", ServerError(message="expected ClientConfigureSession message"), Provocation.TEXT)
    said.passes(5.3 if closes_after is None else closes_after)
    if closes_after is not None:
        said.closed(SESSION, by_kit=False)
    if watched:
        said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.CLOSE, closes_after is not None))
    return said


def test_a_refused_connection_is_closed() -> None:
    assert refused(closes_after=0.1).verdict("S-HANDSHAKE-CLOSED") is Verdict.PASSED


def test_a_refused_connection_stays_open() -> None:
    said = refused(closes_after=None)
    assert said.failed == ["S-HANDSHAKE-CLOSED"]
    assert said.judged("S-HANDSHAKE-CLOSED").broken[0].actual == "it was still open"


def one_too_many(*, closed_with: int) -> Dialogue:
    """A session that is refused because the app has too many, and is closed with this code."""
    said = greeted(VALID, ServerError(code=4003, message="too many sessions"))
    said.happens(Lane.UPSTREAM, SESSION, Closed(by_kit=False, code=closed_with))
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.CLOSE, True))
    return said


def test_one_session_too_many_is_refused_and_closed_with_the_code_of_its_error() -> None:
    said = one_too_many(closed_with=4003)
    assert said.verdict("S-CONFIRM") is Verdict.UNEXERCISED
    assert said.verdict("S-HANDSHAKE-CLOSED") is Verdict.PASSED


def test_one_session_too_many_is_closed_with_another_code() -> None:
    said = one_too_many(closed_with=1008)
    assert said.failed == ["S-HANDSHAKE-CLOSED"]
    [broken] = said.judged("S-HANDSHAKE-CLOSED").broken
    assert broken.actual == "it was closed with 1008"


def test_a_valid_configuration_that_is_refused_is_closed_too() -> None:
    said = greeted(ROOM, ServerError(code=14, message="no such room"))
    said.passes(5.3)
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.CLOSE, False))
    assert said.failed == ["S-HANDSHAKE-CLOSED"]


def test_a_close_that_nobody_waited_for_is_not_judged() -> None:
    assert refused(closes_after=None, watched=False).verdict("S-HANDSHAKE-CLOSED") is Verdict.UNEXERCISED
    unanswered = greeted("hello", None, Provocation.TEXT)
    unanswered.happens(Lane.KIT, SESSION, WaitEnded(Awaited.CLOSE, False))
    assert unanswered.verdict("S-HANDSHAKE-CLOSED") is Verdict.UNEXERCISED


def test_a_wait_for_a_close_that_was_cut_short_shows_nothing() -> None:
    said = greeted("hello", ServerError(message="expected ClientConfigureSession message"), Provocation.TEXT)
    said.passes(1.0)
    said.happens(Lane.KIT, SESSION, WaitEnded(Awaited.CLOSE, False))
    assert said.verdict("S-HANDSHAKE-CLOSED") is Verdict.UNEXERCISED
