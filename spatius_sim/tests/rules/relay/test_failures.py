"""A Motion Server that refuses, fails or goes silent: what its relay owes the client then, and after."""

import pytest

from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Duplicate,
    FaultAction,
    GrowTo,
    Refuse,
    Reset,
    Stall,
)
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import SERVER_DIES, Awaited, Closed, Injected, Lane, Opened, WaitEnded
from spatius_sim.wires.events import Failed, Speak
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, ERRORS, PCM

WAIT = 15.0
_CLOSE = CloseWith(1000)


def failing(said: Dialogue, number: int = 1, *, fault: FaultAction = _CLOSE) -> bytes:
    """Motion Server fails in a turn whose audio goes up; what the client says in it."""
    pcm = said.speaks("ann", number)
    said.audio_up(up_of("ann", number), req_of("ann", number), pcm, end=True)
    said.fault(fault)
    return pcm


def told(said: Dialogue, message: str = "motion failed") -> int:
    return said.hears("ann", Failed(message))


def fallen_back(lacks: tuple[str, ...] = ()) -> Dialogue:
    """A turn as it should be, and one in which Motion Server fails and the relay does as it should."""
    said = Dialogue(lacks=lacks)
    said.turn("ann", 0)
    pcm = failing(said)
    said.audio_down("ann", pcm, last=True)
    told(said)
    said.ends("ann", 1, complete=False)
    return said


# The next turn.


def test_a_turn_after_a_failure_works() -> None:
    said = fallen_back()
    said.turn("ann", 2)
    assert said.failed == []
    assert {rule: said.verdict(rule) for rule in ("R-RECOVER", "R-FALLBACK", "R-ERROR-TOLD")} == {
        "R-RECOVER": Verdict.PASSED,
        "R-FALLBACK": Verdict.PASSED,
        "R-ERROR-TOLD": Verdict.PASSED,
    }


@pytest.mark.parametrize(
    ("goes_up", "comes_down", "missing"),
    [(False, True, "no motion"), (True, False, "no audio"), (False, False, "no audio and no motion")],
)
def test_one_that_does_not_is_named_alone(goes_up: bool, comes_down: bool, missing: str) -> None:
    said = fallen_back()
    pcm = said.speaks("ann", 2)
    if goes_up:
        said.audio_up(up_of("ann", 2), req_of("ann", 2), pcm, end=True)
        said.motion_down("ann", *said.answers("ann", 2))
    if comes_down:
        said.audio_down("ann", pcm, last=True)
    said.ends("ann", 2, complete=False)
    assert said.failed == ["R-RECOVER"]
    [broken] = said.judged("R-RECOVER").broken
    assert broken.actual == f"{missing} of it came"
    assert "close: code 1000" in broken.expected


def test_a_turn_after_a_failure_may_be_on_a_new_connection() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.audio_down("ann", failing(said))
    said.happens(Lane.DOWNSTREAM, "ann", Closed(False, 1011))
    said.ends("ann", 1, complete=False)
    said.happens(Lane.DOWNSTREAM, "ann", Opened())
    said.turn("ann", 2)
    story = build_story(said.trace)
    assert story.turns[2].audio_down == voice("ann 2")
    assert said.verdict("R-RECOVER") is Verdict.PASSED
    assert said.failed == ["R-FALLBACK"]


@pytest.mark.parametrize("fault", [GrowTo(60_000), Stall()])
def test_where_no_motion_was_lost_or_the_next_turn_fails_too_nothing_is_asked(fault: FaultAction) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    for number in (1, 2):
        said.starts("ann", number, voice(f"ann {number}"))
        said.fault(fault)
        said.ends("ann", number, complete=False)
    assert said.verdict("R-RECOVER") is Verdict.UNEXERCISED


def test_a_relay_that_lost_motion_before_the_failure_too_does_not_break_the_rule_by_losing_it_after() -> None:
    for lost_before in (False, True):
        said = Dialogue()
        said.echoes("ann", 0, said.speaks())
        motion = said.answers()
        if not lost_before:
            said.motion_down("ann", *motion, last=True)
        said.ends("ann", 0, complete=not lost_before)
        said.audio_down("ann", failing(said), last=True)
        told(said)
        said.ends("ann", 1, complete=False)
        said.echoes("ann", 2, said.speaks("ann", 2))
        said.answers("ann", 2)
        said.ends("ann", 2, complete=False)
        assert said.failed == (["R-MOTION-COMPLETE"] if lost_before else ["R-RECOVER"])


# A relay that dies.


@pytest.mark.parametrize("after_a_failure", [True, False])
def test_a_death_is_told_by_one_rule_and_no_other_is_judged(after_a_failure: bool) -> None:
    said = fallen_back() if after_a_failure else Dialogue()
    if not after_a_failure:
        said.turn("ann", 0)
        said.turn("ann", 1)
    said.starts("ann", 2, voice("ann 2"))
    said.ends("ann", 2, complete=False)
    said.happens(Lane.KIT, "", WaitEnded(Awaited.LIFE, complete=False))
    teller = "R-RECOVER" if after_a_failure else "R-ALIVE"
    assert said.failed == [teller]
    others = [judgement for name, judgement in judge(said.trace).items() if name != teller]
    assert {judgement.reason for judgement in others} == {f"not judged where {teller} failed"}


# What is a loss of motion.


def test_motion_that_was_sent_to_its_end_is_not_lost() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.echoes("ann", 0, pcm)
    said.fault(Duplicate())
    said.motion_down("ann", *said.answers(), last=True)
    said.ends("ann", 0)
    turn = build_story(said.trace).turns[0]
    assert (turn.clean, turn.has_lost_motion) == (False, False)
    assert said.verdict("R-ERROR-TOLD") is Verdict.UNEXERCISED


def test_motion_that_was_asked_for_again_is_not_lost() -> None:
    said = Dialogue()
    pcm = failing(said, 0)
    said.connects("second try")
    said.audio_up("second try", "again", pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", said.motion("second try", "again", 5, end=True))
    said.ends("ann", 0)
    assert not build_story(said.trace).turns[0].has_lost_motion
    assert said.failed == []


def test_motion_of_the_rest_of_the_speech_alone_is_a_loss_that_must_be_told() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said)
    said.connects("rest")
    said.audio_up("rest", "again", pcm[640:], end=True)
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", said.motion("rest", "again", 5, end=True))
    said.ends("ann", 1)
    said.turn("ann", 2)
    assert build_story(said.trace).turns[1].has_lost_motion
    assert said.failed == ["R-ERROR-TOLD"]


@pytest.mark.parametrize(
    ("seconds", "fault", "failed"),
    [(1.5, SERVER_DIES, ["R-RECOVER"]), (0.5, SERVER_DIES, []), (1.5, Refuse(402), [])],
    ids=["long before", "just before", "refused"],
)
def test_a_session_that_was_lost_in_a_pause_is_no_excuse_for_the_next_turn(
    seconds: float, fault: FaultAction | Injected, failed: list[str]
) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.fault(fault)
    said.passes(seconds)
    said.audio_down("ann", said.speaks("ann", 1), last=True)
    said.ends("ann", 1, complete=False)
    assert [rule_id for rule_id in said.failed if rule_id == "R-RECOVER"] == failed


def test_a_refused_session_loses_the_motion() -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann 0"))
    said.fault(Refuse(401))
    said.ends("ann", 0, complete=False)
    assert build_story(said.trace).turns[0].has_lost_motion


# Audio without motion.


def test_audio_and_word_may_come_in_either_order_and_late() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said)
    told(said)
    said.passes(WAIT - 1)
    said.audio_down("ann", pcm[:640])
    said.audio_down("ann", pcm[640:], last=True)
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2)
    assert said.failed == []


def test_an_apology_behind_the_audio_is_nobodys_harm() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said)
    said.audio_down("ann", pcm, last=True)
    said.audio_down("ann", voice("sorry"), last=True)
    told(said)
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2)
    assert said.failed == []
    assert said.verdict("R-FALLBACK") is Verdict.PASSED


def test_an_apology_instead_of_the_audio_is_no_fallback() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    failing(said)
    said.audio_down("ann", voice("sorry, sorry", 8 * 640), last=True)
    told(said)
    said.passes(WAIT + 1)
    said.ends("ann", 1, complete=False)
    assert said.failed == ["R-FALLBACK"]


def test_a_relay_that_changes_audio_owes_its_length() -> None:
    said = Dialogue()
    changed = voice("changed 0")
    said.starts("ann", 0, voice("ann 0"))
    said.connects("up")
    said.audio_up("up", "r", changed, end=True)
    said.audio_down("ann", changed, last=True)
    said.motion_down("ann", said.motion("up", "r", 5, end=True))
    said.ends("ann", 0)
    failing(said)
    said.audio_down("ann", voice("changed 1")[:-1200], last=True)
    told(said)
    said.ends("ann", 1, complete=False)
    assert said.verdict("R-FALLBACK") is Verdict.PASSED


@pytest.mark.parametrize(
    ("mark", "came", "actual"),
    [(True, 0.5, "6400"), (False, 1.0, "never marked"), (False, 0.0, "0 bytes of audio came")],
)
def test_audio_that_stops_short_or_has_no_end(mark: bool, came: float, actual: str) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said, fault=Stall())
    told(said)
    if came:
        said.audio_down("ann", pcm[: int(len(pcm) * came)], last=mark)
    said.passes(WAIT + 0.1)
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2)
    assert said.failed == ["R-FALLBACK"]
    [broken] = said.judged("R-FALLBACK").broken
    assert actual in broken.actual
    assert "15 s" in broken.expected


@pytest.mark.parametrize("first_bytes", [1280, None], ids=["from its beginning", "whole"])
def test_audio_of_a_failed_turn_that_comes_twice(first_bytes: int | None) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said)
    told(said)
    said.audio_down("ann", pcm[:first_bytes])
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2)
    assert said.failed == ["R-FALLBACK"]
    [broken] = said.judged("R-FALLBACK").broken
    assert broken.actual.endswith("were owed: some came twice")


def test_a_relay_that_hangs_up_while_its_client_speaks_owes_no_audio() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said)
    told(said)
    said.client_sends("ann", Speak(pcm[:1280]))
    said.audio_down("ann", pcm[:1280])
    said.relay_hangs_up("ann")
    said.ends("ann", 1, complete=False)
    assert "R-FALLBACK" not in said.failed


def test_silence_beside_the_audio_of_a_failed_turn_is_no_repetition() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = failing(said)
    told(said)
    said.audio_down("ann", bytes(1280) + pcm)
    said.audio_down("ann", bytes(2560), last=True)
    said.ends("ann", 1, complete=False)
    assert said.verdict("R-FALLBACK") is Verdict.PASSED


def test_a_mark_that_comes_too_late() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.audio_down("ann", failing(said))
    told(said)
    said.passes(WAIT + 1)
    said.audio_down("ann", last=True)
    said.ends("ann", 1, complete=False)
    [broken] = said.judged("R-FALLBACK").broken
    assert broken.actual == "the mark came later"


def test_the_time_runs_from_the_clients_last_word() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = said.speaks("ann", 1)
    said.fault(Refuse(503))
    said.passes(WAIT)
    said.client_sends("ann", Speak(pcm))
    said.passes(1.0)
    said.audio_down("ann", pcm, last=True)
    told(said)
    said.ends("ann", 1, complete=False)
    assert said.failed == []


def test_a_wait_that_ended_early_proves_nothing() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    failing(said)
    said.passes(3.0)
    said.ends("ann", 1, complete=False)
    assert said.verdict("R-FALLBACK") is said.verdict("R-ERROR-TOLD") is Verdict.UNEXERCISED


def test_where_the_kit_slept_nothing_is_proved() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    failing(said)
    said.lags(WAIT + 1)
    said.ends("ann", 1, complete=False)
    assert said.verdict("R-FALLBACK") is said.verdict("R-ERROR-TOLD") is Verdict.INCONCLUSIVE


def test_where_the_relay_speaks_what_went_up_is_owed() -> None:
    said = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH,))
    pcm = voice("what the relay says")
    said.starts("ann", 0, b"")
    said.connects("up")
    said.audio_up("up", "r", pcm[:3200])
    said.fault(Reset())
    said.audio_down("ann", pcm[:3200], last=True)
    told(said)
    said.ends("ann", 0, complete=False)
    assert said.failed == []


def test_where_the_relay_speaks_and_nothing_went_up_nothing_is_owed() -> None:
    said = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH,))
    said.starts("ann", 0, voice("never sent"))
    said.fault(Refuse(401))
    said.passes(WAIT + 1)
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-FALLBACK") is Verdict.UNEXERCISED


@pytest.mark.parametrize(
    ("way", "lacks", "verdict"),
    [
        ("an end mark", (), Verdict.PASSED),
        ("an error", (), Verdict.PASSED),
        ("nothing", (), Verdict.UNEXERCISED),
        ("an end mark", (ERRORS,), Verdict.PASSED),
        ("a close with 1011", (ERRORS,), Verdict.PASSED),
        ("nothing", (ERRORS,), Verdict.FAILED),
        ("nothing for too short a time", (ERRORS,), Verdict.UNEXERCISED),
    ],
)
def test_where_the_relay_speaks_and_nothing_went_up_an_end_or_an_error_is_owed(
    way: str, lacks: tuple[str, ...], verdict: Verdict
) -> None:
    said = Dialogue(lacks=(CLIENT_CHOOSES_SPEECH, *lacks))
    said.starts("ann", 0, voice("never sent"))
    said.fault(Refuse(401))
    match way:
        case "an end mark":
            said.audio_down("ann", last=True)
        case "an error":
            told(said)
        case "a close with 1011":
            said.happens(Lane.DOWNSTREAM, "ann", Closed(False, 1011))
    said.passes(1.0 if "short" in way else WAIT + 1)
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-FALLBACK") is verdict
    if verdict is Verdict.FAILED:
        [broken] = said.judged("R-FALLBACK").broken
        assert broken.actual == "nothing came, and no audio had gone up"


def test_of_opus_the_mark_alone_can_be_judged() -> None:
    said = Dialogue(lacks=(PCM,))
    failing(said, 0)
    said.audio_down("ann", b"an Ogg page", last=True)
    told(said)
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-FALLBACK") is Verdict.PASSED


# The word.


@pytest.mark.parametrize("way", ["an error", "an empty list", "a close with 1011"])
def test_a_client_is_told_in_more_ways_than_one(way: str) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.audio_down("ann", failing(said), last=True)
    match way:
        case "an error":
            told(said)
        case "an empty list":
            said.motion_down("ann", last=True)
        case _:
            said.happens(Lane.DOWNSTREAM, "ann", Closed(False, 1011))
    said.passes(WAIT + 1)
    said.ends("ann", 1, complete=False)
    assert said.failed == []
    assert said.verdict("R-ERROR-TOLD") is Verdict.PASSED


@pytest.mark.parametrize("closes", [True, False], ids=["a plain close", "nothing"])
def test_a_plain_close_tells_no_more_than_nothing(closes: bool) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    told(said, "an older one")
    said.audio_down("ann", failing(said), last=True)
    if closes:
        said.happens(Lane.DOWNSTREAM, "ann", Closed(False, 1000))
    else:
        said.passes(WAIT + 1)
    said.ends("ann", 1, complete=False)
    assert said.failed == ["R-ERROR-TOLD"]


def test_a_word_that_comes_too_late() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.audio_down("ann", failing(said), last=True)
    said.passes(WAIT + 1)
    told(said)
    said.ends("ann", 1, complete=False)
    [broken] = said.judged("R-ERROR-TOLD").broken
    assert broken.actual == "it was told later"


# Between turns that end without their marks.


def test_audio_behind_an_unmarked_turn_that_failed_is_the_next_turns() -> None:
    said = Dialogue()
    said.turn("ann", 0)
    said.audio_down("ann", failing(said))
    told(said)
    said.passes(WAIT + 1)
    said.ends("ann", 1, complete=False)
    said.turn("ann", 2)
    assert said.failed == ["R-FALLBACK"]


@pytest.mark.parametrize(("motion_came", "marked"), [(True, True), (True, False), (False, True)])
def test_an_end_mark_after_motion_tells_no_failure(motion_came: bool, marked: bool) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = said.speaks("ann", 1)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    if motion_came:
        said.motion_down("ann", said.motion(up_of("ann", 1), req_of("ann", 1), 3), last=False)
    said.fault(_CLOSE)
    said.motion_down("ann", last=marked)
    said.passes(WAIT + 1)
    said.ends("ann", 1, complete=False)
    assert said.failed == (["R-ERROR-TOLD"] if motion_came and marked else [])


@pytest.mark.parametrize(("seconds", "failed"), [(19.0, []), (21.0, ["R-FALLBACK"])])
def test_audio_that_is_longer_than_the_wait_may_come_at_its_own_pace(
    seconds: float, failed: list[str]
) -> None:
    said = Dialogue()
    said.turn("ann", 0)
    pcm = voice("twenty seconds", 20 * 16_000)
    said.starts("ann", 1, pcm)
    said.connects(up_of("ann", 1))
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm, end=True)
    said.fault(_CLOSE)
    told(said)
    said.passes(seconds)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 1, complete=False)
    assert said.failed == failed
