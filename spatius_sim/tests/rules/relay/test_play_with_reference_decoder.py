"""R rule that a turn, played by the reference decoder, comes to its end with all its motion."""

import pytest

from spatius_sim.rules.findings import Broken, Verdict
from spatius_sim.rules.relay.play_with_reference_decoder import (
    check_turns_can_be_played,
)
from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.wires.events import Failed, Note
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, OWN_STREAM, UPSTREAM

with_and_without_turn_ids = pytest.mark.parametrize("turn_id", ["", "turn-1"])


def answered_turn(said: Dialogue, number: int = 0, turn_id: str = "") -> tuple[bytes, bytes]:
    """All of a turn but the motion on its way down."""
    said.echoes("ann", number, said.speaks("ann", number), turn_id)
    return said.answers("ann", number)


# R-CONVERSATION.


@with_and_without_turn_ids
def test_a_turn_that_plays(turn_id: str) -> None:
    said = Dialogue()
    said.turn(turn_id=turn_id)
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


def test_a_turn_that_plays_among_other_messages() -> None:
    said = Dialogue()
    said.ready("ann", 16000)
    motion = answered_turn(said)
    said.hears("ann", Note("status"))
    said.client_interrupts("bob")
    said.motion_down("ann", *motion)
    said.hears("bob", Note("status"))
    said.ends("ann", 0)
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


def test_an_empty_list_with_the_end_mark_is_a_mark() -> None:
    said = Dialogue()
    said.motion_down("ann", *answered_turn(said))
    said.motion_down("ann", last=True)
    said.ends("ann", 0)
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


@with_and_without_turn_ids
def test_an_empty_list_makes_a_turn_audio_only(turn_id: str) -> None:
    said = Dialogue()
    motion = answered_turn(said, turn_id=turn_id)
    empty = said.motion_down("ann", turn_id=turn_id)
    said.motion_down("ann", *motion, turn_id=turn_id)
    said.ends("ann", 0)
    assert said.guilty("R-CONVERSATION") == [(empty,)]
    assert said.failed == ["R-CONVERSATION"]
    assert said.judged("R-CONVERSATION").broken[0].actual == "an empty list made it audio-only"


def test_motion_under_an_unknown_turn_id_is_discarded() -> None:
    said = Dialogue()
    first, second = answered_turn(said, turn_id="turn-1")
    said.motion_down("ann", first, turn_id="turn-1")
    stray = said.motion_down("ann", second, turn_id="turn-7")
    said.ends("ann", 0)
    assert said.guilty("R-CONVERSATION") == [(stray,)]
    assert said.failed == ["R-CONVERSATION"]
    assert said.judged("R-CONVERSATION").broken[0].actual == "a payload was discarded: mismatched id"


@pytest.mark.parametrize("marked", [True, False])
def test_motion_that_was_marked_as_ended_too_early_is_discarded_in_the_next_turn(marked: bool) -> None:
    said = Dialogue()
    first, late = answered_turn(said, 0, "turn-1")
    said.motion_down("ann", first, last=marked, turn_id="turn-1")
    said.ends("ann", 0)
    motion = answered_turn(said, 1, "turn-2")
    stray = said.motion_down("ann", late, last=True, turn_id="turn-1")
    said.motion_down("ann", *motion, last=True, turn_id="turn-2")
    said.ends("ann", 1)
    assert said.guilty("R-CONVERSATION") == [(stray,)]
    (broken,) = said.judged("R-CONVERSATION").broken
    assert ("R-END-MOTION" in broken.follows_from) == marked


def test_a_turn_without_its_end_mark_does_not_come_back_to_idle() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm)
    said.motion_down("ann", *said.answers())
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-CONVERSATION") is Verdict.UNEXERCISED, "R-END-AUDIO failed"
    (outcome,) = check_turns_can_be_played.check(build_story(said.trace))
    assert isinstance(outcome, Broken)
    assert (outcome.actual, outcome.events) == ("the state stayed playing", (said.last,))


def test_a_turn_without_motion_is_no_conversation() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.ends("ann", 0)
    assert said.verdict("R-CONVERSATION") is Verdict.UNEXERCISED


def test_a_turn_with_a_fault_need_not_play() -> None:
    said = Dialogue()
    answered_turn(said)
    said.fault()
    said.hears("ann", Failed("no motion"))
    said.motion_down("ann")
    said.ends("ann", 0)
    assert said.verdict("R-CONVERSATION") is Verdict.UNEXERCISED


def after_a_failed_turn(turn_id: str = "", *, complete: bool = False) -> tuple[Dialogue, bytes]:
    """A turn of ann's in which Motion Server failed after its first payload, which has not come yet."""
    said = Dialogue()
    said.echoes("ann", 0, said.speaks(), turn_id)
    late = said.motion(up_of("ann", 0), req_of("ann", 0), 3)
    said.fault()
    said.ends("ann", 0, complete=complete)
    return said, late


@pytest.mark.parametrize(
    ("complete", "seconds", "lists", "verdict"),
    [
        (False, 0, 1, Verdict.PASSED),
        (False, 16, 1, Verdict.FAILED),
        (False, 0, 2, Verdict.FAILED),
        (True, 0, 1, Verdict.FAILED),
    ],
    ids=["owed", "after the fallback wait", "twice", "not owed any more"],
)
def test_without_turn_ids_one_late_end_of_a_failed_turns_motion_harms_no_later_turn(
    complete: bool, seconds: float, lists: int, verdict: Verdict
) -> None:
    said, _ = after_a_failed_turn(complete=complete)
    said.passes(seconds)
    motion = answered_turn(said, 1)
    for _ in range(lists):
        said.motion_down("ann")
    said.motion_down("ann", *motion)
    said.ends("ann", 1)
    assert said.verdict("R-CONVERSATION") is verdict


def test_without_turn_ids_a_failed_turn_that_had_its_empty_list_is_owed_no_other() -> None:
    said, _ = after_a_failed_turn()
    said.motion_down("ann")
    motion = answered_turn(said, 1)
    again = said.motion_down("ann")
    said.motion_down("ann", *motion)
    said.ends("ann", 1)
    assert said.guilty("R-CONVERSATION") == [(again,)]


def test_an_empty_list_under_the_next_turns_id_is_no_end_of_the_failed_turn() -> None:
    said, _ = after_a_failed_turn("turn-1")
    motion = answered_turn(said, 1, "turn-2")
    said.motion_down("ann", turn_id="turn-2")
    said.motion_down("ann", *motion, turn_id="turn-2")
    said.ends("ann", 1)
    assert said.failed == ["R-CONVERSATION"]


@with_and_without_turn_ids
def test_what_is_left_of_a_failed_turn_harms_no_later_one(turn_id: str) -> None:
    said, late = after_a_failed_turn(turn_id)
    if turn_id:
        said.audio_down("ann", voice("ann 0")[-640:], turn_id=turn_id)
    motion = answered_turn(said, 1, turn_id and "turn-2")
    if turn_id:
        said.audio_down("ann", last=True, turn_id=turn_id)
    said.motion_down("ann", late, turn_id=turn_id)
    said.motion_down("ann", *motion, turn_id=turn_id and "turn-2")
    said.ends("ann", 1)
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED
    assert said.failed == []


@pytest.mark.parametrize(
    ("interrupts", "verdict"),
    [(True, Verdict.UNEXERCISED), (False, Verdict.FAILED)],
    ids=["cut off", "waited for"],
)
def test_without_the_upstream_half_motion_in_flight_of_a_turn_that_was_cut_off_accuses_nobody(
    interrupts: bool, verdict: Verdict
) -> None:
    said = Dialogue(lacks=(UPSTREAM,))
    said.starts("ann", 0, voice("ann 0"))
    said.audio_down("ann", voice("ann 0"), last=True)
    if interrupts:
        said.client_interrupts("ann")
    said.ends("ann", 0)
    said.starts("ann", 1, voice("ann 1"))
    said.motion_down("ann", said.payload("up", "of turn 0"), turn_id="of turn 0")
    said.audio_down("ann", voice("ann 1"), last=True, turn_id="of turn 1")
    said.motion_down("ann", said.payload("up", "of turn 1", end=True), turn_id="of turn 1")
    said.ends("ann", 1)
    assert said.verdict("R-CONVERSATION") is verdict


def test_the_end_of_another_clients_turn_in_a_room_is_no_part_of_a_turn() -> None:
    said = Dialogue(lacks=(OWN_STREAM,))
    pcm = said.speaks("bob", 0)
    said.audio_up(up_of("bob", 0), req_of("bob", 0), pcm, end=True)
    said.audio_down("ann", pcm, turn_id="of bob")
    said.audio_down("ann", bytes(640), last=True, turn_id="of bob")
    ann = said.speaks("ann", 0)
    said.motion_down("ann", *said.answers("bob", 0), turn_id="of bob")
    said.audio_up(up_of("ann", 0), req_of("ann", 0), ann, end=True)
    said.audio_down("ann", ann, last=True, turn_id="of ann")
    said.motion_down("ann", *said.answers("ann", 0), turn_id="of ann")
    said.ends("ann", 0)
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


@pytest.mark.parametrize(
    ("lacks", "words"),
    [((), "its audio never went up"), ((CLIENT_CHOOSES_SPEECH,), "no audio is seen to be")],
)
def test_a_turn_that_was_not_served_beside_one_that_was(lacks: tuple[str, ...], words: str) -> None:
    said = Dialogue(lacks=lacks)
    said.turn("ann", 0)
    said.starts("bob", 0, voice("bob 0"))
    said.ends("bob", 0, complete=False)
    [broken] = said.judged("R-CONVERSATION").broken
    assert words in broken.actual
