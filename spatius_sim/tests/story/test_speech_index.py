"""A piece of audio is found in the turn in which it was spoken, wherever it was cut."""

from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.story.speech_index import SpeechIndex
from spatius_sim.story.turn_story import Turn
from spatius_sim.tests.rules.traces import voice


def turn(number: int, pcm: bytes) -> Turn:
    return Turn("ann", number, 0, 0, 9, pcm, 16_000)


ONE, TWO = turn(0, voice("one", 8_000)), turn(1, voice("two", 8_000))


@given(st.integers(0, 7_000), st.integers(200, 4_000))
def test_a_piece_of_one_turn_is_found_in_it_alone(start: int, size: int) -> None:
    assert SpeechIndex([ONE, TWO]).find(ONE.pcm[2 * start : 2 * start + size]) is ONE


def test_what_stands_in_no_turn_or_in_two_is_found_in_none() -> None:
    index = SpeechIndex([ONE, TWO, turn(2, TWO.pcm)])
    assert index.find(voice("three", 8_000)) is None
    assert index.find(TWO.pcm) is None
    assert index.find(b"\0" * 6_400) is None


def test_a_piece_that_silence_interrupts_everywhere_is_searched() -> None:
    pulses = (b"\1\0" * 4 + b"\0" * 24) * 200
    assert SpeechIndex([ONE, turn(1, pulses)]).find(pulses[32:3_232]) is not ONE


def test_half_a_sample_at_the_end_may_be_missing_or_made_whole() -> None:
    spoken = turn(0, voice("half", 700) + b"\1")
    spoken.half_sample = True
    whole = spoken.pcm[:-1]
    assert spoken.is_same_speech(whole, spoken.pcm, 16_000)
    assert spoken.is_same_speech(whole + b"\1\0", whole, 16_000)
    assert not spoken.is_same_speech(whole[2:], whole, 16_000)
