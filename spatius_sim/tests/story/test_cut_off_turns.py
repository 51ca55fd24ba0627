"""Turns that their client interrupted or spoke over: what is left of them is told apart from the next one."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.story.build_story import build_story
from spatius_sim.story.turn_story import Story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.wires.events import Interrupted
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH


def cut_off(how: str = "interrupted", turn_id: str = "") -> Dialogue:
    """Half a turn of Ann's, cut off by an interrupt or by her next turn, whose first motion is on its way."""
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[:3200])
    said.audio_down("ann", pcm[:3200], turn_id=turn_id)
    if how != "spoken over":
        said.client_interrupts("ann")
    if how == "interrupted, and told so":
        said.hears("ann", Interrupted("asked"))
    return said


def joined(said: Dialogue) -> Story:
    return build_story(said.trace)


@pytest.mark.parametrize("how", ["interrupted", "interrupted, and told so", "spoken over"])
@pytest.mark.parametrize("turn_ids", [("", ""), ("t0", "t1")], ids=["without turn ids", "with turn ids"])
def test_what_was_cut_off_is_a_conversation_of_its_own(how: str, turn_ids: tuple[str, str]) -> None:
    said = cut_off(how, turn_ids[0])
    said.turn("ann", 1, turn_ids[1])
    story = joined(said)
    assert [turn.abandoned for turn in story.turns] == [True, False]
    assert [c.turn for c in story.conversations] == story.turns
    assert [turn.audio_down for turn in story.turns] == [voice("ann 0")[:3200], voice("ann 1")]
    assert said.failed == []
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


def test_audio_on_its_way_when_the_next_turn_begins_is_not_the_next_turns() -> None:
    said = cut_off()
    pcm = said.speaks("ann", 1)
    said.audio_down("ann", voice("ann 0")[3200:])
    said.echoes("ann", 1, pcm)
    said.motion_down("ann", *said.answers("ann", 1), last=True)
    said.ends("ann", 1)
    assert said.failed == []


@pytest.mark.parametrize("turn_id", ["", "t0"])
def test_motion_on_its_way_when_the_next_turn_begins(turn_id: str) -> None:
    said = cut_off(turn_id=turn_id)
    late = said.motion(up_of("ann", 0), req_of("ann", 0))
    pcm = said.speaks("ann", 1)
    said.motion_down("ann", late, turn_id=turn_id)
    said.echoes("ann", 1, pcm, turn_id and "t1")
    said.motion_down("ann", *said.answers("ann", 1), last=True, turn_id=turn_id and "t1")
    said.ends("ann", 1)
    assert said.failed == []
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED


def test_the_interrupt_that_counts_is_the_first() -> None:
    said = cut_off()
    first = said.last
    said.client_interrupts("ann")
    assert joined(said).turns[0].interrupted_seq == first


def test_an_interrupt_before_every_turn_interrupts_none() -> None:
    said = Dialogue()
    said.client_interrupts("ann")
    said.turn()
    assert [turn.interrupted_seq for turn in joined(said).turns] == [None]


def test_resampled_audio_behind_a_turn_that_was_cut_off_is_not_judged() -> None:
    said = Dialogue()
    said.ready("ann", 24_000)
    said.starts("ann", 0, voice("ann 0"))
    said.client_interrupts("ann")
    said.starts("ann", 1, voice("ann 1"))
    said.ends("ann", 1)
    assert joined(said).clean_turns == []


def test_changed_audio_that_went_up_behind_a_turn_that_was_cut_off_is_not_judged() -> None:
    said = cut_off()
    said.starts("ann", 1, voice("ann 1"))
    said.connects("up")
    said.audio_up("up", "r", voice("changed"), end=True)
    said.ends("ann", 1)
    assert joined(said).clean_turns == []


def test_audio_after_its_end_is_another_request_that_takes_the_req_id() -> None:
    said = Dialogue()
    said.connects("up")
    for number in (0, 1):
        said.starts("ann", number, voice(f"ann {number}"))
        said.audio_up("up", "same", voice(f"ann {number}"), end=True)
    said.audio_up("up", "same", end=True)
    first, second = joined(said).requests
    assert (first.reuses, second.reuses) == (None, first)
    assert [bytes(request.audio) for request in (first, second)] == [voice("ann 0"), voice("ann 1")]
    assert (len(first.ends), len(second.ends)) == (1, 2)


def test_audio_of_another_in_the_middle_of_ones_own() -> None:
    said = Dialogue()
    for client in ("ann", "bob"):
        said.speaks(client)
    pcm = voice("ann 0")
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm[:3200])
    strange = said.audio_down("ann", voice("bob 0")[:1600])
    said.audio_down("ann", pcm[3200:], last=True)
    said.motion_down("ann", *said.answers("ann"), last=True)
    said.ends("ann", 0)
    said.echoes("bob", 0, voice("bob 0"))
    said.motion_down("bob", *said.answers("bob"), last=True)
    said.ends("bob", 0)
    assert said.failed == ["R-ISOLATION"]
    assert said.guilty("R-ISOLATION") == [(strange,)]


def test_motion_in_a_turn_that_was_cut_off_is_no_matter_of_clean_turns() -> None:
    said = cut_off("interrupted", "t0")
    said.echoes("ann", 1, said.speaks("ann", 1), "t1")
    said.motion_down("ann", *said.answers("ann", 1), last=True, turn_id="t0")
    said.ends("ann", 1)
    assert said.verdict("R-TURNS") is Verdict.UNEXERCISED


@pytest.mark.parametrize(
    ("lacks", "turn_id", "clean"),
    [((CLIENT_CHOOSES_SPEECH,), "", False), ((CLIENT_CHOOSES_SPEECH,), "turn 1", True), ((), "", True)],
    ids=["chosen by the relay", "under a turn id", "spoken by the client"],
)
def test_late_audio_of_a_cut_off_turn_makes_the_next_one_unclean_if_nothing_tells_them_apart(
    lacks: tuple[str, ...], turn_id: str, clean: bool
) -> None:
    said = Dialogue(lacks=lacks)
    said.speaks("ann", 0)
    said.client_interrupts("ann")
    pcm = said.speaks("ann", 1)
    said.audio_down("ann", voice("late audio of the cut-off turn"), turn_id=turn_id)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm, end=True)
    said.audio_down("ann", pcm, last=True, turn_id=turn_id)
    said.motion_down("ann", *said.answers("ann", 1), last=True, turn_id=turn_id)
    said.ends("ann", 1)
    assert build_story(said.trace).turns[1].clean is clean
