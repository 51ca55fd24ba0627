"""What a decoder hears on wires that lack something, and how that is judged."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.story.build_story import build_story
from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of
from spatius_sim.wires.events import Audio, Motion, Speak, SpeakEnd
from spatius_sim.wires.optional_features import AUDIO, END_MARKS, SEVERAL_TURNS, STREAMING


def plays_its_own(lose: bool = False) -> Dialogue:
    """Two turns, each on a connection of its own, of a client that plays the audio that it sent."""
    said = Dialogue(lacks=(AUDIO, SEVERAL_TURNS))
    for number in (0, 1):
        pcm = said.speaks("ann", number)
        said.client_sends("ann", Speak(pcm[:3200]), Speak(pcm[3200:]), SpeakEnd())
        said.audio_up(up_of("ann", number), req_of("ann", number), pcm, end=True)
        first, second = said.answers("ann", number)
        said.motion_down("ann", *([second] if lose else [first, second]), last=True)
        said.relay_hangs_up("ann")
        said.ends("ann", number)
    return said


def test_a_client_that_brings_the_audio_opens_the_conversation_with_it() -> None:
    story = build_story(plays_its_own().trace)
    assert [bytes(c.audio) for c in story.conversations] == [turn.pcm for turn in story.turns]
    assert [len(c.marks) for c in story.conversations] == [1, 1]
    assert all(delivery.conversation for delivery in story.deliveries)


@pytest.mark.parametrize("rule_id", ["R-AUDIO-COMPLETE", "R-AUDIO-FIRST", "R-END-AUDIO", "R-TURNS"])
def test_what_such_a_wire_cannot_break_is_not_judged(rule_id: str) -> None:
    judged = plays_its_own().judged(rule_id)
    assert judged.verdict is Verdict.NOT_APPLICABLE
    assert judged.reason.startswith("the subject lacks ")


@pytest.mark.parametrize("rule_id", ["R-MOTION-COMPLETE", "R-CONVERSATION", "U-AUDIO-END"])
def test_what_it_can_break_is(rule_id: str) -> None:
    assert plays_its_own().verdict(rule_id) is Verdict.PASSED


def test_a_lost_payload_is_named_there_too() -> None:
    assert plays_its_own(lose=True).failed == ["R-MOTION-COMPLETE"]


def test_audio_that_comes_back_unasked_is_not_played_twice() -> None:
    said = Dialogue(lacks=(AUDIO,))
    pcm = said.speaks()
    said.client_sends("ann", Speak(pcm, last=True))
    said.echoes("ann", 0, pcm)
    said.motion_down("ann", *said.answers())
    said.ends("ann", 0)
    assert [bytes(c.audio) for c in build_story(said.trace).conversations] == [pcm]
    assert said.failed == []


def hangs_up(*, marked: bool = False, turn_id: str = "") -> Dialogue:
    said = Dialogue(lacks=(END_MARKS,))
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm, last=marked, turn_id=turn_id)
    said.motion_down("ann", *said.answers(), turn_id=turn_id)
    said.relay_hangs_up("ann")
    said.ends("ann", 0)
    return said


@pytest.mark.parametrize("turn_id", ["", "t"])
def test_where_closing_is_the_mark_closing_counts(turn_id: str) -> None:
    said = hangs_up(turn_id=turn_id)
    assert said.failed == []
    assert said.verdict("R-END-AUDIO") is said.verdict("R-CONVERSATION") is Verdict.PASSED


def test_closing_marks_nothing_twice() -> None:
    assert hangs_up(marked=True).verdict("R-END-AUDIO") is Verdict.PASSED


def test_closing_is_no_mark_where_there_are_others() -> None:
    said = Dialogue()
    said.audio_down("ann", b"12")
    said.relay_hangs_up("ann")
    assert [event for _, event in yield_decoder_input(said.trace)] == [Audio(b"12")]


def test_closing_before_any_audio_says_nothing() -> None:
    said = Dialogue(lacks=(END_MARKS,))
    said.motion_down("ann", b"motion")
    said.relay_hangs_up("ann")
    assert [event for _, event in yield_decoder_input(said.trace)] == [Motion((b"motion",))]


def test_a_document_has_no_first() -> None:
    said = Dialogue(lacks=(STREAMING,))
    said.turn("ann")
    said.turn("bob")
    assert said.verdict("R-AUDIO-FIRST") is Verdict.NOT_APPLICABLE
    assert said.verdict("R-CONVERSATION") is Verdict.PASSED
