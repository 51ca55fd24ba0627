"""Payloads larger than usual, and the time that a relay adds to any."""

import pytest

from spatius_sim.model.scenario.scenario import Reset
from spatius_sim.model.scenario.spoil_messages import grow_message
from spatius_sim.rules.findings import Verdict
from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of


def grown(said: Dialogue, number: int, size: int) -> tuple[bytes, bytes]:
    """A turn that is answered with a payload of so many bytes, and one as usual."""
    said.echoes("ann", number, said.speaks("ann", number))
    up, req = up_of("ann", number), req_of("ann", number)
    large = grow_message(said.payload(up, req, 3), size)
    said.server_says_raw(up, large)
    return large, said.motion(up, req, 2, end=True)


def passed(*sizes: int) -> Dialogue:
    """A turn as usual, and one with each of these sizes, all passed on."""
    said = Dialogue()
    said.turn("ann", 0)
    for number, size in enumerate(sizes, 1):
        said.motion_down("ann", *grown(said, number, size), last=True)
        said.ends("ann", number)
    return said


@pytest.mark.parametrize(
    ("size", "large", "huge"),
    [
        (51_200, Verdict.UNEXERCISED, Verdict.UNEXERCISED),
        (51_201, Verdict.PASSED, Verdict.UNEXERCISED),
        (65_536, Verdict.PASSED, Verdict.UNEXERCISED),
        (65_537, Verdict.UNEXERCISED, Verdict.PASSED),
        (1_048_576, Verdict.UNEXERCISED, Verdict.PASSED),
    ],
)
def test_each_size_has_its_rule(size: int, large: Verdict, huge: Verdict) -> None:
    said = passed(size)
    assert (said.verdict("R-LARGE"), said.verdict("R-HUGE")) == (large, huge)
    assert said.failed == []
    assert [turn.clean for turn in build_story(said.trace).turns] == [True, size == 51_200]


@pytest.mark.parametrize(("size", "rule"), [(65_536, "R-LARGE"), (1_048_576, "R-HUGE")])
@pytest.mark.parametrize("way", ["lost", "doubled", "cut", "lost with what follows"])
def test_what_becomes_of_a_larger_payload_is_one_accusation(size: int, rule: str, way: str) -> None:
    said = passed()
    large, usual = grown(said, 1, size)
    match way:
        case "lost":
            said.motion_down("ann", usual, last=True)
        case "doubled":
            said.motion_down("ann", large, large, usual, last=True)
        case "cut":
            said.motion_down("ann", large[:40_000], usual, last=True)
    said.ends("ann", 1, complete=False)
    assert said.failed == [rule]


def test_who_loses_large_payloads_is_not_asked_for_huge_ones() -> None:
    said = passed()
    for number, size in ((1, 65_536), (2, 1_048_576)):
        said.motion_down("ann", grown(said, number, size)[1], last=True)
        said.ends("ann", number, complete=False)
    assert said.failed == ["R-LARGE"]


def test_who_loses_usual_payloads_is_not_asked_for_large_ones() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    said.motion_down("ann", said.answers()[1], last=True)
    said.ends("ann", 0)
    said.motion_down("ann", grown(said, 1, 65_536)[1], last=True)
    said.ends("ann", 1)
    assert said.failed == ["R-MOTION-COMPLETE"]


def test_a_failure_in_between_excuses() -> None:
    said = passed()
    _, usual = grown(said, 1, 65_536)
    said.fault(Reset())
    said.motion_down("ann", usual)
    said.ends("ann", 1)
    assert said.verdict("R-LARGE") is Verdict.UNEXERCISED


# The time that it adds.


def test_the_time_that_a_relay_adds_is_measured_in_milliseconds() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    first, second = said.answers()
    said.passes(0.25)
    said.motion_down("ann", first, second, last=True)
    said.ends("ann", 0)
    judgement = said.judged("R-LATENCY")
    assert judgement.verdict is Verdict.PASSED
    assert judgement.measurements == pytest.approx((252.0, 251.0))


def test_a_time_in_which_the_kit_slept_is_none() -> None:
    said = Dialogue()
    said.echoes("ann", 0, said.speaks())
    payloads = said.answers()
    said.lags(0.25)
    said.motion_down("ann", *payloads, last=True)
    said.ends("ann", 0)
    assert said.verdict("R-LATENCY") is Verdict.INCONCLUSIVE
