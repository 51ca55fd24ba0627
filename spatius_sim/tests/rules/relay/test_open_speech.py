"""Speech whose end no document fixes: what was never ended, what was merged, and what is padded."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import KEYFRAME, Dialogue, req_of, up_of, voice
from spatius_sim.wires.events import Failed, Speak, SpeakEnd
from spatius_sim.wires.optional_features import SPEECH_END

FORTY_MS = 2 * KEYFRAME


def kept_over_an_interrupt(*, ended: bool = False, in_one: bool = False, turn_id: str = "") -> Dialogue:
    """The relay keeps what came before the interrupt, and speaks it with the next turn."""
    said = Dialogue()
    said.turn("ann", 0, turn_id and "t0")
    kept = voice("ann 1")[:3200]
    said.starts("ann", 1, voice("ann 1"))
    said.client_sends("ann", Speak(kept), *([SpeakEnd()] if ended else []))
    said.client_interrupts("ann")
    pcm = said.speaks("ann", 2)
    said.client_sends("ann", Speak(pcm), SpeakEnd())
    for audio in [kept + pcm] if in_one else [kept, pcm[:3200], pcm[3200:]]:
        said.audio_up(up_of("ann", 2), req_of("ann", 2), audio)
        said.audio_down("ann", audio, turn_id=turn_id and "t2")
    said.audio_up(up_of("ann", 2), req_of("ann", 2), end=True)
    said.audio_down("ann", last=True, turn_id=turn_id and "t2")
    said.motion_down("ann", *said.answers("ann", 2), last=True, turn_id=turn_id and "t2")
    said.ends("ann", 2)
    return said


@pytest.mark.parametrize("in_one", [False, True], ids=["in pieces", "in one"])
@pytest.mark.parametrize("turn_id", ["", "t"])
def test_speech_that_was_never_ended_may_be_spoken_with_the_next_turn(in_one: bool, turn_id: str) -> None:
    assert kept_over_an_interrupt(in_one=in_one, turn_id=turn_id).failed == []


def test_speech_that_was_ended_may_not() -> None:
    assert kept_over_an_interrupt(ended=True).failed != []


@pytest.mark.parametrize("changed", [False, True], ids=["as spoken", "changed"])
def test_a_failed_turn_that_was_never_marked_is_told_as_that(changed: bool) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = said.speaks("ann", 1)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm)
    said.audio_down("ann", voice("one") if changed else pcm)
    said.fault()
    said.hears("ann", Failed("no motion"))
    said.passes(20)
    said.ends("ann", 1, complete=False)
    pcm = said.speaks("ann", 2)
    said.audio_up(up_of("ann", 2), req_of("ann", 2), pcm, end=True)
    said.audio_down("ann", voice("two") if changed else pcm, last=True)
    said.motion_down("ann", *said.answers("ann", 2), last=True)
    said.ends("ann", 2)
    assert said.verdict("R-RECOVER") is Verdict.PASSED
    assert said.failed == (["R-AUDIO-COMPLETE"] if changed else ["R-FALLBACK"])


def test_a_turn_that_was_never_marked_swallows_no_other() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm)
    said.motion_down("ann", *said.answers(), last=True)
    said.ends("ann", 0, complete=False)
    said.turn("ann", 1)
    assert said.failed == ["R-END-AUDIO"]
    assert [broken.actual for broken in said.judged("R-END-AUDIO").broken] == ["it was never marked"]


@pytest.mark.parametrize("where", ["up", "down", "both"])
def test_less_than_40_ms_of_silence_after_the_last_sample_is_nothing_lost(where: str) -> None:
    assert padded(FORTY_MS - 2, where).failed == []
    assert padded(FORTY_MS - 2, where).verdict("U-AUDIO-COMPLETE") is Verdict.PASSED


@pytest.mark.parametrize("where", ["up", "down"])
def test_more_silence_on_one_side_alone_is_more_than_was_spoken(where: str) -> None:
    assert "R-AUDIO-COMPLETE" in padded(FORTY_MS, where).failed


@pytest.mark.parametrize("size", [FORTY_MS, 40 * FORTY_MS])
def test_any_silence_that_goes_up_and_comes_down_is_nothing_lost(size: int) -> None:
    assert padded(size, "both").failed == []
    assert padded(size, "both").verdict("U-AUDIO-COMPLETE") is Verdict.PASSED


def padded(size: int, where: str) -> Dialogue:
    said = Dialogue()
    pcm = said.speaks()
    padding = bytes(size)
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm + (padding if where != "down" else b""), end=True)
    said.audio_down("ann", pcm + (padding if where != "up" else b""), last=True)
    said.motion_down("ann", *said.answers(), last=True)
    said.ends("ann", 0)
    return said


def merged(lacks: tuple[str, ...]) -> Dialogue:
    """Two turns without a pause between them, which the relay takes for one."""
    said = Dialogue(lacks=lacks)
    said.turn("ann", 0)
    first = said.speaks("ann", 1)
    said.ends("ann", 1, complete=False)
    second = voice("ann 2")
    said.starts("ann", 2, second)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), first + second, end=True)
    said.audio_down("ann", first)
    said.audio_down("ann", second, last=True)
    said.motion_down("ann", *said.answers("ann", 1), last=True)
    said.ends("ann", 2)
    return said


def test_where_silence_ends_speech_merged_turns_accuse_nobody() -> None:
    assert merged((SPEECH_END,)).failed == []


def test_where_speech_is_ended_merged_turns_are_a_fault() -> None:
    assert merged(()).failed != []
