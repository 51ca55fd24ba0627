"""U rules: the relay, seen from Motion Server."""

import re
from collections.abc import Callable

import pytest

from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES
from spatius_sim.protocol.messages import AudioFormat, AudioInput
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import DAY, Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.wires.events import Failed
from spatius_sim.wires.optional_features import OWN_STREAM, OWN_UPSTREAM

UP, REQ = up_of("ann", 0), req_of("ann", 0)


@pytest.mark.parametrize("life", [1, 3600, DAY - 1])
def test_a_token_with_an_expiry_in_the_window(life: int) -> None:
    said = Dialogue()
    said.token(life)
    said.opened(UP)
    assert said.verdict("U-TOKEN") is Verdict.PASSED


@pytest.mark.parametrize("life", [-1, 0, DAY, 2 * DAY])
def test_a_token_with_an_expiry_outside_the_window(life: int) -> None:
    said = Dialogue()
    asked = said.token(life, status=400, token="")
    said.connects(UP)
    assert said.guilty("U-TOKEN") == [(asked,)]
    assert said.failed == ["U-TOKEN"]
    assert said.judged("U-TOKEN").broken[0].actual == f"expireAt lay {life} s ahead"


def test_a_token_request_without_an_expiry() -> None:
    said = Dialogue()
    asked = said.token(None, status=400, token="")
    assert said.guilty("U-TOKEN") == [(asked,)]


@pytest.mark.parametrize(("status", "reason"), [(400, "Invalid session token"), (401, "expired")])
def test_connecting_with_something_that_is_no_token(status: int, reason: str) -> None:
    said = Dialogue()
    refused = said.refused(UP, status, reason)
    assert said.guilty("U-TOKEN") == [(refused,)]
    assert said.failed == ["U-TOKEN"]


@pytest.mark.parametrize(
    ("status", "token"), [(404, ""), (402, ""), (401, "token#1")], ids=["avatar", "credits", "expired"]
)
def test_a_refusal_for_another_reason_says_nothing_of_the_token(status: int, token: str) -> None:
    said = Dialogue()
    said.refused(UP, status, "refused", token)
    assert said.verdict("U-TOKEN") is Verdict.UNEXERCISED


def test_a_relay_that_never_connects_shows_no_token() -> None:
    said = Dialogue()
    said.token()
    assert said.verdict("U-TOKEN") is Verdict.UNEXERCISED


SUPPORTED = [
    *((AudioFormat.PCM_S16LE, rate) for rate in PCM_SAMPLE_RATES),
    *((AudioFormat.OGG_OPUS, rate) for rate in OPUS_SAMPLE_RATES),
]


@pytest.mark.parametrize(("audio_format", "rate"), SUPPORTED)
def test_a_supported_configuration(audio_format: int, rate: int) -> None:
    said = Dialogue()
    said.opened(UP)
    said.configures(UP, rate, audio_format)
    assert said.verdict("U-CONFIGURE") is Verdict.PASSED


UNSUPPORTED = [
    (AudioFormat.PCM_S16LE, 11025, "11025 Hz for PCM"),
    (AudioFormat.PCM_S16LE, 12000, "12000 Hz for PCM"),
    (AudioFormat.PCM_S16LE, 0, "0 Hz for PCM"),
    (AudioFormat.OGG_OPUS, 44100, "44100 Hz for Ogg Opus"),
    (7, 16000, "audio format 7"),
]


@pytest.mark.parametrize(("audio_format", "rate", "fault"), UNSUPPORTED)
def test_an_unsupported_configuration(audio_format: int, rate: int, fault: str) -> None:
    said = Dialogue()
    said.opened(UP)
    configured = said.configures(UP, rate, audio_format)
    assert said.guilty("U-CONFIGURE") == [(configured,)]
    assert said.failed == ["U-CONFIGURE"]
    assert said.judged("U-CONFIGURE").broken[0].actual == fault


def test_audio_before_the_configuration() -> None:
    said = Dialogue()
    said.opened(UP)
    audio = said.client_says(UP, AudioInput(REQ, voice("early")))
    said.configures(UP)
    assert said.guilty("U-CONFIGURE") == [(audio,)]
    assert said.judged("U-CONFIGURE").broken[0].actual == "first a AudioInput"


@pytest.mark.parametrize("raw", ["hello", b"\xff\xff"], ids=["text", "junk"])
def test_a_first_frame_that_is_no_message(raw: str | bytes) -> None:
    said = Dialogue()
    said.opened(UP)
    said.client_says_raw(UP, raw)
    assert said.failed == ["U-CONFIGURE"]


def test_every_connection_has_a_first_message() -> None:
    said = Dialogue()
    said.connects("up-1")
    said.opened("up-2")
    configured = said.configures("up-2", 11025)
    judgement = said.judged("U-CONFIGURE")
    assert judgement.exercised == 2
    assert said.guilty("U-CONFIGURE") == [(configured,)]


def test_a_silent_connection_configures_nothing() -> None:
    said = Dialogue()
    said.token()
    said.opened(UP)
    assert said.verdict("U-CONFIGURE") is Verdict.UNEXERCISED


def test_one_end_for_each_req_id() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.ends("ann", 0)
    assert said.verdict("U-AUDIO-END") is Verdict.PASSED


def test_audio_without_an_end() -> None:
    said = Dialogue()
    pcm = said.speaks()
    first = said.audio_up(UP, REQ, pcm)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0, complete=False)
    assert said.guilty("U-AUDIO-END") == [(first,)]
    assert said.failed == ["U-AUDIO-END"]
    assert said.judged("U-AUDIO-END").broken[0].actual == "its req_id carried none"


def test_audio_with_two_ends() -> None:
    said = Dialogue()
    pcm = said.speaks()
    first = said.audio_up(UP, REQ, pcm, end=True)
    again = said.audio_up(UP, REQ, end=True)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0)
    assert said.guilty("U-AUDIO-END") == [(first, first, again)]
    assert said.failed == ["U-AUDIO-END"]


def test_a_relay_that_hangs_up_instead_of_ending() -> None:
    said = Dialogue()
    said.audio_up(UP, REQ, said.speaks())
    said.closed(UP, by_kit=False)
    said.ends("ann", 0)
    assert said.verdict("U-AUDIO-END") is Verdict.FAILED


def interrupted(said: Dialogue) -> None:
    said.interrupt_up(UP, REQ)


def failed(said: Dialogue) -> None:
    said.error(UP, REQ)


def hung_up_on(said: Dialogue) -> None:
    said.closed(UP, by_kit=True)


def beside_a_fault(said: Dialogue) -> None:
    said.fault()


@pytest.mark.parametrize("excuse", [interrupted, failed, hung_up_on, beside_a_fault])
def test_audio_without_an_end_that_has_an_excuse(excuse: Callable[[Dialogue], None]) -> None:
    said = Dialogue()
    said.audio_up(UP, REQ, said.speaks())
    excuse(said)
    said.ends("ann", 0, complete=False)
    assert said.verdict("U-AUDIO-END") is Verdict.UNEXERCISED


def test_who_closes_the_session_in_mid_speech_loses_audio_and_so_its_end() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.connects(UP)
    said.audio_up(UP, REQ, pcm[: len(pcm) // 2])
    said.happens(Lane.UPSTREAM, UP, Closed(False, 1000, ""))
    said.ends("ann", 0, complete=False)
    assert said.judged("U-AUDIO-END").broken[0].follows_from == ("U-AUDIO-COMPLETE",)
    actual = said.judged("U-AUDIO-COMPLETE").broken[0].actual
    assert re.fullmatch(r".* bytes went up; .*; then the relay closed the session, \d\.\d s .* began", actual)


def test_a_session_that_is_closed_after_the_end_is_not_called_given_up() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.connects(UP)
    said.audio_up(UP, REQ, pcm[: len(pcm) // 2], end=True)
    said.happens(Lane.UPSTREAM, UP, Closed(False, 1000, ""))
    said.ends("ann", 0, complete=False)
    (broken,) = said.judged("U-AUDIO-COMPLETE").broken
    assert "closed" not in broken.actual


def test_a_message_that_cannot_be_decoded_is_lost_audio_and_excuses_no_motion() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm[: len(pcm) // 2])
    said.client_says_raw(UP, b"\xff" * 16)
    said.error(UP)
    said.audio_down("ann", pcm, last=True)
    said.motion(UP, REQ)
    said.ends("ann", 0, complete=False)
    assert said.judged("U-AUDIO-COMPLETE").broken[0].actual.startswith("a message of 16 bytes went up: ")
    assert "U-AUDIO-COMPLETE" in said.judged("R-MOTION-COMPLETE").broken[0].follows_from


def test_the_speech_of_an_earlier_turn_goes_up_in_place_of_its_own() -> None:
    said = Dialogue()
    first, second = voice("ann 0"), voice("ann 1")
    said.starts("ann", 0, first)
    said.hears("ann", Failed("no motion"))
    said.fault()
    said.ends("ann", 0, complete=False)
    said.starts("ann", 1, second)
    said.audio_down("ann", second, last=True, turn_id="turn-2")
    said.connects(UP)
    said.audio_up(UP, REQ, first, end=True)
    said.motion_down("ann", *said.answers(), last=True, turn_id="turn-2")
    said.ends("ann", 1)
    (broken,) = said.judged("U-AUDIO-COMPLETE").broken
    assert broken.actual == "what went up was spoken in turn 1 of ann"
    assert {one.follows_from for one in said.judged("R-TURNS").broken} == {("U-AUDIO-COMPLETE",)}


def test_audio_that_belongs_to_no_turn_is_not_judged() -> None:
    said = Dialogue()
    said.connects(UP)
    said.audio_up(UP, REQ, voice("warming up"))
    assert said.verdict("U-AUDIO-END") is Verdict.UNEXERCISED


# What it does when it is refused.


def insisting(said: Dialogue, attempts: int, *, every: float = 0.1) -> None:
    """A client's relay is refused, and tries so many times more."""
    said.ready("ann")
    said.token()
    said.refused("up 0", 402, "session denied")
    for number in range(1, attempts + 1):
        said.passes(every)
        said.token()
        said.refused(f"up {number}", 402, "session denied")


@pytest.mark.parametrize(("attempts", "every"), [(5, 0.1), (9, 2.0), (0, 0.0)])
def test_a_relay_that_is_refused_tries_again_with_measure(attempts: int, every: float) -> None:
    said = Dialogue()
    insisting(said, attempts, every=every)
    said.passes(10.1)
    said.ready("ann")
    assert said.verdict("U-RETRY") is Verdict.PASSED
    assert said.failed == []


def test_a_relay_that_insists() -> None:
    said = Dialogue()
    insisting(said, 6)
    assert said.failed == ["U-RETRY"]
    assert said.judged("U-RETRY").broken[0].actual == "6 for 1"


def test_a_relay_that_insists_on_a_token() -> None:
    said = Dialogue()
    said.ready("ann")
    for _ in range(7):
        said.token(status=403, token="")
    assert said.failed == ["U-RETRY"]


def test_each_client_and_each_turn_is_a_reason_to_try() -> None:
    said = Dialogue()
    said.ready("bob")
    insisting(said, 10)
    said.starts("ann", 0, voice("ann"))
    for _ in range(3):
        said.token()
        said.refused("up", 402, "session denied")
    assert said.failed == []
    said.token()
    assert said.failed == ["U-RETRY"]
    assert said.judged("U-RETRY").broken[0].actual == "14 for 2, in which a turn began"


def test_who_has_a_session_that_stays_open_is_no_reason_to_try() -> None:
    said = Dialogue()
    said.ready("bob")
    said.connects("up of bob")
    insisting(said, 6)
    said.passes(10.1)
    said.ready("bob")
    assert said.failed == ["U-RETRY"]
    assert said.judged("U-RETRY").broken[0].actual == "6 for 1"


def test_who_lost_a_session_is_a_reason_to_try() -> None:
    said = Dialogue()
    said.ready("bob")
    said.connects("up of bob")
    insisting(said, 6)
    said.happens(Lane.UPSTREAM, "up of bob", Closed(False, 1000, ""))
    assert "U-RETRY" not in said.failed


def test_what_is_no_refusal_may_be_tried_more_often() -> None:
    said = Dialogue()
    said.ready("ann")
    for number in range(9):
        said.refused(f"up {number}", 503, "busy")
    assert said.verdict("U-RETRY") is Verdict.UNEXERCISED


def test_moderation_shows_only_where_ten_seconds_were_watched() -> None:
    said = Dialogue()
    insisting(said, 1)
    said.passes(9.0)
    said.ready("ann")
    assert said.verdict("U-RETRY") is Verdict.UNEXERCISED


def test_where_no_client_is_seen_nobody_knows_how_many_insist() -> None:
    said = Dialogue()
    for number in range(9):
        said.refused(f"up {number}", 402, "session denied")
    assert said.verdict("U-RETRY") is Verdict.UNEXERCISED


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (4001, Verdict.FAILED),
        (4003, Verdict.FAILED),
        (4010, Verdict.FAILED),
        (4002, Verdict.UNEXERCISED),
        (4503, Verdict.UNEXERCISED),
        (1000, Verdict.UNEXERCISED),
    ],
)
def test_only_what_a_retry_cannot_mend_asks_for_measure(code: int, verdict: Verdict) -> None:
    said = Dialogue()
    said.ready("ann")
    said.happens(Lane.UPSTREAM, "up 0", Closed(True, code, "no"))
    for number in range(1, 8):
        said.token()
        said.refused(f"up {number}", 503, "busy")
    assert said.verdict("U-RETRY") is verdict


# Hanging up.


def left_in_mid_turn(*, lacks: tuple[str, ...] = ()) -> Dialogue:
    said = Dialogue(lacks=lacks)
    said.audio_up(up_of("ann", 0), req_of("ann", 0), said.speaks())
    said.hangs_up("ann")
    return said


def after(said: Dialogue, seconds: float) -> Dialogue:
    said.passes(seconds)
    return said


@pytest.mark.parametrize(("seconds", "verdict"), [(4.9, Verdict.PASSED), (5.1, Verdict.FAILED)])
def test_five_seconds_to_close_the_upstream_session(seconds: float, verdict: Verdict) -> None:
    said = after(left_in_mid_turn(), seconds)
    said.closed(up_of("ann", 0), by_kit=False)
    said.watched_hang_up("ann")
    assert said.verdict("U-HANGUP") is verdict


@pytest.mark.parametrize(("seconds", "verdict"), [(5.2, Verdict.FAILED), (1.0, Verdict.UNEXERCISED)])
def test_a_session_that_stays_open_while_it_was_watched(seconds: float, verdict: Verdict) -> None:
    said = after(left_in_mid_turn(), seconds)
    said.watched_hang_up("ann", complete=False)
    assert said.verdict("U-HANGUP") is verdict


def test_where_the_kit_itself_was_late_nobody_is_accused() -> None:
    said = after(left_in_mid_turn(), 2.0)
    said.lags(4.0)
    said.closed(up_of("ann", 0), by_kit=False)
    said.watched_hang_up("ann")
    assert said.verdict("U-HANGUP") is Verdict.INCONCLUSIVE


def test_a_pool_that_was_declared_may_stay_open() -> None:
    said = after(left_in_mid_turn(lacks=(OWN_UPSTREAM,)), 5.2)
    said.watched_hang_up("ann", complete=False)
    assert said.verdict("U-HANGUP") is Verdict.NOT_APPLICABLE


def test_a_session_that_was_closed_before_its_client_left_shows_nothing() -> None:
    said = Dialogue()
    said.turn()
    said.closed(up_of("ann", 0), by_kit=False)
    said.hangs_up("ann")
    said.watched_hang_up("ann")
    assert said.verdict("U-HANGUP") is Verdict.UNEXERCISED


def test_who_was_cut_off_has_said_no_goodbye() -> None:
    said = Dialogue()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), said.speaks())
    said.hangs_up("ann", 1006)
    after(said, 5.2).watched_hang_up("ann", complete=False)
    assert said.verdict("U-HANGUP") is Verdict.UNEXERCISED


def left_while_connecting(*, others: bool = False) -> Dialogue:
    """Ann leaves while the relay opens a session for her, which stays open and never carries audio."""
    said = Dialogue()
    for client in ("ann", "bob") if others else ("ann",):
        said.happens(Lane.DOWNSTREAM, client, Opened())
    said.speaks()
    said.closed(up_of("ann", 0), by_kit=False)
    said.hangs_up("ann")
    said.opened("late")
    return said


def test_a_session_that_was_being_opened_when_its_client_left() -> None:
    said = after(left_while_connecting(), 5.2)
    said.watched_hang_up("ann", complete=False)
    assert [broken.actual for broken in said.judged("U-HANGUP").broken] == ["late was still open"]


def test_in_company_nobody_knows_for_whom_a_silent_session_was_opened() -> None:
    said = after(left_while_connecting(others=True), 5.2)
    said.watched_hang_up("ann", complete=False)
    assert said.verdict("U-HANGUP") is Verdict.UNEXERCISED


def test_a_session_that_was_opened_before_the_client_came_is_not_that_clients() -> None:
    said = Dialogue()
    said.opened("warm")
    said.happens(Lane.DOWNSTREAM, "ann", Opened())
    said.hangs_up("ann")
    after(said, 5.2).watched_hang_up("ann", complete=False)
    assert said.verdict("U-HANGUP") is Verdict.UNEXERCISED


@pytest.mark.parametrize(("stays", "verdict"), [(True, Verdict.UNEXERCISED), (False, Verdict.FAILED)])
def test_the_session_of_a_room_stays_open_while_others_stay(stays: bool, verdict: Verdict) -> None:
    said = Dialogue(lacks=(OWN_STREAM,))
    for client in ("ann", "bob"):
        said.happens(Lane.DOWNSTREAM, client, Opened())
    said.audio_up(up_of("ann", 0), req_of("ann", 0), said.speaks())
    if not stays:
        said.hangs_up("bob")
    said.hangs_up("ann")
    said.passes(5.2)
    said.watched_hang_up("ann", complete=False)
    said.happens(Lane.DOWNSTREAM, "cyd", Opened())
    assert said.verdict("U-HANGUP") is verdict
