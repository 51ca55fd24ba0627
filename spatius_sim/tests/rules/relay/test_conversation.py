"""R rules on what belongs together: conversations, turns, clients."""

import pytest

from spatius_sim.rules.findings import Broken, Kept, Verdict
from spatius_sim.rules.relay.conversation import (
    check_clients_are_isolated,
    check_motion_in_own_turn,
    check_turns_can_be_played,
)
from spatius_sim.story.join_turns import build_story
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


# R-TURNS.


@pytest.mark.parametrize("turn_ids", [("", ""), ("a", "b")], ids=["without turn ids", "with turn ids"])
def test_two_turns_that_stay_apart(turn_ids: tuple[str, str]) -> None:
    said = Dialogue()
    for number, turn_id in enumerate(turn_ids):
        said.turn("ann", number, turn_id)
    assert said.verdict("R-TURNS") is Verdict.PASSED


def test_one_turn_alone_stays_apart_from_none() -> None:
    said = Dialogue()
    said.turn()
    assert said.verdict("R-TURNS") is Verdict.UNEXERCISED


def test_the_second_turns_motion_in_the_first_turn() -> None:
    said = Dialogue()
    said.turn("ann", 0, "a")
    first, second = answered_turn(said, 1, "b")
    sent = said.last
    wrong = [
        said.motion_down("ann", first, turn_id="a"),
        said.motion_down("ann", second, last=True, turn_id="a"),
    ]
    said.ends("ann", 1)
    assert said.guilty("R-TURNS") == [(sent - 1, wrong[0]), (sent, wrong[1])]
    assert said.failed == ["R-TURNS"]


def test_the_first_turns_motion_in_the_second_turn() -> None:
    said = Dialogue()
    first, late = answered_turn(said, 0)
    said.motion_down("ann", first)
    said.ends("ann", 0, complete=False)
    motion = answered_turn(said, 1)
    wrong = said.motion_down("ann", late)
    said.motion_down("ann", *motion)
    said.ends("ann", 1)
    assert [events[1] for events in said.guilty("R-TURNS")] == [wrong]
    assert said.failed == ["R-TURNS"]


def test_motion_of_a_turn_with_a_fault_may_be_anywhere() -> None:
    said = Dialogue()
    late = answered_turn(said, 0)
    said.fault()
    said.ends("ann", 0, complete=False)
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("ann", *late)
    said.ends("ann", 1)
    assert said.verdict("R-TURNS") is Verdict.UNEXERCISED


def test_anothers_motion_is_no_matter_of_turns() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.turn("ann", 1)
    said.motion_down("ann", *said.turn("bob"))
    assert said.verdict("R-TURNS") is Verdict.PASSED
    assert said.failed == ["R-ISOLATION"]


@pytest.mark.parametrize(("turn_id", "failed"), [("a", []), ("b", ["R-TURNS"])], ids=["its own", "the next"])
def test_motion_of_a_failed_turn_under_a_turn_id(turn_id: str, failed: list[str]) -> None:
    said, late = after_a_failed_turn("a")
    motion = answered_turn(said, 1, "b")
    said.motion_down("ann", late, turn_id=turn_id)
    said.motion_down("ann", *motion, turn_id="b")
    said.ends("ann", 1)
    assert said.failed == failed


@pytest.mark.parametrize("failing", [True, False])
def test_a_turn_id_may_come_again_after_its_end(failing: bool) -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks(), "again")
    if failing:
        said.fault()
    else:
        said.motion_down("ann", *said.answers(), turn_id="again")
    said.ends("ann", 0, complete=not failing)
    said.turn("ann", 1, "again")
    assert set(said.failed) <= {"R-ERROR-TOLD"}
    assert said.verdict("R-CONVERSATION") is said.verdict("R-END-AUDIO") is Verdict.PASSED


# R-ISOLATION.


def test_two_clients_that_get_their_own() -> None:
    said = Dialogue()
    said.turn("ann", turn_id="turn-1")
    said.turn("bob", turn_id="turn-1")
    assert said.verdict("R-ISOLATION") is Verdict.PASSED


def test_a_client_alone_is_isolated_from_nobody() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.turn("ann", 1)
    assert said.verdict("R-ISOLATION") is Verdict.UNEXERCISED


def test_motion_at_another_client() -> None:
    said = Dialogue()
    said.turn("bob")
    payload, _ = said.turn("ann")
    leaked = said.motion_down("bob", payload)
    assert said.guilty("R-ISOLATION") == [(leaked,)]
    assert said.failed == ["R-ISOLATION"]
    assert said.judged("R-ISOLATION").broken[0].actual == "bob got motion of turn 1 of ann"


def test_audio_at_another_client() -> None:
    said = Dialogue()
    said.turn("bob", turn_id="b")
    said.turn("ann", turn_id="a")
    leaked = said.audio_down("bob", voice("ann 0"), turn_id="a")
    said.audio_down("bob", last=True, turn_id="a")
    assert said.guilty("R-ISOLATION") == [(leaked,)]
    assert said.failed == ["R-ISOLATION"]


def test_isolation_is_judged_beside_a_fault_too() -> None:
    said = Dialogue()
    said.turn("bob")
    motion = answered_turn(said)
    said.fault()
    said.motion_down("bob", motion[0])
    assert said.failed == ["R-ISOLATION"]


def test_what_belongs_to_no_turn_is_nobodys() -> None:
    said = Dialogue()
    said.audio_down("ann", voice("welcome"), last=True)
    said.audio_down("bob", voice("welcome"), last=True)
    said.starts("ann", 0, voice("ann"))
    said.starts("bob", 0, voice("bob"))
    assert said.verdict("R-ISOLATION") is Verdict.UNEXERCISED


def test_motion_that_came_from_nowhere_is_nobodys() -> None:
    said = Dialogue()
    said.turn("ann")
    said.turn("bob")
    said.motion_down("ann", b"invented")
    outcomes = list(check_clients_are_isolated.check(build_story(said.trace)))
    assert outcomes == [Kept()] * 6


def test_a_pooled_connection_serves_two_clients() -> None:
    said = Dialogue()
    said.connects("pool")
    for client in ("ann", "bob"):
        said.starts(client, 0, voice(client))
    for client in ("ann", "bob"):
        said.audio_up("pool", f"req of {client}", voice(client), end=True)
        said.audio_down(client, voice(client), last=True)
    of_bob = said.motion("pool", "req of bob", 5, end=True)
    of_ann = said.motion("pool", "req of ann", 5, end=True)
    said.motion_down("ann", of_ann)
    said.motion_down("bob", of_bob)
    for client in ("ann", "bob"):
        said.ends(client, 0)
    assert said.failed == []
    assert said.judged("R-ISOLATION").exercised == 4


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


@pytest.mark.parametrize(
    ("turn_ids", "verdict"),
    [
        (("a", "b", "c"), Verdict.PASSED),
        (("a", "b", "b"), Verdict.FAILED),
        (("a", "b", "a"), Verdict.FAILED),
        (("a", "a", "a"), Verdict.PASSED),
        (("", "", ""), Verdict.PASSED),
    ],
    ids=["own ids", "the newest again", "an old one again", "one id names no turns", "no ids"],
)
def test_each_turn_has_an_id_of_its_own(turn_ids: tuple[str, ...], verdict: Verdict) -> None:
    said = Dialogue()
    for number, turn_id in enumerate(turn_ids):
        said.turn("ann", number, turn_id)
    assert said.verdict("R-TURNS") is verdict
    assert said.failed == (["R-TURNS"] if verdict is Verdict.FAILED else [])


def test_a_turn_without_audio_does_not_show_that_an_id_names_turns() -> None:
    said = Dialogue()
    said.turn("ann", 0, "session")
    said.starts("ann", 1, bytes(6400))
    said.ends("ann", 1)
    said.turn("ann", 2, "session")
    story = build_story(said.trace)
    assert [bool(turn.conversations) for turn in story.clean_turns] == [True, False, True]
    assert not [found for found in check_motion_in_own_turn.check(story) if isinstance(found, Broken)]


def test_a_turn_may_have_the_id_of_one_that_failed() -> None:
    said = Dialogue()
    said.turn("ann", 0, "a")
    pcm = said.speaks("ann", 1)
    said.fault()
    said.audio_down("ann", pcm, last=True, turn_id="b")
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2, "b")
    assert "R-TURNS" not in said.failed
