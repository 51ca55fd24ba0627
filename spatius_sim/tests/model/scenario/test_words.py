"""Faults in words, and read back."""

import pytest

from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    EmptyMotion,
    Fault,
    FaultAction,
    GrowTo,
    Moment,
    Refuse,
    Scenario,
    SendError,
    Stall,
    UnknownFields,
    When,
)
from spatius_sim.model.scenario.words import delay_of, in_words, is_harmless, longest_delay, told


def test_a_trace_names_a_fault_with_its_figures() -> None:
    assert told(Stall()) == "stall"
    assert told(SendError(4001, "Credits exhausted")) == "error: code 4001, message Credits exhausted"
    assert told(CloseWith()) == "close"


@pytest.mark.parametrize("step", [Delay(2), GrowTo(1_048_576), UnknownFields()])
def test_slowness_size_and_unknown_fields_excuse_nobody(step: FaultAction) -> None:
    assert is_harmless(told(step))


@pytest.mark.parametrize(
    "step",
    [Refuse(401), GrowTo(1_048_577), SendError(13, "delay: 1"), CloseWith(1000), Stall(), EmptyMotion()],
)
def test_what_withholds_motion_excuses(step: FaultAction) -> None:
    assert not is_harmless(told(step))


def test_what_the_kit_does_beside_a_scenario_excuses() -> None:
    assert not is_harmless("Motion Server dies")


@pytest.mark.parametrize(
    ("step", "seconds"),
    [(Delay(1.5, 0.25), 1.75), (Delay(2e-5), 2e-5), (SendError(1, "delay: seconds 3"), 0)],
)
def test_a_delay_is_read_back(step: FaultAction, seconds: float) -> None:
    assert delay_of(told(step)) == seconds


def test_the_longest_delay_of_a_scenario() -> None:
    faults = (
        Fault(When(Moment.UPGRADE), (Delay(1), Delay(0.5, 1))),
        Fault(When(Moment.RESPONSE), (Delay(2),)),
    )
    assert longest_delay(Scenario("x", "", faults)) == 2.5
    assert longest_delay(Scenario("x", "")) == 0


def test_a_scenario_that_says_nothing_of_itself_tells_its_faults() -> None:
    faults = (
        Fault(When(Moment.RESPONSE, number=2, request=1), (Delay(1), Stall())),
        Fault(When(Moment.TOKEN, connection=3), (Refuse(401),)),
    )
    assert in_words(Scenario("x", "It goes wrong.", faults)) == "It goes wrong."
    assert in_words(Scenario("x", "", faults)) == (
        "delay: seconds 1, stall at response 2 of request 1; "
        "refuse: status 401 at the token request of connection 3"
    )


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (When(Moment.UPGRADE, probability=0.5), "at the upgrade, 50% of the time"),
        (When(Moment.OPEN, seconds=1.5), "1.5 s after the confirmation"),
        (When(Moment.SILENCE, seconds=2), "after 2 s without audio"),
        (When(Moment.AUDIO, messages=3), "after 3 messages of audio"),
        (When(Moment.AUDIO, seconds=3), "after 3 s of audio"),
        (When(Moment.RESPONSE), "at every response"),
    ],
)
def test_moments_in_words(when: When, words: str) -> None:
    assert in_words(Scenario("x", "", (Fault(when, (Stall(),)),))) == f"stall {words}"
