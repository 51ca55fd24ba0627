"""R rules that turns and clients stay apart: none gets what belongs to another."""

import pytest

from spatius_sim.rules.findings import Broken, Kept, Verdict
from spatius_sim.rules.relay.turns_and_clients_apart import (
    check_clients_are_isolated,
    check_motion_in_own_turn,
)
from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.relay.test_play_with_reference_decoder import (
    after_a_failed_turn,
    answered_turn,
)
from spatius_sim.tests.rules.traces import Dialogue, voice

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
