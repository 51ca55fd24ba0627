"""R rules on motion: verbatim, complete, in order."""

import pytest

from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Excuse, Injected, Lane

RULES = ("R-MOTION-VERBATIM", "R-MOTION-COMPLETE", "R-MOTION-ORDER")


def answered_turn(said: Dialogue) -> tuple[bytes, bytes]:
    """All of a turn but the motion on its way down."""
    said.echoes("ann", 0, said.speaks())
    return said.answers()


@pytest.mark.parametrize("rule_id", RULES)
def test_motion_passed_on_as_it_came(rule_id: str) -> None:
    said = Dialogue()
    said.turn()
    assert said.verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", RULES)
def test_motion_in_one_frame(rule_id: str) -> None:
    said = Dialogue()
    said.motion_down("ann", *answered_turn(said), last=True)
    said.ends("ann", 0)
    assert said.verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", RULES)
def test_a_turn_without_motion_says_nothing_of_motion(rule_id: str) -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.ends("ann", 0)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED


def test_a_payload_that_motion_server_never_sent() -> None:
    said = Dialogue()
    first, second = answered_turn(said)
    said.motion_down("ann", first)
    changed = said.motion_down("ann", second + b"\x00")
    said.ends("ann", 0)
    assert said.guilty("R-MOTION-VERBATIM") == [(changed,)]
    assert said.failed == ["R-MOTION-VERBATIM"]


def test_an_empty_list_is_no_payload() -> None:
    said = Dialogue()
    said.motion_down("ann", *answered_turn(said))
    said.motion_down("ann", last=True)
    said.ends("ann", 0)
    assert said.failed == []


def test_a_lost_payload() -> None:
    said = Dialogue()
    first, _ = answered_turn(said)
    lost = said.last
    said.motion_down("ann", first)
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-MOTION-COMPLETE") == [(lost,)]
    assert said.failed == ["R-MOTION-COMPLETE"]
    assert said.judged("R-MOTION-COMPLETE").broken[0].actual == "payload 2 of 2 never arrived"


def lost_and_asked_for_again(said: Dialogue, *, audio: bytes | None = None) -> tuple[bytes, bytes, bytes]:
    """A turn whose session Motion Server closes after a payload, and the motion of a second request. This
    holds the same audio, or the audio that is given here."""
    pcm = said.speaks()
    said.echoes("ann", 0, pcm)
    before = said.motion(up_of("ann", 0), req_of("ann", 0), 3)
    said.motion_down("ann", before)
    said.happens(Lane.KIT, up_of("ann", 0), Injected("close", Excuse.FAILURE))
    said.closed(up_of("ann", 0), by_kit=True)
    said.connects("up again")
    said.audio_up("up again", "req again", pcm if audio is None else audio, end=True)
    return before, said.motion("up again", "req again", 3), said.motion("up again", "req again", 2, end=True)


def test_motion_that_is_passed_on_again_from_its_beginning() -> None:
    said = Dialogue()
    _, first, second = lost_and_asked_for_again(said)
    again = said.motion_down("ann", first)
    said.motion_down("ann", second, last=True)
    said.ends("ann", 0)
    [broken] = said.judged("R-MOTION-COMPLETE").broken
    assert broken.actual == "after 1 payloads it was passed on again"
    assert broken.events[1] == again


def test_only_the_rest_of_motion_that_was_asked_for_again_is_passed_on() -> None:
    said = Dialogue()
    _, _, rest = lost_and_asked_for_again(said)
    said.motion_down("ann", rest, last=True)
    said.ends("ann", 0)
    assert said.judged("R-MOTION-COMPLETE").broken == ()


def test_the_motion_of_another_sentence_is_not_the_same_again() -> None:
    said = Dialogue()
    _, _, second = lost_and_asked_for_again(said, audio=voice("another sentence"))
    said.motion_down("ann", second, last=True)
    said.ends("ann", 0)
    assert said.judged("R-MOTION-COMPLETE").broken == ()


def test_a_payload_that_came_to_another_client_is_first_of_all_no_isolation() -> None:
    said = Dialogue()
    said.turn("bob")
    first, second = answered_turn(said)
    sent = said.last
    said.motion_down("ann", first)
    elsewhere = said.motion_down("bob", second)
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-MOTION-COMPLETE") == [(sent, elsewhere)]
    [broken] = said.judged("R-MOTION-COMPLETE").broken
    assert broken.actual == "payload 2 of 2 came to bob instead"
    assert "R-ISOLATION" in broken.follows_from
    assert said.guilty("R-ISOLATION") == [(elsewhere,)]


def test_a_doubled_payload() -> None:
    said = Dialogue()
    first, second = answered_turn(said)
    sent = said.last
    said.motion_down("ann", first)
    once = said.motion_down("ann", second)
    twice = said.motion_down("ann", second)
    said.ends("ann", 0)
    assert said.guilty("R-MOTION-COMPLETE") == [(sent, once, twice)]
    assert said.failed == ["R-MOTION-COMPLETE"]


def test_a_payload_that_only_another_client_got_is_lost() -> None:
    said = Dialogue()
    said.turn("bob")
    first, second = answered_turn(said)
    said.motion_down("ann", first)
    said.motion_down("bob", second)
    said.ends("ann", 0)
    assert "R-MOTION-COMPLETE" in said.failed


def test_what_is_lost_beside_a_fault_is_not_judged() -> None:
    said = Dialogue()
    answered_turn(said)
    said.fault()
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-MOTION-COMPLETE") is Verdict.UNEXERCISED


def test_what_nobody_waited_for_is_not_lost() -> None:
    said = Dialogue()
    answered_turn(said)
    assert said.verdict("R-MOTION-COMPLETE") is Verdict.UNEXERCISED


def test_payloads_that_changed_places() -> None:
    said = Dialogue()
    first, second = answered_turn(said)
    sent = said.last
    early = said.motion_down("ann", second)
    late = said.motion_down("ann", first)
    said.ends("ann", 0)
    assert said.guilty("R-MOTION-ORDER") == [(sent - 1, sent, early, late)]
    assert said.failed == ["R-MOTION-ORDER"]


def test_payloads_that_changed_places_within_a_frame() -> None:
    said = Dialogue()
    first, second = answered_turn(said)
    said.motion_down("ann", second, first)
    said.ends("ann", 0)
    assert said.failed == ["R-MOTION-ORDER"]


def test_one_payload_has_no_order() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.motion_down("ann", said.motion(up_of("ann", 0), req_of("ann", 0), 5, end=True))
    said.ends("ann", 0)
    assert said.verdict("R-MOTION-ORDER") is Verdict.UNEXERCISED


def test_equal_payloads_are_never_out_of_order() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    up, req = up_of("ann", 0), req_of("ann", 0)
    silence = [said.motion(up, req, shade=0.0) for _ in range(3)]
    said.motion_down("ann", *silence)
    said.ends("ann", 0)
    assert said.verdict("R-MOTION-ORDER") is Verdict.PASSED
    assert said.verdict("R-MOTION-COMPLETE") is Verdict.PASSED


def test_one_of_two_equal_payloads_can_be_lost() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    up, req = up_of("ann", 0), req_of("ann", 0)
    said.motion(up, req, shade=0.0)
    silence = said.motion(up, req, shade=0.0)
    second = said.last
    said.motion_down("ann", silence)
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-MOTION-COMPLETE") == [(second,)]


def given_up_turn(said: Dialogue, *, ends: bool = True) -> int:
    """A turn of which one of two payloads was sent, and the rest is still to come. Returns the event by which
    the relay ended the audio at Motion Server."""
    up, req, pcm = up_of("ann", 0), req_of("ann", 0), said.speaks()
    said.audio_up(up, req, pcm)
    ended = said.audio_up(up, req, end=True) if ends else said.last
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", said.motion(up, req, 3))
    return ended


def test_motion_that_the_relay_did_not_wait_for_is_lost() -> None:
    said = Dialogue()
    ended = given_up_turn(said)
    closed = said.closed(up_of("ann", 0), by_kit=False)
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-MOTION-COMPLETE") == [(ended, closed)]
    assert said.failed == ["R-MOTION-COMPLETE"]
    [broken] = said.judged("R-MOTION-COMPLETE").broken
    assert broken.actual == "the relay gave the motion up: payloads that had come by then: 1"
    assert broken.owed[0].what == "the rest of the motion of turn 1 of ann"


@pytest.mark.parametrize("goes_on", [True, False], ids=["to its next turn", "away"])
def test_a_relay_may_give_up_the_motion_of_a_client_that_has_gone_on(goes_on: bool) -> None:
    said = Dialogue()
    given_up_turn(said)
    said.ends("ann", 0)
    if goes_on:
        said.starts("ann", 1, voice("ann 1"))
    else:
        said.hangs_up("ann")
    said.closed(up_of("ann", 0), by_kit=False)
    assert said.guilty("R-MOTION-COMPLETE") == []


def test_motion_that_the_relay_stopped_by_an_interrupt_is_lost() -> None:
    said = Dialogue()
    ended = given_up_turn(said)
    interrupted = said.interrupt_up(up_of("ann", 0), req_of("ann", 0))
    said.closed(up_of("ann", 0), by_kit=False)
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-MOTION-COMPLETE") == [(ended, interrupted)]


def test_a_relay_may_close_or_interrupt_what_is_answered() -> None:
    said = Dialogue()
    said.motion_down("ann", *answered_turn(said))
    said.interrupt_up(up_of("ann", 0), req_of("ann", 0))
    said.closed(up_of("ann", 0), by_kit=False)
    said.ends("ann", 0)
    assert said.failed == []


def test_a_session_that_motion_server_closed_was_not_given_up() -> None:
    said = Dialogue()
    given_up_turn(said)
    said.closed(up_of("ann", 0), by_kit=True)
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-MOTION-COMPLETE") is Verdict.PASSED


def test_motion_that_the_relay_asked_for_again_is_not_lost() -> None:
    said = Dialogue()
    up, pcm = up_of("ann", 0), said.speaks()
    said.audio_up(up, "first", pcm, end=True)
    said.closed(up, by_kit=False)
    said.audio_up("again", "second", pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", said.motion("again", "second", 5, end=True))
    said.ends("ann", 0)
    assert said.verdict("R-MOTION-COMPLETE") is Verdict.PASSED


@pytest.mark.parametrize(
    ("audio", "rate", "audio_format", "lost"),
    [
        (bytes(6400), 16_000, AudioFormat.PCM_S16LE, False),
        (b"\x01" * 1000, 16_000, AudioFormat.PCM_S16LE, False),
        (b"\x01" * 6400, 0, AudioFormat.PCM_S16LE, False),
        (b"\x01" * 6400, 16_000, AudioFormat.PCM_S16LE, True),
        (b"\x01" * 100, 16_000, AudioFormat.OGG_OPUS, True),
        (b"", 16_000, AudioFormat.OGG_OPUS, False),
    ],
)
def test_motion_server_owes_none_for_silence_and_less_than_a_keyframe(
    audio: bytes, rate: int, audio_format: int, lost: bool
) -> None:
    said = Dialogue()
    said.turn("bob")
    said.speaks()
    said.configures("more", rate, audio_format)
    ended = said.audio_up("more", "padding", audio, end=True)
    closed = said.closed("more", by_kit=False)
    said.ends("ann", 0)
    assert said.guilty("R-MOTION-COMPLETE") == ([(ended, closed)] if lost else [])


@pytest.mark.parametrize(("waited_seconds", "is_accused"), [(3.5, False), (1.0, True)])
def test_a_relay_that_gave_up_while_the_kit_was_late_is_accused_if_it_waited_too_shortly(
    waited_seconds: float, is_accused: bool
) -> None:
    """With the kit's stall, Motion Server was silent for 4.2 or 1.7 seconds. A relay must bear four."""
    said = Dialogue()
    given_up_turn(said)
    said.passes(waited_seconds)
    said.lags(0.7)
    said.closed(up_of("ann", 0), by_kit=False)
    said.ends("ann", 0, complete=False)
    assert bool(said.guilty("R-MOTION-COMPLETE")) is is_accused


# R-END-MOTION.


def marked(*, first: bool, second: bool, alone: bool = False) -> Dialogue:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    one, two = said.answers()
    said.motion_down("ann", one, last=first)
    said.motion_down("ann", two, last=second)
    if alone:
        said.motion_down("ann", last=True)
    said.ends("ann", 0)
    return said


@pytest.mark.parametrize("alone", [False, True])
def test_the_last_motion_is_marked_or_a_mark_follows(alone: bool) -> None:
    said = marked(first=False, second=not alone, alone=alone)
    assert said.verdict("R-END-MOTION") is Verdict.PASSED
    assert said.failed == []


@pytest.mark.parametrize(
    ("first", "second", "actual"),
    [(False, False, "never marked"), (True, False, "after the mark"), (True, True, "after the mark")],
)
def test_no_mark_and_one_too_early(first: bool, second: bool, actual: str) -> None:
    said = marked(first=first, second=second)
    assert said.failed == ["R-END-MOTION"]
    assert actual in said.judged("R-END-MOTION").broken[0].actual


def test_each_request_of_a_turn_may_mark_its_end() -> None:
    said = Dialogue()
    pcm, up = said.speaks(), up_of("ann", 0)
    for req, piece in (("a", pcm[:3200]), ("b", pcm[3200:])):
        said.audio_up(up, req, piece, end=True)
    said.audio_down("ann", pcm, last=True)
    for req in ("a", "b"):
        said.motion_down("ann", said.motion(up, req, end=True), last=True)
    said.ends("ann", 0)
    assert said.verdict("R-END-MOTION") is Verdict.PASSED


def test_motion_that_motion_server_never_ended_has_no_last() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.motion_down("ann", said.motion(up_of("ann", 0), req_of("ann", 0)))
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-END-MOTION") is Verdict.UNEXERCISED


def test_motion_before_all_audio_is_another_rules_matter() -> None:
    said = Dialogue()
    pcm = said.speaks()
    up, req = up_of("ann", 0), req_of("ann", 0)
    said.audio_up(up, req, pcm, end=True)
    said.motion_down("ann", *said.answers())
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0)
    assert said.failed == ["R-AUDIO-FIRST"]
