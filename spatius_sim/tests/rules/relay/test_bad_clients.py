"""Nobody suffers from a client that reads slowly, sends rubbish or is cut off."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Provocation
from spatius_sim.wires.events import Speak, SpeakEnd
from spatius_sim.wires.optional_features import AUDIO, OWN_STREAM


def served_before(*clients: str, lacks: tuple[str, ...] = ()) -> Dialogue:
    said = Dialogue(lacks=lacks)
    for client in clients or ("ann", "bob"):
        said.turn(client)
    return said


def turn(said: Dialogue, client: str, part: str) -> None:
    """Another turn, of which that part does not come."""
    pcm = said.speaks(client, 1)
    up, req = up_of(client, 1), req_of(client, 1)
    said.audio_up(up, req, pcm, end=part != "the end that goes up")
    said.audio_down(client, pcm[:3200] if part == "audio" else pcm, last=part != "the mark")
    first, second = said.answers(client, 1)
    said.motion_down(client, first)
    if part != "motion":
        said.motion_down(client, second)
    said.ends(client, 1, complete=part not in ("the mark", "motion"))


PARTS = ["the end that goes up", "audio", "the mark", "motion"]


@pytest.mark.parametrize("part", ["nothing", *PARTS])
@pytest.mark.parametrize("how", ["sends rubbish", "is cut off"])
def test_a_bad_client_costs_others_nothing(how: str, part: str) -> None:
    said = served_before()
    if how == "sends rubbish":
        said.intends("ann", Provocation.RUBBISH)
    else:
        said.hangs_up("ann", 1006)
    turn(said, "bob", part)
    assert said.failed == ([] if part == "nothing" else ["R-BADINPUT"])
    assert said.verdict("R-BADINPUT") is not Verdict.UNEXERCISED


def resampled_turn(said: Dialogue, number: int, *, loses_motion: bool = False) -> None:
    """A turn of bob, whose speech goes up and comes back at another rate than his."""
    said.starts("bob", number, voice(f"at 16 kHz {number}"))
    up, req, pcm = up_of("bob", number), req_of("bob", number), voice(f"at 24 kHz {number}")
    said.connects(up, 24_000)
    said.audio_up(up, req, pcm, end=True)
    said.audio_down("bob", pcm, last=True)
    first, second = said.answers("bob", number)
    said.motion_down("bob", first)
    if not loses_motion:
        said.motion_down("bob", second)
    said.ends("bob", number)


@pytest.mark.parametrize("loses_motion", [False, True])
def test_who_resamples_can_be_judged_too(loses_motion: bool) -> None:
    said = Dialogue()
    said.ready("bob", 24_000)
    said.turn("ann")
    resampled_turn(said, 0)
    said.intends("ann", Provocation.RUBBISH)
    resampled_turn(said, 1, loses_motion=loses_motion)
    assert said.verdict("R-BADINPUT") is (Verdict.FAILED if loses_motion else Verdict.PASSED)


def test_where_the_kit_itself_was_late_bad_input_harmed_nobody() -> None:
    said = served_before()
    said.intends("ann", Provocation.RUBBISH)
    pcm = said.speaks("bob", 1)
    said.audio_up(up_of("bob", 1), req_of("bob", 1), pcm, end=True)
    said.lags(1.0)
    said.ends("bob", 1, complete=False)
    assert said.verdict("R-BADINPUT") is Verdict.INCONCLUSIVE


def test_what_becomes_of_the_bad_client_itself_is_its_own_affair() -> None:
    said = served_before()
    said.intends("ann", Provocation.RUBBISH)
    turn(said, "ann", "motion")
    assert said.verdict("R-BADINPUT") is Verdict.UNEXERCISED


def test_rubbish_that_comes_after_all_turns_shows_nothing() -> None:
    said = served_before()
    said.intends("ann", Provocation.RUBBISH)
    assert said.verdict("R-BADINPUT") is Verdict.UNEXERCISED


@pytest.mark.parametrize("intent", [Provocation.RUBBISH, Provocation.UNREAD])
def test_who_was_never_served_has_not_lost_anything(intent: Provocation) -> None:
    said = Dialogue()
    said.intends("ann", intent)
    said.starts("bob", 0, voice("bob"))
    said.ends("bob", 0, complete=False)
    said.starts("bob", 1, voice("bob 1"))
    said.ends("bob", 1, complete=False)
    assert said.failed == []


def slow(part: str = "nothing", of_the_other: str = "nothing", lag: float = 0.0) -> Dialogue:
    """Ann reads nothing while Bob speaks."""
    said = served_before()
    pcm = said.speaks("ann", 1)
    said.intends("ann", Provocation.UNREAD)
    said.lags(lag)
    turn(said, "bob", of_the_other)
    said.intends("ann", Provocation.READ_ON)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    first, second = said.answers("ann", 1)
    said.motion_down("ann", first)
    if part != "motion":
        said.motion_down("ann", second)
    said.ends("ann", 1)
    return said


def test_a_slow_client_gets_all_of_it_later() -> None:
    assert slow().verdict("R-SLOWCLIENT") is Verdict.PASSED


def test_a_slow_client_loses_a_payload() -> None:
    said = slow("motion")
    assert said.failed == ["R-SLOWCLIENT"]
    assert "1 of its 2 payloads" in said.judged("R-SLOWCLIENT").broken[0].actual


@pytest.mark.parametrize("part", ["the mark", "motion"])
def test_another_client_waits_for_the_slow_one(part: str) -> None:
    assert slow(of_the_other=part).failed == ["R-SLOWCLIENT"]


def test_where_the_kit_itself_was_late_nobody_knows_for_whom_another_client_waits() -> None:
    """That the slow client got all of its own does not make it a pass."""
    assert slow(of_the_other="motion", lag=1.0).verdict("R-SLOWCLIENT") is Verdict.INCONCLUSIVE


def test_another_clients_turn_that_is_all_there_and_was_not_seen_to_be() -> None:
    said = served_before()
    said.starts("ann", 1, voice("ann 1"))
    said.intends("ann", Provocation.UNREAD)
    pcm = said.speaks("bob", 1)
    said.echoes("bob", 1, pcm)
    said.motion_down("bob", *said.answers("bob", 1))
    said.ends("bob", 1, complete=False)
    said.intends("ann", Provocation.READ_ON)
    said.ends("ann", 1)
    actual = [broken.actual for broken in said.judged("R-SLOWCLIENT").broken]
    assert "it did not come to its end" in actual


def test_where_the_kit_itself_was_late_the_slow_client_delayed_nobody() -> None:
    judgement = slow(of_the_other="motion", lag=2.0).judged("R-SLOWCLIENT")
    assert judgement.verdict is not Verdict.FAILED


def test_a_client_that_never_read_on_shows_nothing() -> None:
    said = served_before()
    said.starts("ann", 1, voice("ann 1"))
    said.intends("ann", Provocation.UNREAD)
    turn(said, "bob", "motion")
    assert said.verdict("R-SLOWCLIENT") is Verdict.UNEXERCISED


@pytest.mark.parametrize("rule_id", ["R-BADINPUT", "R-SLOWCLIENT", "R-ISOLATION"])
def test_declared_shared_streams(rule_id: str) -> None:
    assert served_before(lacks=(OWN_STREAM,)).verdict(rule_id) is Verdict.NOT_APPLICABLE


def test_where_the_client_plays_what_it_spoke_no_audio_is_missed() -> None:
    said = Dialogue(lacks=(AUDIO,))

    def turn(client: str, number: int) -> None:
        pcm = said.speaks(client, number)
        said.client_sends(client, Speak(pcm), SpeakEnd())
        said.audio_up(up_of(client, number), req_of(client, number), pcm, end=True)
        said.motion_down(client, *said.answers(client, number))
        said.ends(client, number)

    turn("ann", 0)
    turn("bob", 0)
    said.intends("ann", Provocation.RUBBISH)
    turn("bob", 1)
    assert said.verdict("R-BADINPUT") is Verdict.PASSED


def test_resampled_audio_is_not_counted_in_bytes() -> None:
    said = Dialogue()
    said.ready("bob", 24_000)
    for number in (0, 1):
        pcm = said.speaks("bob", number)
        said.audio_up(up_of("bob", number), req_of("bob", number), pcm, end=True)
        said.audio_down("bob", voice(f"resampled {number}", 4800), last=True)
        said.motion_down("bob", *said.answers("bob", number))
        said.ends("bob", number)
        said.intends("ann", Provocation.RUBBISH)
    assert said.verdict("R-BADINPUT") is Verdict.PASSED
