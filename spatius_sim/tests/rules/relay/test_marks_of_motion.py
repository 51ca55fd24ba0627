"""End marks of motion that carry no motion: each marks the motion that came before it, or nothing."""

import pytest

from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, LATE_MOTION


def spoken(turn_id: str = "") -> tuple[Dialogue, bytes, bytes]:
    """A turn that was spoken and answered: its motion is still to come down."""
    said = Dialogue()
    said.echoes("ann", 0, said.speaks(), turn_id)
    return (said, *said.answers())


@pytest.mark.parametrize("turn_id", ["", "t0"])
def test_a_mark_before_the_first_motion_is_an_empty_list(turn_id: str) -> None:
    said, first, second = spoken(turn_id)
    said.motion_down("ann", last=True, turn_id=turn_id)
    said.motion_down("ann", first, turn_id=turn_id)
    said.motion_down("ann", second, last=True, turn_id=turn_id)
    said.ends("ann", 0)
    assert said.failed == ["R-CONVERSATION"]
    assert "audio-only" in said.judged("R-CONVERSATION").broken[0].actual


@pytest.mark.parametrize("marked_again", [False, True])
def test_a_mark_on_its_own_marks_what_came_before_it(marked_again: bool) -> None:
    said, first, second = spoken()
    said.motion_down("ann", first)
    said.motion_down("ann", last=True)
    said.motion_down("ann", second, last=marked_again)
    said.ends("ann", 0)
    assert said.failed == ["R-END-MOTION"]
    assert said.judged("R-END-MOTION").broken[0].actual == "motion came after the mark"


def test_a_mark_on_its_own_after_all_motion_marks_it() -> None:
    said, first, second = spoken()
    said.motion_down("ann", first, second, last=False)
    said.motion_down("ann", last=True)
    said.ends("ann", 0)
    assert said.failed == []
    assert said.verdict("R-END-MOTION") is Verdict.PASSED


def test_each_request_of_a_turn_may_have_a_mark_on_its_own() -> None:
    said = Dialogue()
    pcm = said.speaks()
    up = up_of("ann", 0)
    said.audio_up(up, "a", pcm[:3200], end=True)
    said.audio_up(up, "b", pcm[3200:], end=True)
    said.audio_down("ann", pcm, last=True)
    for req in ("a", "b"):
        said.motion_down("ann", said.motion(up, req, end=True), last=False)
        said.motion_down("ann", last=True)
    said.ends("ann", 0)
    assert said.failed == []


def test_a_mark_of_a_turn_that_was_cut_off_is_stale() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.echoes("ann", 0, pcm)
    said.motion_down("ann", said.motion(up_of("ann", 0), req_of("ann", 0), 3), last=False)
    said.client_interrupts("ann")
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("ann", last=True)
    said.motion_down("ann", *said.answers("ann", 1), last=True)
    said.ends("ann", 1)
    assert said.failed == ["R-STALE"]


@pytest.mark.parametrize("marked_again", [True, False])
def test_a_mark_of_late_motion_of_the_turn_before_is_not_that_of_this_turn(marked_again: bool) -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    late = said.answers()
    said.fault()
    said.ends("ann", 0, complete=False)
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("ann", *late, last=True)
    said.motion_down("ann", *said.answers("ann", 1), last=marked_again)
    said.ends("ann", 1)
    assert said.verdict("R-END-MOTION") is (Verdict.PASSED if marked_again else Verdict.FAILED)


# R-LATE-MARK.


def spoken_to_one_who_drops_late_motion() -> tuple[Dialogue, bytes, bytes]:
    """A turn that was spoken and answered, and of which the client got the audio without its end mark."""
    said = Dialogue(lacks=(LATE_MOTION,))
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm)
    return (said, *said.answers())


def test_motion_after_the_end_mark_of_the_audio_is_late() -> None:
    said, first, second = spoken_to_one_who_drops_late_motion()
    said.motion_down("ann", first)
    said.audio_down("ann", last=True)
    said.motion_down("ann", second, last=True)
    said.ends("ann", 0)
    assert said.failed == ["R-LATE-MARK"]
    assert said.judged("R-LATE-MARK").broken[0].actual == "the mark came, and then 1 of 2 payloads"


def test_an_end_mark_after_the_last_motion_is_not_late() -> None:
    said, first, second = spoken_to_one_who_drops_late_motion()
    said.motion_down("ann", first, second, last=True)
    said.audio_down("ann", last=True)
    said.ends("ann", 0)
    assert said.failed == []
    assert said.verdict("R-LATE-MARK") is Verdict.PASSED


def test_a_turn_whose_motion_never_came_says_nothing_of_late_motion() -> None:
    said, _, _ = spoken_to_one_who_drops_late_motion()
    said.audio_down("ann", last=True)
    said.ends("ann", 0, complete=False)
    assert said.failed == ["R-MOTION-COMPLETE"]
    assert said.verdict("R-LATE-MARK") is Verdict.UNEXERCISED


def test_a_missing_end_mark_is_not_told_as_late_motion() -> None:
    said, first, second = spoken_to_one_who_drops_late_motion()
    said.motion_down("ann", first, second, last=True)
    said.ends("ann", 0, complete=False)
    assert said.failed == ["R-END-AUDIO"]


def test_clients_that_play_late_motion_are_not_asked() -> None:
    said, first, second = spoken()
    said.motion_down("ann", first, second, last=True)
    said.ends("ann", 0)
    judged = said.judged("R-LATE-MARK")
    assert judged.verdict is Verdict.NOT_APPLICABLE
    assert judged.reason == "it judges only a subject that lacks late-motion"
    assert (
        find_rule("R-LATE-MARK").explain_not_applicable([LATE_MOTION, "audio"]) == "the subject lacks audio"
    )


def test_a_mark_may_end_a_chosen_turn_that_the_client_did_not_wait_for() -> None:
    said = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH, LATE_MOTION))
    said.starts("ann", 0, voice("asked for first"))
    said.starts("ann", 1, voice("asked for at once"))
    said.echoes("ann", 1, voice("asked for at once"))
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.verdict("R-LATE-MARK") is Verdict.UNEXERCISED
