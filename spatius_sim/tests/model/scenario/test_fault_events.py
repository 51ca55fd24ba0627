"""Faults as a trace records them."""

import pytest

from spatius_sim.model.scenario.fault_events import longest_delay, make_fault_event
from spatius_sim.model.scenario.scenario import (
    ACTION_BY_NAME,
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
from spatius_sim.trace.event_text import WORDS_BY_FAULT, describe_fault
from spatius_sim.trace.events import Excuse, Injected


def test_a_fault_is_shown_with_its_figures() -> None:
    assert describe_fault(make_fault_event(Stall())) == "stall"
    shown = describe_fault(make_fault_event(SendError(4001, "Credits exhausted")))
    assert shown == "error: code 4001, message Credits exhausted"
    assert describe_fault(make_fault_event(CloseWith())) == "close"


@pytest.mark.parametrize(
    ("step", "excuse"),
    [
        (Delay(2), Excuse.LATENESS),
        *((step, Excuse.NOTHING) for step in (GrowTo(1_048_576), UnknownFields())),
        *((step, Excuse.FAILURE) for step in (Refuse(401), GrowTo(1_048_577), SendError(13, "delay: 1"))),
        *((step, Excuse.FAILURE) for step in (CloseWith(1000), Stall(), EmptyMotion())),
    ],
)
def test_what_withholds_motion_excuses(step: FaultAction, excuse: Excuse) -> None:
    assert make_fault_event(step).excuses is excuse


@pytest.mark.parametrize(
    ("step", "seconds"),
    [(Delay(1.5, 0.25), 1.75), (Delay(2e-5), 2e-5), (SendError(1, "delay: seconds 3"), 0)],
)
def test_a_delay_is_a_number(step: FaultAction, seconds: float) -> None:
    assert make_fault_event(step).delay == seconds


def test_the_kind_is_what_a_scenario_file_says() -> None:
    assert make_fault_event(Delay(1.5, 0.25)) == Injected(
        "delay", Excuse.LATENESS, 1.75, "seconds 1.5, jitter 0.25"
    )
    assert not WORDS_BY_FAULT.keys() & ACTION_BY_NAME.keys()


def test_the_longest_delay_of_a_scenario() -> None:
    faults = (
        Fault(When(Moment.UPGRADE), (Delay(1), Delay(0.5, 1))),
        Fault(When(Moment.RESPONSE), (Delay(2),)),
    )
    assert longest_delay(Scenario("x", "", faults)) == 2.5
    assert longest_delay(Scenario("x", "")) == 0


def test_responses_that_are_late_one_after_the_other_keep_waiting_from_one_to_the_next() -> None:
    late = {1: 2.0, 2: 3.0, 3: 4.5}
    faults = (Fault(When(Moment.RESPONSE, number=number), (Delay(late[number]),)) for number in late)
    assert longest_delay(Scenario("x", "", tuple(faults))) == 2.0
