"""Rules on turns that a client cuts off."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Provocation
from spatius_sim.wires.events import Speak, SpeakEnd
from spatius_sim.wires.optional_features import AUDIO, CLIENT_CHOOSES_SPEECH, OWN_STREAM


def cut_off(turn_id: str = "", number: int = 0, said: Dialogue | None = None) -> Dialogue:
    """A turn of Ann's that she interrupts when all of it has gone up, and none of its motion come down."""
    said = said or Dialogue()
    pcm = said.speaks("ann", number)
    said.audio_up(up_of("ann", number), req_of("ann", number), pcm, end=True)
    said.audio_down("ann", pcm[:3200], turn_id=turn_id)
    said.client_interrupts("ann")
    return said


def late_motion(said: Dialogue) -> bytes:
    return said.motion(up_of("ann", 0), req_of("ann", 0))


def test_motion_of_the_old_turn_behind_the_new_turns_first_audio() -> None:
    said = cut_off()
    pcm = said.speaks("ann", 1)
    begun = said.echoes("ann", 1, pcm) - 2
    late = said.motion_down("ann", late_motion(said))
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.failed == ["R-STALE"]
    assert said.guilty("R-STALE") == [(begun, late)]


def test_stale_motion_behind_the_new_turns_motion_is_no_matter_of_order() -> None:
    said = cut_off()
    late = late_motion(said)
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("ann", *said.answers("ann", 1))
    said.motion_down("ann", late)
    said.ends("ann", 1)
    assert said.failed == ["R-STALE"]


@pytest.mark.parametrize("before", [True, False], ids=["before the end of the new turn", "after it"])
def test_the_end_of_stale_motion_ends_no_motion_of_the_new_turn(before: bool) -> None:
    said = cut_off()
    late = said.motion(up_of("ann", 0), req_of("ann", 0), end=True)
    said.echoes("ann", 1, said.speaks("ann", 1))
    first, second = said.answers("ann", 1)
    said.motion_down("ann", first)
    messages = [late, second] if before else [second, late]
    for message in messages:
        said.motion_down("ann", message, last=True)
    said.ends("ann", 1)
    assert said.failed == ["R-STALE"]


def test_a_mark_alone_after_stale_motion_marks_that_motion() -> None:
    said = cut_off()
    late = late_motion(said)
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("ann", late)
    said.motion_down("ann", last=True)
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.failed == ["R-STALE"]


def test_the_end_of_stale_motion_marks_no_end_of_the_new_turn() -> None:
    said = cut_off()
    late = said.motion(up_of("ann", 0), req_of("ann", 0), end=True)
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("ann", *said.answers("ann", 1), last=False)
    said.motion_down("ann", late, last=True)
    said.ends("ann", 1)
    assert said.failed == ["R-END-MOTION", "R-STALE"]


def test_audio_of_the_old_turn_behind_the_new_turns_first_audio() -> None:
    said = cut_off()
    pcm = said.speaks("ann", 1)
    said.echoes("ann", 1, pcm)
    said.audio_down("ann", voice("ann 0")[3200:])
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.failed == ["R-STALE"]


@pytest.mark.parametrize("turn_id", ["t0", "t1"])
def test_a_turn_id_tells_the_old_turns_motion_apart(turn_id: str) -> None:
    said = cut_off("t0")
    pcm = said.speaks("ann", 1)
    said.echoes("ann", 1, pcm, "t1")
    said.motion_down("ann", late_motion(said), turn_id=turn_id)
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t1")
    said.ends("ann", 1)
    assert said.failed == ([] if turn_id == "t0" else ["R-STALE"])


def test_the_new_turns_motion_under_the_old_turns_id() -> None:
    said = cut_off("t0")
    pcm = said.speaks("ann", 1)
    said.echoes("ann", 1, pcm, "t1")
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t0")
    said.ends("ann", 1)
    assert "R-STALE" in said.failed


def test_motion_of_old_speech_that_went_up_in_the_new_turn_follows_from_that() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann 0"))
    said.audio_down("ann", voice("ann 0"), turn_id="t0")
    said.client_interrupts("ann")
    said.starts("ann", 1, voice("ann 1"))
    said.audio_down("ann", voice("ann 1"), last=True, turn_id="t1")
    said.connects(up_of("ann", 1))
    said.audio_up(up_of("ann", 1), req_of("ann", 1), voice("ann 0"), end=True)
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t1")
    said.ends("ann", 1)
    assert {one.follows_from for one in said.judged("R-STALE").broken} == {("U-AUDIO-COMPLETE",)}


@pytest.mark.parametrize(
    ("tail_id", "after", "failed"),
    [("t0", True, []), ("rest", True, ["R-STALE"]), ("rest", False, [])],
    ids=["its own id", "a new id", "a new id, before the new turn"],
)
def test_the_old_turns_audio_under_an_id_of_its_own(tail_id: str, after: bool, failed: list[str]) -> None:
    said = cut_off("t0")
    pcm = said.speaks("ann", 1)
    tail = voice("ann 0")[3200:]
    if not after:
        said.audio_down("ann", tail, turn_id=tail_id)
    said.echoes("ann", 1, pcm, "t1")
    if after:
        said.audio_down("ann", tail, turn_id=tail_id)
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t1")
    said.ends("ann", 1)
    assert said.failed == failed


def test_an_interrupted_turns_id_may_come_again() -> None:
    said = cut_off("t")
    pcm = said.speaks("ann", 1)
    said.echoes("ann", 1, pcm, "t")
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t")
    said.ends("ann", 1)
    assert said.failed == []
    assert said.verdict("R-STALE") is Verdict.PASSED


def test_the_old_turns_audio_under_the_new_turns_id() -> None:
    said = cut_off("t0")
    pcm = said.speaks("ann", 1)
    said.echoes("ann", 1, pcm, "t1")
    said.audio_down("ann", voice("ann 0")[3200:], turn_id="t1")
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t1")
    said.ends("ann", 1)
    assert "R-STALE" in said.failed


def test_motion_under_an_id_that_the_client_never_heard_is_no_other_turns() -> None:
    said = cut_off("t0")
    said.echoes("ann", 1, said.speaks("ann", 1), "t1")
    said.motion_down("ann", late_motion(said), turn_id="dropped")
    said.motion_down("ann", *said.answers("ann", 1), turn_id="t1")
    said.ends("ann", 1)
    assert said.failed == []


def test_a_turn_before_the_last_may_be_stale_too() -> None:
    said = cut_off(number=1, said=cut_off())
    said.echoes("ann", 2, said.speaks("ann", 2))
    said.motion_down("ann", late_motion(said))
    said.motion_down("ann", *said.answers("ann", 2))
    said.ends("ann", 2)
    assert said.failed == ["R-STALE"]


def test_motion_of_the_old_turn_at_another_client_is_a_matter_of_isolation() -> None:
    said = cut_off()
    said.echoes("ann", 1, said.speaks("ann", 1))
    said.motion_down("bob", late_motion(said))
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.failed == ["R-ISOLATION"]


def test_a_turn_that_never_went_up_leaves_nothing() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann 0"))
    said.client_interrupts("ann")
    said.turn("ann", 1)
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


def test_a_new_turn_without_audio_shows_nothing() -> None:
    said = cut_off()
    said.starts("ann", 1, voice("ann 1"))
    said.motion_down("ann", late_motion(said))
    said.ends("ann", 1, complete=False)
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


# Where the client plays what it spoke itself.


@pytest.mark.parametrize("too_late", [False, True])
def test_what_motion_server_sent_before_it_had_the_new_turn_may_come(too_late: bool) -> None:
    said = Dialogue(lacks=(AUDIO,))
    pcm = said.speaks()
    said.client_sends("ann", Speak(pcm), SpeakEnd())
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.client_interrupts("ann")
    early = late_motion(said)
    pcm = said.speaks("ann", 1)
    said.client_sends("ann", Speak(pcm), SpeakEnd())
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm, end=True)
    said.motion_down("ann", late_motion(said) if too_late else early)
    said.motion_down("ann", *said.answers("ann", 1))
    said.ends("ann", 1)
    assert said.verdict("R-STALE") is (Verdict.FAILED if too_late else Verdict.PASSED)


# After an interrupt the turn stops.

LATE_SECONDS = 2.1


def interrupted_in_motion(said: Dialogue | None = None, number: int = 0) -> Dialogue:
    """Ann interrupts a turn when the first of its motion has come to her."""
    said = said or Dialogue()
    said.echoes("ann", number, said.speaks("ann", number), f"t{number}")
    first = said.motion(up_of("ann", number), req_of("ann", number))
    said.motion_down("ann", first, turn_id=f"t{number}")
    said.client_interrupts("ann")
    return said


def goes_on(said: Dialogue, seconds: float = LATE_SECONDS, number: int = 0) -> int:
    """More motion of the turn comes so long after its interrupt, under its own turn id."""
    said.passes(seconds)
    late = said.motion(up_of("ann", number), req_of("ann", number))
    return said.motion_down("ann", late, turn_id=f"t{number}")


@pytest.mark.parametrize(("seconds", "failed"), [(1.9, []), (LATE_SECONDS, ["R-STALE"])])
def test_motion_of_an_interrupted_turn_comes_no_more_though_its_id_tells_it_apart(
    seconds: float, failed: list[str]
) -> None:
    said = interrupted_in_motion()
    interrupted = said.last
    late = goes_on(said, seconds)
    assert said.failed == failed
    assert said.guilty("R-STALE") == ([(interrupted, late)] if failed else [])


def test_audio_of_an_interrupted_turn_comes_no_more() -> None:
    said = interrupted_in_motion()
    said.passes(LATE_SECONDS)
    said.audio_down("ann", voice("ann 0")[3200:], turn_id="t0")
    assert [broken.actual for broken in said.judged("R-STALE").broken] == ["audio of it came 1 times"]


@pytest.mark.parametrize(("seconds", "verdict"), [(1.9, Verdict.UNEXERCISED), (LATE_SECONDS, Verdict.PASSED)])
def test_only_who_listens_long_enough_hears_that_a_turn_has_stopped(seconds: float, verdict: Verdict) -> None:
    said = interrupted_in_motion()
    said.passes(seconds)
    said.motion_down("ann", last=True, turn_id="t0")
    assert said.verdict("R-STALE") is verdict


def test_what_came_late_because_the_kit_was_late_accuses_nobody() -> None:
    said = interrupted_in_motion()
    said.lags(1.5)
    goes_on(said, 1.0)
    assert said.verdict("R-STALE") is Verdict.INCONCLUSIVE


def test_speech_that_its_client_had_not_ended_may_go_on() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.client_sends("ann", Speak(pcm))
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm)
    said.audio_down("ann", pcm, turn_id="t0")
    said.client_interrupts("ann")
    goes_on(said)
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


def test_a_turn_of_which_nothing_had_come_may_still_begin() -> None:
    said = Dialogue()
    said.audio_up(up_of("ann", 0), req_of("ann", 0), said.speaks(), end=True)
    said.client_interrupts("ann")
    goes_on(said)
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


def test_a_turn_whose_motion_had_ended_is_not_stopped() -> None:
    said = Dialogue()
    said.turn(turn_id="t0")
    said.client_interrupts("ann")
    said.passes(LATE_SECONDS)
    said.audio_down("ann", voice("ann 0"), turn_id="t0")
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


def test_an_interrupt_may_end_the_turn_before_that_was_not_over() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks(), "t0")
    interrupted_in_motion(said, 1)
    goes_on(said, number=1)
    assert said.failed == []


def test_an_interrupt_need_not_end_what_all_clients_hear() -> None:
    said = interrupted_in_motion(Dialogue(lacks=(OWN_STREAM,)))
    goes_on(said)
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


def test_after_a_client_has_misbehaved_no_interrupt_is_judged() -> None:
    said = Dialogue()
    said.intends("bob", Provocation.UNREAD)
    goes_on(interrupted_in_motion(said))
    assert said.verdict("R-STALE") is Verdict.UNEXERCISED


@pytest.mark.parametrize("began_before", [True, False])
def test_a_relay_that_chooses_the_speech_may_speak_anew_after_an_interrupt(began_before: bool) -> None:
    said = interrupted_in_motion(Dialogue(lacks=(CLIENT_CHOOSES_SPEECH,)))
    if not began_before:
        said.audio_up(up_of("ann", 0), "another", voice("sorry"), end=True)
    said.passes(LATE_SECONDS)
    late = said.motion(up_of("ann", 0), req_of("ann", 0) if began_before else "another")
    said.audio_down("ann", voice("ann 0"), turn_id="t0")
    said.motion_down("ann", late, turn_id="t0")
    assert said.verdict("R-STALE") is (Verdict.FAILED if began_before else Verdict.PASSED)
