"""Scenarios in words."""

import pytest

from spatius_sim.model.scenario.scenario import Delay, Fault, Moment, Refuse, Scenario, Stall, When
from spatius_sim.model.scenario.scenario_text import describe_scenario


def test_a_scenario_that_says_nothing_of_itself_tells_its_faults() -> None:
    faults = (
        Fault(When(Moment.RESPONSE, number=2, request=1), (Delay(1), Stall())),
        Fault(When(Moment.TOKEN, connection=3), (Refuse(401),)),
    )
    assert describe_scenario(Scenario("x", "It goes wrong.", faults)) == "It goes wrong."
    assert describe_scenario(Scenario("x", "", faults)) == (
        "delay: seconds 1, stall at response 2 of request 1; "
        "refuse: status 401 at the token request of connection 3"
    )


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (When(Moment.UPGRADE, probability=0.5), "at the upgrade, 50% of the time"),
        (When(Moment.UPGRADE, request=4), "at the upgrade, since request 4"),
        (When(Moment.OPEN, seconds=1.5), "1.5 s after the confirmation"),
        (When(Moment.SILENCE, seconds=2), "after 2 s without audio"),
        (When(Moment.AUDIO, messages=3), "after 3 messages of audio"),
        (When(Moment.AUDIO, seconds=3), "after 3 s of audio"),
        (When(Moment.RESPONSE), "at every response"),
    ],
)
def test_moments_in_words(when: When, words: str) -> None:
    assert describe_scenario(Scenario("x", "", (Fault(when, (Stall(),)),))) == f"stall {words}"
