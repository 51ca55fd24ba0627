"""On a real clock, a call may have taken effect at any time between its request and its answer."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.story.build_client_story import build_client_story
from spatius_sim.tests.rules.client.client_traces import Said
from spatius_sim.wires.testee_messages import TesteeRequest

RATE = 16000
KEYFRAME = RATE // 25


def failed(said: Said) -> list[str]:
    return [name for name, one in said.judged().items() if one.verdict is Verdict.FAILED]


def call(said: Said, do: str, took_ms: int) -> None:
    said.says(TesteeRequest(0, do), took_ms=took_ms)


def begun() -> Said:
    """A conversation with two seconds of motion, of which 800 ms are played and seen. Keyframe k has the
    number 100 + k."""
    said = Said(clock="real")
    said.audio(2 * RATE, False, "one")
    said.motion(100, 50, "one")
    said.passes(800)
    said.seen(
        state="playing",
        conversationId="one",
        samplesPlayed=20 * KEYFRAME,
        keyframesRendered=list(range(100, 121)),
    )
    return said


def shown_after(do: str, took_ms: int, *keyframes: int) -> list[str]:
    """What is named if these keyframes of the conversation are seen after a call that ended it so slowly."""
    said = begun()
    if do == "interrupt":
        call(said, do, took_ms)
        said.seen(1, keyframesRendered=[100 + keyframe for keyframe in keyframes])
    else:
        said.audio(0, True, "one")
        said.audio(RATE, False, "two", took_ms=took_ms)
        rendered = [100 + keyframe for keyframe in keyframes]
        said.seen(1, state="playing", conversationId="two", keyframesRendered=rendered)
    return failed(said)


def test_what_was_shown_before_an_interrupt_was_taken_is_no_fault() -> None:
    assert shown_after("interrupt", 200, 21, 22, 23, 24, 25) == []
    assert shown_after("interrupt", 200, 40) == ["C-INTERRUPT"]


def test_what_was_shown_before_the_next_audio_was_taken_is_no_fault() -> None:
    assert shown_after("next audio", 200, 21, 22, 23, 24, 25) == []
    assert shown_after("next audio", 200, 40) == ["C-MATCH"]


def test_motion_of_a_conversation_that_was_cut_off_is_forgiven_only_once() -> None:
    said = begun()
    call(said, "interrupt", 200)
    said.seen(keyframesRendered=[121])
    said.passes(100)
    said.seen(keyframesRendered=[122])
    assert failed(said) == ["C-INTERRUPT"]


@pytest.mark.parametrize(("took_ms", "named"), [(0, ["C-STATES"]), (120, [])])
def test_audio_may_be_played_from_its_request_on(took_ms: int, named: list[str]) -> None:
    said = Said(clock="real")
    said.audio(4 * KEYFRAME, True, "one", took_ms=took_ms)
    said.seen(state="playing", conversationId="one", samplesPlayed=0)
    said.passes(60)
    said.seen(samplesPlayed=4 * KEYFRAME)
    assert failed(said) == named


def test_a_resumed_conversation_may_play_from_the_request_on() -> None:
    assert high_after_resume(0) == 20 * KEYFRAME
    assert high_after_resume(120) == 23 * KEYFRAME


def high_after_resume(took_ms: int) -> int:
    """How far the fastest client may be when a resume that took so long is answered."""
    said = begun()
    call(said, "pause", 0)
    said.passes(1000)
    said.seen(state="paused", conversationId="one", samplesPlayed=20 * KEYFRAME)
    call(said, "resume", took_ms)
    said.seen(state="playing", conversationId="one", samplesPlayed=20 * KEYFRAME)
    return build_client_story(said.trace).observations[-1].high


@pytest.mark.parametrize(("took_ms", "named"), [(0, ["C-STARVE"]), (700, [])])
def test_a_client_may_look_at_itself_long_before_it_answers(took_ms: int, named: list[str]) -> None:
    said = Said(clock="real")
    said.audio(100 * KEYFRAME, False, "one")
    said.passes(2000 - took_ms)
    said.seen(took_ms, state="playing", conversationId="one", samplesPlayed=30 * KEYFRAME)
    assert failed(said) == named


def test_time_in_which_a_client_looked_at_itself_counts_afterwards() -> None:
    said = Said(clock="real")
    said.audio(100 * KEYFRAME, False, "one")
    said.seen(1000, state="playing", conversationId="one")
    said.passes(1000)
    said.seen(state="playing", conversationId="one", samplesPlayed=30 * KEYFRAME)
    assert build_client_story(said.trace).observations[0].low == 0
    assert failed(said) == ["C-STARVE"]


@pytest.mark.parametrize(("took_ms", "low"), [(0, 35 * KEYFRAME), (600, 20 * KEYFRAME)])
def test_a_client_may_pause_long_before_it_answers(took_ms: int, low: int) -> None:
    said = Said(clock="real")
    said.audio(100 * KEYFRAME, False, "one")
    said.passes(2000 - took_ms)
    call(said, "pause", took_ms)
    said.passes(700)
    said.seen(state="paused", conversationId="one", samplesPlayed=20 * KEYFRAME)
    assert build_client_story(said.trace).observations[0].low == low
