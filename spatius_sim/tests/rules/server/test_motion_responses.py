"""S rules: the motion that Motion Server returns."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES, encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import AudioFormat, AudioInput, MotionResponse, Pause, ServerError
from spatius_sim.protocol.ogg import write_ogg_opus
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.rules.traces import KEYFRAME, RATE, Dialogue, voice
from spatius_sim.trace.events import Closed, Lane, Provocation, Provoked

RULES = ("S-MOTION-END", "S-MOTION-COUNT", "S-MOTION-SHAPE")
SESSION, OTHER, REQ = "session-1", "session-2", "req-1"


def asked(samples: int = 5 * KEYFRAME, rate: int = RATE) -> Dialogue:
    """A session that has sent so much audio, marked at its end."""
    said = Dialogue("server")
    said.opened(SESSION)
    said.configures(SESSION, rate)
    said.confirms(SESSION)
    pcm = voice("asked", samples)
    said.starts(SESSION, 0, pcm, rate)
    said.audio_up(SESSION, REQ, pcm[:100])
    said.audio_up(SESSION, REQ, pcm[100:], end=True)
    return said


FIRST = 4
"""The number of the first audio event that `asked` writes."""


@pytest.mark.parametrize("rule_id", RULES)
def test_a_request_answered_in_full(rule_id: str) -> None:
    said = asked()
    said.motion(SESSION, REQ, 3)
    said.motion(SESSION, REQ, 2, end=True)
    said.ends(SESSION, 0)
    assert said.verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", RULES)
def test_a_closing_response_may_carry_no_keyframe(rule_id: str) -> None:
    said = asked()
    said.motion(SESSION, REQ, 5)
    said.motion(SESSION, REQ, 0, end=True)
    said.ends(SESSION, 0)
    assert said.verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", RULES)
def test_a_session_without_audio(rule_id: str) -> None:
    said = Dialogue("server")
    said.opened(SESSION)
    said.configures(SESSION)
    said.confirms(SESSION)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED


def interrupted(said: Dialogue) -> None:
    said.interrupt_up(SESSION, REQ)
    said.ends(SESSION, 0)


def failed(said: Dialogue) -> None:
    said.error(SESSION, REQ)
    said.ends(SESSION, 0)


def not_waited_for(said: Dialogue) -> None:
    said.motion(SESSION, REQ, 3)


@pytest.mark.parametrize("rule_id", ["S-MOTION-END", "S-MOTION-COUNT"])
@pytest.mark.parametrize("excuse", [interrupted, failed, not_waited_for])
def test_a_request_that_owes_no_full_answer(rule_id: str, excuse: Callable[[Dialogue], None]) -> None:
    said = asked()
    excuse(said)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED


REFUSED = ServerError("", REQ, 3, "one at a time")


def judged_as_the_kits(said: Dialogue) -> Judgement:
    """What S-MOTION-END says if the kit itself has asked, by a plan."""
    trace = said.trace
    return judge(replace(trace, header=replace(trace.header, plan_token="a plan")))["S-MOTION-END"]


def test_an_ordinary_request_of_the_kit_is_not_refused() -> None:
    said = asked()
    refused = said.server_says(SESSION, REFUSED)
    said.ends(SESSION, 0)
    judgement = judged_as_the_kits(said)
    assert judgement.verdict is Verdict.FAILED
    assert judgement.broken[0].actual == "ServerError 3 'one at a time'"
    assert refused in judgement.broken[0].events
    assert said.verdict("S-MOTION-END") is Verdict.UNEXERCISED  # On a proxy's tape nobody knows.


def test_a_paused_request_may_be_refused() -> None:
    said = asked()
    said.client_says(SESSION, Pause(REQ))
    said.server_says(SESSION, REFUSED)
    said.ends(SESSION, 0)
    assert judged_as_the_kits(said).verdict is not Verdict.FAILED


@pytest.mark.parametrize(("code", "verdict"), [(4001, Verdict.UNEXERCISED), (0, Verdict.FAILED)])
def test_after_a_limit_of_the_service_no_request_need_be_answered(code: int, verdict: Verdict) -> None:
    said = asked()
    said.server_says(SESSION, ServerError(SESSION, "", code, "the end"))
    said.ends(SESSION, 0)
    pcm = voice("after the end")
    said.starts(SESSION, 1, pcm)
    said.audio_up(SESSION, "req-2", pcm, end=True)
    said.ends(SESSION, 1, complete=False)
    assert said.verdict("S-MOTION-END") is verdict


def test_an_interrupted_request_that_got_no_motion_accuses_no_other_id() -> None:
    said = asked()
    said.motion(SESSION, REQ, 5, end=True)
    said.ends(SESSION, 0)
    said.audio_up(SESSION, "req-2", voice("interrupted"), end=True)
    said.interrupt_up(SESSION, "req-2")
    said.motion(SESSION, REQ, 1)
    assert said.verdict("S-MOTION-IDS") is Verdict.PASSED


@pytest.mark.parametrize(
    "error",
    [replace(REFUSED, code=14), replace(REFUSED, code=4003), replace(REFUSED, req_id="another")],
    ids=["unavailable", "a limit of the service", "another request"],
)
def test_a_service_has_its_limits(error: ServerError) -> None:
    said = asked()
    said.server_says(SESSION, error)
    said.ends(SESSION, 0)
    assert not any("ServerError" in broken.actual for broken in judged_as_the_kits(said).broken)


def test_an_interrupted_request_may_be_refused() -> None:
    said = asked()
    said.interrupt_up(SESSION, REQ)
    said.server_says(SESSION, REFUSED)
    said.ends(SESSION, 0)
    assert judged_as_the_kits(said).verdict is Verdict.UNEXERCISED


@pytest.mark.parametrize("rule_id", ["S-MOTION-END", "S-MOTION-COUNT"])
def test_a_request_without_an_end_owes_no_full_answer(rule_id: str) -> None:
    said = Dialogue("server")
    said.configures(SESSION)
    said.starts(SESSION, 0, voice("asked"))
    said.audio_up(SESSION, REQ, voice("asked"))
    said.motion(SESSION, REQ, 3)
    said.closed(SESSION, by_kit=True)
    said.ends(SESSION, 0, complete=False)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED


@pytest.mark.parametrize("rule_id", ["S-MOTION-END", "S-MOTION-COUNT", "S-MOTION-SEGMENTS"])
def test_a_request_whose_configuration_is_missing_or_names_no_rate_owes_no_full_answer(rule_id: str) -> None:
    for rate in (None, 0):
        said = Dialogue("server")
        if rate is not None:
            said.configures(SESSION, rate)
            said.confirms(SESSION)
        said.starts(SESSION, 0, voice("asked"))
        said.audio_up(SESSION, REQ, voice("asked"), end=True)
        said.motion(SESSION, REQ, 4)
        said.ends(SESSION, 0)
        assert said.verdict(rule_id) is Verdict.UNEXERCISED, rate


def test_no_response_has_the_end() -> None:
    said = asked()
    said.motion(SESSION, REQ, 5)
    said.ends(SESSION, 0, complete=False)
    assert said.guilty("S-MOTION-END") == [(FIRST,)]
    assert [name for name in said.failed if name != "S-MOTION-SEGMENTS"] == ["S-MOTION-END"]
    assert said.judged("S-MOTION-END").broken[0].actual == "0 of its 1 responses had end=true"


def test_two_responses_have_the_end() -> None:
    said = asked()
    said.motion(SESSION, REQ, 3, end=True)
    said.motion(SESSION, REQ, 2, end=True)
    said.ends(SESSION, 0)
    assert said.guilty("S-MOTION-END") == [(FIRST, said.last - 2, said.last - 1)]
    assert [name for name in said.failed if name != "S-MOTION-SEGMENTS"] == ["S-MOTION-END"]


def test_the_end_is_not_on_the_last_response() -> None:
    said = asked()
    said.motion(SESSION, REQ, 3, end=True)
    said.motion(SESSION, REQ, 2)
    said.ends(SESSION, 0)
    assert [name for name in said.failed if name != "S-MOTION-SEGMENTS"] == ["S-MOTION-END"]


def test_a_server_that_hangs_up_owes_the_end() -> None:
    said = asked()
    said.motion(SESSION, REQ, 5)
    said.closed(SESSION, by_kit=False)
    said.ends(SESSION, 0, complete=False)
    assert [name for name in said.failed if name != "S-MOTION-SEGMENTS"] == ["S-MOTION-END"]
    [broken] = said.judged("S-MOTION-END").broken
    assert broken.actual.endswith(", and the server closed the connection: 1000")


@pytest.mark.parametrize(
    ("code", "words"),
    [(1009, "1009 (message too big)"), (1006, "without a closing frame"), (1005, "without a code")],
)
def test_the_code_with_which_the_server_hung_up_is_told(code: int, words: str) -> None:
    said = asked()
    said.happens(Lane.UPSTREAM, SESSION, Closed(by_kit=False, code=code))
    said.ends(SESSION, 0, complete=False)
    [broken] = said.judged("S-MOTION-END").broken
    assert broken.actual.endswith(f", and the server closed the connection: {words}")


@pytest.mark.parametrize("by_kit", [True, False])
def test_a_close_by_the_kit_or_of_another_connection_or_a_later_one_is_not_told(by_kit: bool) -> None:
    said = asked()
    said.motion(SESSION, REQ, 5)
    said.closed("session-2", by_kit=False)
    said.ends(SESSION, 0, complete=False)
    said.closed(SESSION, by_kit=by_kit)
    [broken] = said.judged("S-MOTION-END").broken
    assert broken.actual == "0 of its 1 responses had end=true"


# One req_id on two connections.


def shared() -> Dialogue:
    """Two sessions that speak under one req_id: `SESSION`, which begins, and `OTHER`."""
    said = Dialogue("server")
    for session in (SESSION, OTHER):
        said.opened(session)
        said.configures(session)
        said.confirms(session)
        said.starts(session, 0, voice(session))
        said.audio_up(session, REQ, voice(session))
    for session in (OTHER, SESSION):
        said.audio_up(session, REQ, end=True)
    return said


def refuses(said: Dialogue, session: str) -> None:
    said.server_says(session, ServerError(f"id of {session}", REQ, 3, "in use"))
    said.ends(session, 0)


def answers(said: Dialogue, session: str, keyframes: int = 5) -> None:
    said.motion(session, REQ, keyframes, end=True)
    said.ends(session, 0)


def test_two_requests_under_one_req_id_are_answered_each() -> None:
    said = shared()
    answers(said, SESSION)
    answers(said, OTHER)
    assert said.failed == []


def test_two_requests_under_one_req_id_are_mixed_up() -> None:
    said = shared()
    answers(said, SESSION, 10)
    answers(said, OTHER, 0)
    assert said.failed == ["S-MOTION-COUNT"]
    for broken in said.judged("S-MOTION-COUNT").broken:
        assert broken.expected.endswith(", though another connection used this req_id too")


def test_one_of_two_requests_under_one_req_id_gets_nothing() -> None:
    said = shared()
    answers(said, SESSION)
    said.ends(OTHER, 0, complete=False)
    assert said.failed == ["S-MOTION-END"]


def test_segments_are_not_judged_where_two_connections_use_one_req_id() -> None:
    said = shared()
    said.motion(SESSION, REQ, 3)
    answers(said, SESSION, 2)
    answers(said, OTHER)
    assert said.verdict("S-MOTION-SEGMENTS") is Verdict.UNEXERCISED


def test_a_server_may_refuse_a_req_id_that_another_connection_uses_but_must_answer_that_one() -> None:
    said = shared()
    answers(said, SESSION)
    refuses(said, OTHER)
    assert judged_as_the_kits(said).verdict is Verdict.PASSED
    said = shared()
    answers(said, OTHER)
    refuses(said, SESSION)
    assert judged_as_the_kits(said).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("samples", "rate", "keyframes"),
    [
        (640, 16000, 1),
        (1279, 16000, 1),
        (1280, 16000, 2),
        (1764, 44100, 1),
        (881, 22050, 0),
        (882, 22050, 1),
        (324_608, 16000, 507),
    ],
)
def test_the_keyframes_are_those_of_the_audio(samples: int, rate: int, keyframes: int) -> None:
    said = asked(samples, rate)
    said.motion(SESSION, REQ, keyframes, end=True)
    said.ends(SESSION, 0)
    assert said.verdict("S-MOTION-COUNT") is Verdict.PASSED


@pytest.mark.parametrize("keyframes", [4, 6])
def test_too_few_and_too_many_keyframes(keyframes: int) -> None:
    said = asked()
    said.motion(SESSION, REQ, keyframes, end=True)
    answer = said.last
    said.ends(SESSION, 0)
    assert said.guilty("S-MOTION-COUNT") == [(FIRST, answer)]
    assert said.failed == ["S-MOTION-COUNT"]
    assert said.judged("S-MOTION-COUNT").broken[0].actual == f"{keyframes} keyframes"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_keyframe_that_is_not_finite(wrong: float) -> None:
    said = asked()
    keyframes = np.zeros((5, WIDTH), np.float32)
    keyframes[3, 7] = wrong
    answer = said.server_says(SESSION, MotionResponse(f"id of {SESSION}", REQ, True, keyframes))
    said.ends(SESSION, 0)
    assert said.guilty("S-MOTION-SHAPE") == [(answer,)]
    assert said.failed == ["S-MOTION-SHAPE"]
    assert said.judged("S-MOTION-SHAPE").broken[0].actual == "keyframe 3 is not finite"


def test_a_keyframe_with_a_field_too_short() -> None:
    said = asked(KEYFRAME)
    envelope = wire.Message()
    envelope.ParseFromString(
        encode(MotionResponse(f"id of {SESSION}", REQ, True, np.zeros((1, WIDTH), np.float32)))
    )
    motion = wire.Motion()
    motion.ParseFromString(envelope.server_response_animation.animation)
    del motion.keyframes[0].jaw_pose[2]
    envelope.server_response_animation.animation = motion.SerializeToString()
    answer = said.server_says_raw(SESSION, envelope.SerializeToString())
    said.ends(SESSION, 0)
    assert said.guilty("S-MOTION-SHAPE") == [(answer,)]
    assert said.failed == ["S-MOTION-SHAPE"]
    assert "jaw_pose" in said.judged("S-MOTION-SHAPE").broken[0].actual


def test_the_shape_is_judged_even_where_the_rest_is_owed_no_more() -> None:
    said = asked()
    said.motion(SESSION, REQ, 3)
    said.interrupt_up(SESSION, REQ)
    said.ends(SESSION, 0)
    assert said.verdict("S-MOTION-SHAPE") is Verdict.PASSED


def test_every_request_of_a_session_is_judged() -> None:
    said = asked()
    said.motion(SESSION, REQ, 5, end=True)
    said.ends(SESSION, 0)
    pcm = voice("asked again")
    said.starts(SESSION, 1, pcm)
    said.audio_up(SESSION, "req-2", pcm, end=True)
    said.motion(SESSION, "req-2", 5)
    said.ends(SESSION, 1, complete=False)
    judgement = said.judged("S-MOTION-END")
    assert (judgement.exercised, len(judgement.broken)) == (2, 1)


def answered_in(*keyframes: int) -> Dialogue:
    said = asked(sum(keyframes) * KEYFRAME)
    for number, count in enumerate(keyframes, 1):
        said.motion(SESSION, REQ, count, end=number == len(keyframes))
    said.ends(SESSION, 0)
    return said


@pytest.mark.parametrize("keyframes", [(50, 100, 57), (50, 100), (50, 0), (50, 100, 0)])
def test_the_recorded_segments(keyframes: tuple[int, ...]) -> None:
    assert answered_in(*keyframes).verdict("S-MOTION-SEGMENTS") is Verdict.PASSED


def test_one_short_answer_says_nothing_of_segments() -> None:
    assert answered_in(50).verdict("S-MOTION-SEGMENTS") is Verdict.UNEXERCISED


@pytest.mark.parametrize("keyframes", [(51, 100), (100, 57), (3, 2), (50, 0, 0)])
def test_other_segments(keyframes: tuple[int, ...]) -> None:
    said = answered_in(*keyframes)
    assert [name for name in said.failed if name != "S-MOTION-MOVES"] == ["S-MOTION-SEGMENTS"]


def test_two_responses_without_motion() -> None:
    said = asked(1)
    said.motion(SESSION, REQ, 0)
    said.motion(SESSION, REQ, 0, end=True)
    said.ends(SESSION, 0)
    [broken] = said.judged("S-MOTION-SEGMENTS").broken
    assert broken.expected == "segments of no keyframes"


def test_the_id_of_another_connection() -> None:
    said = asked()
    said.server_says(SESSION, MotionResponse("another", REQ, True, np.zeros((5, WIDTH), np.float32)))
    said.ends(SESSION, 0)
    assert said.failed == ["S-MOTION-IDS"]


def test_a_req_id_that_nobody_sent() -> None:
    said = asked()
    said.motion(SESSION, "req-2", 5, end=True)
    said.ends(SESSION, 0)
    assert said.failed == ["S-MOTION-IDS"]
    assert said.verdict("S-MOTION-END") is Verdict.UNEXERCISED


@pytest.mark.parametrize("outlived", [True, False])
def test_a_session_that_the_server_closes_after_its_token_has_expired(outlived: bool) -> None:
    said = Dialogue("server")
    said.opened(SESSION)
    said.configures(SESSION)
    said.confirms(SESSION)
    if outlived:
        said.happens(Lane.KIT, SESSION, Provoked(Provocation.OUTLIVED_TOKEN))
    pcm = voice("asked")
    said.starts(SESSION, 0, pcm)
    said.audio_up(SESSION, REQ, pcm, end=True)
    said.closed(SESSION, by_kit=False)
    said.ends(SESSION, 0)
    assert said.failed == (["S-TOKEN-EXPIRY"] if outlived else ["S-MOTION-END"])


# What moves.


def answered(*segments: np.ndarray, sample: bytes = b"") -> Dialogue:
    """A request of three seconds of speech, or of this one sample, answered with these keyframes."""
    said = Dialogue("server")
    said.opened(SESSION)
    said.configures(SESSION)
    said.confirms(SESSION)
    samples = sum(map(len, segments)) * KEYFRAME
    pcm = sample * samples or voice("asked", samples)
    said.starts(SESSION, 0, pcm)
    said.audio_up(SESSION, REQ, pcm, end=True)
    for number, rows in enumerate(segments, 1):
        motion = MotionResponse(f"id of {SESSION}", REQ, number == len(segments), rows)
        said.server_says_raw(SESSION, encode(motion))
    said.ends(SESSION, 0)
    return said


def moving(keyframes: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(keyframes, WIDTH)).astype(np.float32)


def still(keyframes: int) -> np.ndarray:
    return np.repeat(moving(1), keyframes, axis=0)


@pytest.mark.parametrize(
    ("segments", "actual"),
    [
        ([moving(50), moving(25, 2)], ""),
        ([moving(50), still(25)], "all 25 keyframes of a response are alike"),
        ([moving(50), moving(50)], "the motion of an earlier response came again"),
        ([moving(50), still(24)], ""),
        ([moving(50), *[still(1)] * 30], "all 25 keyframes of 25 responses are alike"),
        ([moving(7), moving(7, 2), moving(50, 3), still(30)], "all 30 keyframes of a response are alike"),
        ([moving(7, k) for k in (0, 1, 2, 3, 0, 1, 2, 3)], "the motion of an earlier response came again"),
        ([moving(7, k) for k in range(8)], ""),
    ],
    ids=[
        "moves",
        "stands still",
        "repeats",
        "too short to tell",
        "stands still in short responses",
        "stands still later",
        "repeats short responses",
        "moves in short responses",
    ],
)
def test_the_motion_of_speech_moves(segments: list[np.ndarray], actual: str) -> None:
    judgement = answered(*segments).judged("S-MOTION-MOVES")
    assert [broken.actual for broken in judgement.broken] == ([actual] if actual else [])
    assert judgement.verdict is (Verdict.FAILED if actual else Verdict.PASSED)


@pytest.mark.parametrize("sample", [bytes(2), b"\xff\x7f", b"\x00\x80"], ids=["silent", "highest", "lowest"])
def test_a_still_face_may_answer_silence_and_clipped_speech(sample: bytes) -> None:
    assert answered(still(75), sample=sample).verdict("S-MOTION-MOVES") is Verdict.UNEXERCISED


def test_a_response_without_keyframes_says_nothing_of_movement() -> None:
    said = answered(still(0), moving(30))
    assert said.verdict("S-MOTION-MOVES") is Verdict.PASSED


# Whose answer it is.


@pytest.mark.parametrize("over", ["ended", "interrupted", "open"])
@pytest.mark.parametrize("own", [False, True], ids=["no answer of its own", "an answer of its own"])
def test_an_answer_under_the_id_of_an_earlier_request(over: str, own: bool) -> None:
    said = asked()
    if over == "ended":
        said.motion(SESSION, REQ, 5, end=True)
    elif over == "interrupted":
        said.interrupt_up(SESSION, REQ)
    said.ends(SESSION, 0)
    pcm = voice("next")
    said.starts(SESSION, 1, pcm)
    next_asked = said.audio_up(SESSION, "req-2", pcm, end=True)
    said.motion(SESSION, REQ, 5, end=True)
    came = said.last
    if own:
        said.motion(SESSION, "req-2", 5, end=True)
    said.ends(SESSION, 1, complete=own)
    guilty = [] if own or over == "open" else [(next_asked, came)]
    assert said.guilty("S-MOTION-IDS") == guilty
    assert ("S-MOTION-IDS" in said.failed) is bool(guilty)


def test_a_request_without_an_answer_is_not_answered_under_another_id() -> None:
    said = asked()
    said.motion(SESSION, REQ, 5, end=True)
    said.ends(SESSION, 0)
    said.starts(SESSION, 1, voice("next"))
    said.audio_up(SESSION, "req-2", voice("next"), end=True)
    said.ends(SESSION, 1, complete=False)
    assert said.verdict("S-MOTION-IDS") is Verdict.PASSED
    assert "S-MOTION-END" in said.failed


OPUS = write_ogg_opus([b"\x08packet"] * 13, 1)
"""Six keyframes, and a half."""


def asked_in_opus(stream: bytes = OPUS, intent: Provocation | None = None) -> Dialogue:
    """A session for Ogg Opus that has sent this stream."""
    said = Dialogue("server")
    if intent is not None:
        said.intends(SESSION, intent)
    said.opened(SESSION)
    said.configures(SESSION, RATE, AudioFormat.OGG_OPUS)
    said.confirms(SESSION)
    said.starts(SESSION, 0, stream, 0)
    said.audio_up(SESSION, REQ, stream, end=True)
    return said


@pytest.mark.parametrize(("keyframes", "verdict"), [(6, Verdict.PASSED), (7, Verdict.FAILED)])
def test_ogg_opus_is_answered_in_full(keyframes: int, verdict: Verdict) -> None:
    said = asked_in_opus()
    said.motion(SESSION, REQ, keyframes, end=True)
    said.ends(SESSION, 0)
    assert said.verdict("S-MOTION-COUNT") is verdict
    assert said.verdict("S-MOTION-END") is Verdict.PASSED


def test_ogg_opus_whose_length_nobody_knows_is_not_counted() -> None:
    said = asked_in_opus(OPUS[:-40])
    said.motion(SESSION, REQ, 1, end=True)
    said.ends(SESSION, 0)
    assert said.verdict("S-MOTION-COUNT") is Verdict.UNEXERCISED


def test_the_sound_of_ogg_opus_is_not_seen() -> None:
    said = asked_in_opus(write_ogg_opus([b"\x08packet"] * 103, 1))
    said.motion(SESSION, REQ, 51, end=True)
    said.ends(SESSION, 0)
    assert said.verdict("S-MOTION-MOVES") is Verdict.UNEXERCISED


def is_ended(said: Dialogue) -> None:
    said.motion(SESSION, REQ, 2, end=True)


def is_refused(said: Dialogue) -> None:
    said.server_says(SESSION, ServerError("", REQ, 3, "the audio is damaged"))


def is_hung_up_on(said: Dialogue) -> None:
    said.closed(SESSION, by_kit=False)


@pytest.mark.parametrize("answer", [is_ended, is_refused, is_hung_up_on])
def test_damaged_ogg_opus_is_answered_somehow(answer: Callable[[Dialogue], None]) -> None:
    said = asked_in_opus(b"OggS?", Provocation.DAMAGED_OPUS)
    answer(said)
    said.ends(SESSION, 0)
    assert judged_as_the_kits(said).verdict is Verdict.PASSED
    assert said.verdict("S-MOTION-COUNT") is Verdict.UNEXERCISED


def test_damaged_ogg_opus_is_not_answered() -> None:
    said = asked_in_opus(b"OggS?", Provocation.DAMAGED_OPUS)
    assert said.verdict("S-MOTION-END") is Verdict.UNEXERCISED
    said.motion(SESSION, REQ, 2)
    said.ends(SESSION, 0, complete=False)
    assert said.failed == ["S-MOTION-END"]
    assert said.judged("S-MOTION-END").broken[0].actual == "none of them after 1 responses"


def test_a_message_is_larger_than_an_sdk_takes() -> None:
    said = asked()
    said.server_says_raw(SESSION, bytes(MAX_MESSAGE_BYTES + 1))
    said.ends(SESSION, 0)
    assert said.failed == ["S-MOTION-SHAPE"]
    [broken] = said.judged("S-MOTION-SHAPE").broken
    assert broken.actual == "one of 1,048,577 bytes"


def test_a_large_message_of_a_client_is_no_breach() -> None:
    said = asked()
    said.client_says_raw(SESSION, encode(AudioInput("other", bytes(MAX_MESSAGE_BYTES + 1))))
    assert not said.failed


@pytest.mark.parametrize("answer", ["error", "close", "nothing"])
def test_a_long_clip_may_be_refused_but_not_left_without_an_answer(answer: str) -> None:
    said = asked()
    said.happens(Lane.KIT, SESSION, Provoked(Provocation.LONG_CLIP))
    if answer == "error":
        said.server_says(SESSION, ServerError(code=3, message="the clip is too long"))
    if answer == "close":
        said.closed(SESSION, by_kit=False)
    said.ends(SESSION, 0)
    assert said.failed == (["S-MOTION-END"] if answer == "nothing" else [])
