"""A relay may send the sentences of one turn up in sessions of their own, all at once: for its client they
are one turn, in the order in which they are spoken."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.build_story import build_story
from spatius_sim.story.speech_chosen_by_relay import with_speech
from spatius_sim.story.turn_story import sort_as_spoken
from spatius_sim.tests.rules.traces import Dialogue, voice
from spatius_sim.trace.events import Trace, TurnStarted
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH

SENTENCES = {"first": voice("first"), "second": voice("second"), "third": voice("third")}


def sent_up_out_of_order(*motion_comes_as: str) -> Trace:
    """A turn whose second session is opened later than its third. The motion of the sentences goes to the
    client in the order that is named."""
    said = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH,))
    said.starts("ann", 0, b"", rate=0)
    said.audio_down("ann", b"".join(SENTENCES.values()), last=True)
    motion = {}
    for name in ("first", "third", "second"):
        said.connects(f"up of {name}")
        said.audio_up(f"up of {name}", name, SENTENCES[name], end=True)
        motion[name] = said.motion(f"up of {name}", name, 5, end=True)
    for name in motion_comes_as:
        said.motion_down("ann", motion[name], last=name == motion_comes_as[-1])
    said.ends("ann", 0)
    return with_speech(said.trace)


def test_the_speech_of_the_turn_is_what_the_client_heard() -> None:
    trace = sent_up_out_of_order(*SENTENCES)
    [started] = [event.content for event in trace.events if isinstance(event.content, TurnStarted)]
    assert started.pcm == b"".join(SENTENCES.values())


@pytest.mark.parametrize("rule_id", ["R-AUDIO-COMPLETE", "R-MOTION-ORDER", "R-MOTION-COMPLETE"])
def test_sentences_whose_motion_comes_as_they_are_spoken_are_one_good_turn(rule_id: str) -> None:
    judgements = judge(sent_up_out_of_order(*SENTENCES))
    assert judgements[rule_id].verdict is Verdict.PASSED
    assert Verdict.FAILED not in {judgement.verdict for judgement in judgements.values()}


def test_motion_of_a_sentence_behind_that_of_a_later_one() -> None:
    judgements = judge(sent_up_out_of_order("first", "third", "second"))
    failed = [name for name, judgement in judgements.items() if judgement.verdict is Verdict.FAILED]
    assert failed == ["R-MOTION-ORDER"]
    [broken] = judgements["R-MOTION-ORDER"].broken
    assert broken.actual == "ann got motion of a sentence behind that of a later one"


def test_pieces_that_were_not_spoken_stay_as_they_are() -> None:
    assert sort_as_spoken([b"bb", b"aa"], b"aabb") == [b"aa", b"bb"]
    assert sort_as_spoken([b"bb", b"cc", b"aa"], b"aabb") == [b"bb", b"cc", b"aa"]


def test_silence_at_the_end_stays_there_though_there_is_some_in_the_first_sentence() -> None:
    pieces = [b"a\0\0a", b"bb", b"\0\0"]
    assert sort_as_spoken(pieces, b"".join(pieces)) == pieces


@pytest.mark.parametrize("others", [0, 1])
def test_a_session_of_the_turn_that_never_carried_audio_fails_for_this_turn(others: int) -> None:
    said = Dialogue()
    for number in range(others):
        said.starts(f"other {number}", 0, voice(f"other {number}"))
    said.starts("ann", 0, SENTENCES["first"] + SENTENCES["second"])
    for name in ("first", "second"):
        said.connects(f"up of {name}")
    said.opened("up of nothing")
    for name in ("first", "second"):
        said.audio_up(f"up of {name}", name, SENTENCES[name], end=True)
    said.fault(up="up of nothing")
    said.ends("ann", 0, complete=False)
    turn = build_story(said.trace).turns[-1]
    assert len(turn.failures) == 1
    assert not turn.clean


def test_nothing_shows_when_silence_was_spoken() -> None:
    said = Dialogue()
    silence = bytes(2 * 16_000)
    said.starts("ann", 0, SENTENCES["first"] + silence)
    for up in ("up of silence", "up of first"):
        said.connects(up)
    said.audio_up("up of silence", "silence", silence, end=True)
    late = said.motion("up of silence", "silence", 25, end=True)
    said.audio_up("up of first", "first", SENTENCES["first"], end=True)
    said.audio_down("ann", SENTENCES["first"] + silence, last=True)
    said.motion_down("ann", said.motion("up of first", "first", 5, end=True))
    said.motion_down("ann", late, last=True)
    said.ends("ann", 0)
    assert said.verdict("R-MOTION-ORDER") is Verdict.PASSED


def test_a_sentence_that_is_said_twice_may_be_meant_at_either_place() -> None:
    """As "Yes. I see. Yes." in a cached voice."""
    again, other = voice("again"), voice("other")
    said = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH,))
    said.starts("ann", 0, b"", rate=0)
    said.audio_down("ann", again + other + again, last=True)
    said.connects("up")
    for number, sentence in enumerate((again, other, again)):
        said.audio_up("up", f"request-{number}", sentence, end=True)
        said.motion_down("ann", said.motion("up", f"request-{number}", 5, end=True), last=number == 2)
    said.ends("ann", 0)
    assert judge(with_speech(said.trace))["R-MOTION-ORDER"].verdict is Verdict.PASSED
