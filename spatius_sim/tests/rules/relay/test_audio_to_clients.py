"""R rules on audio: complete, before the motion, marked at its end."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import RATE, Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Provocation
from spatius_sim.wires.events import Speak, SpeakEnd
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, PCM, SPEECH_END

RULES = ("R-AUDIO-COMPLETE", "R-AUDIO-FIRST", "R-END-AUDIO")
UP, REQ = up_of("ann", 0), req_of("ann", 0)


@pytest.mark.parametrize("rule_id", RULES)
@pytest.mark.parametrize("turn_id", ["", "turn-1"])
def test_audio_passed_on_as_it_came(rule_id: str, turn_id: str) -> None:
    said = Dialogue()
    said.turn(turn_id=turn_id)
    assert said.verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", RULES)
def test_a_turn_that_nothing_came_of_says_nothing_of_audio(rule_id: str) -> None:
    said = Dialogue()
    said.speaks()
    said.ends("ann", 0)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED


@pytest.mark.parametrize("rule_id", RULES)
def test_less_than_a_keyframe_is_no_clean_turn(rule_id: str) -> None:
    said = Dialogue()
    pcm = voice("too short", 639)
    said.starts("ann", 0, pcm)
    said.connects(UP)
    said.audio_up(UP, REQ, pcm, end=True)
    said.ends("ann", 0)
    assert said.verdict(rule_id) is Verdict.UNEXERCISED


def test_audio_in_other_pieces_is_the_same_audio() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_down("ann", pcm[:100])
    said.audio_down("ann", pcm[100:], last=True)
    said.ends("ann", 0)
    assert said.verdict("R-AUDIO-COMPLETE") is Verdict.PASSED
    assert said.verdict("R-END-AUDIO") is Verdict.PASSED


def test_audio_under_two_req_ids_is_one_audio() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, "req-a", pcm[:3200], end=True)
    said.audio_up(UP, "req-b", pcm[3200:], end=True)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0)
    assert said.verdict("R-AUDIO-COMPLETE") is Verdict.PASSED


@pytest.mark.parametrize(
    "lost",
    [slice(640, None), slice(0, -640), slice(0, 0)],
    ids=["at the start", "at the end", "all of it"],
)
def test_lost_audio(lost: slice) -> None:
    said = Dialogue()
    pcm = said.speaks()
    went_up = said.audio_up(UP, REQ, pcm, end=True)
    came_down = said.audio_down("ann", pcm[lost], last=True)
    said.ends("ann", 0)
    assert said.guilty("R-AUDIO-COMPLETE") == [(went_up, came_down)]
    assert said.failed == ["R-AUDIO-COMPLETE"]


def test_audio_of_which_nothing_came_down() -> None:
    said = Dialogue()
    went_up = said.audio_up(UP, REQ, said.speaks(), end=True)
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-AUDIO-COMPLETE") == [(went_up,)]


def test_changed_audio_at_the_same_rate() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_down("ann", pcm[:-2] + b"\x01\x02", last=True)
    said.ends("ann", 0)
    assert said.failed == ["R-AUDIO-COMPLETE"]
    assert said.judged("R-AUDIO-COMPLETE").broken[0].actual.endswith("first difference is at byte 6398")


def resampled(samples_down: int) -> Dialogue:
    """A second of audio goes up at 16 kHz and comes down at 24 kHz."""
    said = Dialogue()
    said.ready("ann", 24000)
    said.starts("ann", 0, voice("asked", RATE))
    said.connects(UP)
    said.audio_up(UP, REQ, voice("up", RATE), end=True)
    said.audio_down("ann", voice("down", samples_down), last=True)
    said.ends("ann", 0)
    return said


@pytest.mark.parametrize("samples_down", [24000, 24000 + 959, 24000 - 959])
def test_audio_at_another_rate_may_differ_by_40_ms(samples_down: int) -> None:
    assert resampled(samples_down).verdict("R-AUDIO-COMPLETE") is Verdict.PASSED


@pytest.mark.parametrize("samples_down", [24000 + 961, 24000 - 961, 0])
def test_audio_at_another_rate_must_not_differ_by_more(samples_down: int) -> None:
    assert resampled(samples_down).failed == ["R-AUDIO-COMPLETE"]


def test_audio_that_is_announced_at_a_wrong_rate_is_compared_in_seconds() -> None:
    [broken] = resampled(RATE).judged("R-AUDIO-COMPLETE").broken
    assert broken.expected.startswith("all 1.00 s (32000 bytes) of audio of turn 1")
    assert broken.actual == "0.67 s (32000 bytes) came down (24000 Hz, as the relay announced)"


def test_audio_sent_up_without_a_rate_has_no_length_to_compare() -> None:
    said = Dialogue()
    said.ready("ann", 24000)
    pcm = voice("asked")
    said.starts("ann", 0, pcm)
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_down("ann", voice("down"), last=True)
    said.ends("ann", 0)
    assert "R-AUDIO-COMPLETE" in said.failed


def test_motion_before_the_audio() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    first, second = said.answers()
    motion = said.motion_down("ann", first)
    audio = said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", second)
    said.ends("ann", 0)
    assert said.guilty("R-AUDIO-FIRST") == [(motion, audio)]
    assert said.failed == ["R-AUDIO-FIRST"]


def test_an_empty_piece_of_audio_is_no_audio() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    first, second = said.answers()
    said.audio_down("ann", turn_id="t")
    said.motion_down("ann", first, turn_id="t")
    said.audio_down("ann", pcm, last=True, turn_id="t")
    said.motion_down("ann", second, turn_id="t")
    said.ends("ann", 0)
    assert said.failed == ["R-AUDIO-FIRST"]


def test_motion_and_no_audio_at_all() -> None:
    said = Dialogue()
    said.speaks()
    said.audio_up(UP, REQ, end=True)
    motion = said.motion_down("ann", said.motion(UP, REQ, 0, end=True))
    said.ends("ann", 0)
    assert said.guilty("R-AUDIO-FIRST") == [(motion,)]


def test_the_order_of_a_turn_with_a_fault_is_not_judged() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.fault()
    said.motion_down("ann", *said.answers())
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0)
    assert said.verdict("R-AUDIO-FIRST") is Verdict.UNEXERCISED


def test_the_end_of_audio_is_never_marked() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    audio = said.audio_down("ann", pcm)
    said.motion_down("ann", *said.answers())
    said.ends("ann", 0, complete=False)
    assert said.guilty("R-END-AUDIO") == [(audio,)]
    assert said.failed == ["R-END-AUDIO"]
    assert said.judged("R-END-AUDIO").broken[0].actual == "it was never marked"


@pytest.mark.parametrize("turn_id", ["", "turn-1"])
def test_the_end_of_audio_is_marked_twice(turn_id: str) -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    once = said.audio_down("ann", pcm, last=True, turn_id=turn_id)
    twice = said.audio_down("ann", last=True, turn_id=turn_id)
    said.motion_down("ann", *said.answers(), turn_id=turn_id)
    said.ends("ann", 0)
    assert said.guilty("R-END-AUDIO") == [(once, once, twice)]
    assert said.failed == ["R-END-AUDIO"]


def test_a_mark_that_answers_an_end_out_of_turn_is_none_of_the_turn_before() -> None:
    said = Dialogue()
    said.turn()
    said.speaks(number=1)
    said.intends("ann", Provocation.RUBBISH)
    said.audio_down("ann", last=True)
    assert said.verdict("R-END-AUDIO") is Verdict.PASSED


def test_audio_behind_its_end_mark_wants_a_mark_of_its_own() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(UP, REQ, pcm, end=True)
    said.audio_down("ann", pcm[:3200], last=True)
    rest = said.audio_down("ann", pcm[3200:])
    said.ends("ann", 0)
    assert said.guilty("R-END-AUDIO") == [(rest,)]
    assert said.failed == ["R-END-AUDIO"]


def test_audio_under_the_turn_id_of_the_turn_before_has_no_end_of_its_own() -> None:
    said = Dialogue()
    said.audio_down("ann", said.speaks(), turn_id="a")
    said.audio_up(UP, REQ, voice("ann 0"), end=True)
    said.ends("ann", 0, complete=False)
    said.echoes("ann", 1, said.speaks("ann", 1), turn_id="a")
    said.ends("ann", 1)
    assert said.failed == ["R-END-AUDIO"]
    [broken] = said.judged("R-END-AUDIO").broken
    assert broken.expected == "the last audio of turn 2 of ann marked as last, once"
    assert broken.actual == "its audio came under the id of an earlier turn that had not been marked as ended"


@pytest.mark.parametrize(
    ("marks_before_the_rest", "failed"), [(True, ["R-END-AUDIO"]), (False, [])], ids=["too early", "in time"]
)
def test_audio_must_not_be_marked_as_ended_while_its_client_still_speaks(
    marks_before_the_rest: bool, failed: list[str]
) -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.client_sends("ann", Speak(pcm[:3200]))
    if marks_before_the_rest:
        said.audio_up(UP, REQ, pcm)
        said.audio_down("ann", pcm, last=True)
    said.client_sends("ann", Speak(pcm[3200:]))
    if not marks_before_the_rest:
        said.audio_up(UP, REQ, pcm)
        said.audio_down("ann", pcm, last=True)
    said.client_sends("ann", SpeakEnd())
    said.audio_up(UP, REQ, end=True)
    said.ends("ann", 0)
    assert said.failed == failed
    actual = [broken.actual for broken in said.judged("R-END-AUDIO").broken]
    assert actual == ["it was marked while its client still spoke"] * marks_before_the_rest


def turn_in_two_conversations(
    said: Dialogue, seconds: float, turn_id: str = "", lag: float = 0.0
) -> list[str]:
    """A turn of two seconds, cut into two marked conversations with `seconds` between their beginnings, which
    the kit saw with a `lag` in seconds. Return what R-END-AUDIO says."""
    pcm = voice("ann 0", 2 * RATE)
    said.starts("ann", 0, pcm)
    said.connects(UP)
    said.audio_up(UP, REQ, pcm, end=True)
    if lag:
        said.lags(lag)
    said.audio_down("ann", pcm[: 2 * RATE], last=True, turn_id=turn_id and f"{turn_id}-1")
    said.passes(seconds)
    said.audio_down("ann", pcm[2 * RATE :], last=True, turn_id=turn_id and f"{turn_id}-2")
    said.ends("ann", 0, complete=False)
    return [broken.actual for broken in said.judged("R-END-AUDIO").broken]


CUT_OFF = ["a mark came within its audio, and the rest cuts it off"]


@pytest.mark.parametrize("turn_id", ["", "turn-1"])
@pytest.mark.parametrize(
    "lacks",
    [(), (SPEECH_END,), (CLIENT_CHOOSES_SPEECH,), (PCM,)],
    ids=["", "speech end", "client audio", "pcm"],
)
def test_a_mark_within_the_audio_of_a_turn(turn_id: str, lacks: tuple[str, ...]) -> None:
    actual = turn_in_two_conversations(Dialogue(lacks=lacks), 0.0, turn_id)
    assert actual == ([] if turn_id or lacks else CUT_OFF)


@pytest.mark.parametrize(("seconds", "actual"), [(0.9, CUT_OFF), (0.95, [])], ids=["early", "in time"])
def test_a_turn_may_be_several_conversations_that_do_not_cut_each_other_off(
    seconds: float, actual: list[str]
) -> None:
    assert turn_in_two_conversations(Dialogue(), seconds) == actual


def test_conversations_that_the_kit_saw_late_may_not_have_cut_each_other_off() -> None:
    assert turn_in_two_conversations(Dialogue(), 0.0, lag=0.95) == []


def test_audio_that_was_not_sent_up_whole_came_down_whole() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[:-640], end=True)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0, complete=False)
    [broken] = said.judged("R-AUDIO-COMPLETE").broken
    assert broken.follows_from == ("U-AUDIO-COMPLETE", "U-RATE")


@pytest.mark.parametrize("comes_to_others", [True, False])
def test_whose_turn_chosen_speech_is_cannot_be_told_where_its_motion_comes_to_all(
    comes_to_others: bool,
) -> None:
    said, pcm = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH,)), voice("a clip")
    said.starts("ann", 0, pcm + pcm)  # As the subject notes it: all motion came to Ann first.
    said.starts("bob", 0, b"")
    for client in ("ann", "bob"):
        said.connects(up_of(client, 0))
        said.audio_up(up_of(client, 0), req_of(client, 0), pcm, end=True)
        said.audio_down(client, pcm, last=True)
        motion = said.motion(up_of(client, 0), req_of(client, 0), 5, end=True)
        said.motion_down("ann", motion)
        if comes_to_others:
            said.motion_down("bob", motion)
    said.ends("ann", 0)
    said.ends("bob", 0)
    [broken] = said.judged("R-AUDIO-COMPLETE").broken
    assert broken.follows_from == (("R-ISOLATION",) if comes_to_others else ())
