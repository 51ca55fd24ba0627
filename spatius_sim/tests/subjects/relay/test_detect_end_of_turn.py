"""A turn after one that was cut off or failed: its end is known, or more is waited for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spatius_sim.miniatures.relay.honest_relays import SendsLater
from spatius_sim.miniatures.relay.wrong_with_clients import PassesStaleMotionOn
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.relay.detect_end_of_turn import (
    has_own_audio_ended,
    has_own_motion_ended,
    is_motion_of_earlier_turn,
    is_speech_in_one_request,
    is_turn_answered,
    is_turn_surely_over,
)
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.tests.suspects import Hearing, Suspect
from spatius_sim.wires.events import Motion

OLD_UP, OLD_REQ = up_of("ann", 0), req_of("ann", 0)


@dataclass
class CutOff:
    """Ann's first turn went up and has not ended. Her second turn is the one that is watched."""

    said: Dialogue = field(default_factory=Dialogue)
    speech: bytes = b""
    began: int = 0

    def __post_init__(self) -> None:
        self.said.audio_up(OLD_UP, OLD_REQ, self.said.speaks("ann", 0))
        self.said.client_interrupts("ann")

    def is_over(self, *, audio: bool = True) -> bool:
        return is_turn_surely_over(self.said.trace.events, self.began, "ann", self.speech, sends_audio=audio)

    def is_of_earlier_turn(self, message: Motion) -> bool:
        return is_motion_of_earlier_turn(
            message, self.said.trace.events, self.began, "ann", self.speech or voice("ann 1")
        )


def next_turn(cut: CutOff) -> None:
    cut.began = cut.said.last + 1
    cut.said.turn("ann", 1)
    cut.speech = voice("ann 1")


def stopped(cut: CutOff) -> CutOff:
    cut.said.interrupt_up(OLD_UP, OLD_REQ)
    return cut


@pytest.mark.parametrize(
    "ends_old",
    [
        lambda said: said.interrupt_up(OLD_UP, OLD_REQ),
        lambda said: said.closed(OLD_UP, by_kit=False),
        lambda said: said.error(OLD_UP),
        lambda said: said.motion(OLD_UP, OLD_REQ, end=True),
    ],
)
def test_a_turn_is_surely_over_if_nothing_of_the_old_one_is_owed(ends_old: Callable[[Dialogue], int]) -> None:
    cut = CutOff()
    ends_old(cut.said)
    next_turn(cut)
    assert cut.is_over()


def test_motion_that_is_still_owed_for_the_old_turn_is_waited_for() -> None:
    cut = CutOff()
    next_turn(cut)
    assert not cut.is_over()


def test_the_end_of_the_old_turn_is_not_taken_for_that_of_the_new_one() -> None:
    cut = stopped(CutOff())
    cut.speech, cut.began = voice("ann 1"), cut.said.last + 1
    cut.said.audio_down("ann", voice("ann 0"), last=True)
    cut.said.motion_down("ann", cut.said.payload(OLD_UP, OLD_REQ, end=True), last=True)
    assert not cut.is_over()
    assert not cut.is_over(audio=False)


def test_an_end_mark_that_comes_before_the_end_of_the_speech_ends_nothing() -> None:
    cut = stopped(CutOff())
    cut.speech, cut.began = cut.said.speaks("ann", 1), cut.said.last + 1
    cut.said.audio_down("ann", cut.speech[:640], last=True)
    cut.said.audio_up(up_of("ann", 1), req_of("ann", 1), cut.speech, end=True)
    cut.said.motion_down("ann", *cut.said.answers("ann", 1), last=True)
    assert not cut.is_over()
    assert cut.is_over(audio=False)
    cut.said.audio_down("ann", cut.speech[640:], last=True)
    assert cut.is_over()


def test_a_req_id_that_was_used_before_tells_nothing() -> None:
    cut = stopped(CutOff())
    cut.began, cut.speech = cut.said.last + 1, voice("ann 1")
    cut.said.audio_up(up_of("ann", 1), OLD_REQ, cut.speech, end=True)
    cut.said.audio_down("ann", cut.speech, last=True)
    cut.said.motion_down("ann", cut.said.motion(up_of("ann", 1), OLD_REQ, end=True), last=True)
    assert not cut.is_over()


def test_speech_that_ends_in_silence_tells_nothing() -> None:
    cut = stopped(CutOff())
    next_turn(cut)
    cut.speech = bytes(len(cut.speech))
    assert not cut.is_over()


def test_stale_motion_is_still_found(tmp_path: Path) -> None:
    with Hearing(Suspect("relay", PassesStaleMotionOn), 1, tmp_path) as hearing:
        assert hearing.of("R-STALE").verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("req_ids", "of_before"),
    [((OLD_REQ,), True), ((OLD_REQ, req_of("ann", 1)), False), (("nobody asked",), False), ((), False)],
)
def test_motion_of_the_old_turn_is_known_by_its_request(req_ids: tuple[str, ...], of_before: bool) -> None:
    cut = CutOff()
    next_turn(cut)
    message = Motion(tuple(cut.said.payload(OLD_UP, req_id, end=True) for req_id in req_ids), last=True)
    assert cut.is_of_earlier_turn(message) is of_before


@pytest.mark.parametrize("began_before", [True, False])
def test_motion_of_a_turn_that_goes_up_late_is_known_by_its_audio(began_before: bool) -> None:
    """A relay that serves one turn after the other may send a turn up that its client has cut off already."""
    said = Dialogue()
    old_speech, speech = said.speaks("ann", 0), voice("ann 1")
    if began_before:
        said.audio_up(OLD_UP, OLD_REQ, old_speech[:640])
    said.starts("ann", 1, speech)
    began = said.last + 1
    said.audio_up(OLD_UP, OLD_REQ, old_speech[640 * began_before :], end=True)
    old_motion = said.motion(OLD_UP, OLD_REQ, end=True)
    assert is_motion_of_earlier_turn(
        Motion((old_motion,), last=True), said.trace.events, began, "ann", speech
    )
    said.audio_down("ann", old_speech, last=True)
    said.motion_down("ann", old_motion, last=True)
    said.audio_down("ann", speech, last=True)
    assert not is_turn_surely_over(said.trace.events, began, "ann", speech, sends_audio=True)
    said.audio_up(up_of("ann", 1), req_of("ann", 1), speech, end=True)
    own_motion = said.payload(up_of("ann", 1), req_of("ann", 1), end=True)
    assert not is_motion_of_earlier_turn(
        Motion((own_motion,), last=True), said.trace.events, began, "ann", speech
    )


def test_motion_of_two_turns_in_one_request_is_not_of_the_earlier_one_alone() -> None:
    """As of a relay that ends speech by silence, and heard none between the turns."""
    said = Dialogue()
    old_speech, speech = said.speaks("ann", 0), voice("ann 1")
    said.starts("ann", 1, speech)
    began = said.last + 1
    said.audio_up(OLD_UP, OLD_REQ, old_speech)
    said.audio_up(OLD_UP, OLD_REQ, speech, end=True)
    motion = Motion((said.motion(OLD_UP, OLD_REQ, end=True),), last=True)
    assert not is_motion_of_earlier_turn(motion, said.trace.events, began, "ann", speech)


def test_motion_of_a_req_id_that_was_used_again_is_not_known_to_be_old() -> None:
    cut = CutOff()
    cut.began = cut.said.last + 1
    cut.said.audio_up(up_of("ann", 1), OLD_REQ, voice("ann 1"))
    message = Motion((cut.said.payload(OLD_UP, OLD_REQ, end=True), b"no payload"))
    assert not cut.is_of_earlier_turn(message)


def test_late_motion_of_a_turn_that_was_cut_off_does_not_end_the_next_turn(tmp_path: Path) -> None:
    with Hearing(Suspect("relay", SendsLater), 1, tmp_path) as hearing:
        assert hearing.of("R-STALE").verdict is Verdict.PASSED
        assert hearing.of("R-HUGE").verdict is Verdict.PASSED
        assert not hearing.accusations


def asked_by_two() -> tuple[Dialogue, bytes]:
    """Ann and Bob have asked for motion; Ann's speech."""
    said = Dialogue()
    for client in ("ann", "bob"):
        pcm = said.speaks(client, 0)
        said.audio_up(up_of(client, 0), req_of(client, 0), pcm[:3200])
        said.audio_up(up_of(client, 0), req_of(client, 0), pcm[3200:], end=True)
    return said, voice("ann 0")


def test_the_last_response_to_another_client_answers_nobody_else() -> None:
    said, speech = asked_by_two()
    said.motion(up_of("bob", 0), req_of("bob", 0), end=True)
    assert not is_turn_answered(said.trace.events, 0, speech)
    assert is_turn_answered(said.trace.events, 0, b""), "the speech is unknown: any request counts"
    assert is_turn_answered(said.trace.events, 0, voice("spoken at another rate"))
    said.motion(up_of("ann", 0), req_of("ann", 0), end=True)
    assert is_turn_answered(said.trace.events, 0, speech)
    assert not is_turn_answered(said.trace.events, said.last + 1, speech)


def test_nothing_is_answered_before_anything_was_asked() -> None:
    assert not is_turn_answered(Dialogue().trace.events, 0, b"")


def test_if_all_clients_hear_the_same_a_turn_of_another_client_ends_nobody_elses() -> None:
    said = Dialogue()
    began, anns, bobs = said.last + 1, said.speaks("ann", 0), said.speaks("bob", 0)

    def has_motion() -> bool:
        return has_own_motion_ended(said.trace.events, began, "ann", anns)

    def has_audio(*, marked: bool) -> bool:
        return has_own_audio_ended(said.trace.events, began, "ann", anns, with_end_mark=marked)

    said.audio_up(up_of("bob", 0), req_of("bob", 0), bobs, end=True)
    said.audio_down("ann", bobs, last=True)
    said.motion_down("ann", said.motion(up_of("bob", 0), req_of("bob", 0), 5, end=True))
    assert not has_motion()
    assert not has_audio(marked=False)
    said.audio_up(up_of("ann", 0), req_of("ann", 0), anns, end=True)
    said.audio_down("ann", anns)
    assert has_audio(marked=False)
    assert not has_audio(marked=True)
    said.audio_down("ann", anns, last=True)
    assert has_audio(marked=True)
    assert not has_motion()
    said.motion_down("ann", said.motion(up_of("ann", 0), req_of("ann", 0), 5, end=True))
    assert has_motion()


def test_speech_that_went_up_in_one_request_has_no_other() -> None:
    said = Dialogue()
    pcm = said.speaks("ann", 0)
    assert is_speech_in_one_request(said.trace.events, 0, b"")
    said.audio_up(OLD_UP, OLD_REQ, pcm[:-640])
    assert not is_speech_in_one_request(said.trace.events, 0, pcm)
    said.audio_up(up_of("bob", 0), req_of("bob", 0), voice("bob"))
    assert not is_speech_in_one_request(said.trace.events, 0, pcm)
    said.audio_up(OLD_UP, OLD_REQ, pcm[-640:])
    assert is_speech_in_one_request(said.trace.events, 0, pcm)
