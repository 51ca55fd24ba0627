"""Plans for a room say in words what is done, and survive as a word."""

import pytest

from spatius_sim.plans.plan_token import plan_of, token_of
from spatius_sim.plans.room_plan import (
    AS_THE_AGENT_SPEAKS,
    AT_ANOTHER_RATE,
    TWO_TURNS_AND_AN_INTERRUPT,
    RoomPlan,
)

IN_WORDS = {
    TWO_TURNS_AND_AN_INTERRUPT: "in a room: 2 s of speech, then 6 s of speech, interrupted, then 1.5 s of "
    "speech; a session whose room cannot be joined",
    AT_ANOTHER_RATE: "at 24000 Hz; in a room: 1.2 s of speech, then 4 s of speech, interrupted, then 2.2 s "
    "of speech",
    AS_THE_AGENT_SPEAKS: "what the agent does",
}


@pytest.mark.parametrize("plan", IN_WORDS, ids=str)
def test_a_plan_for_a_room_has_words_and_a_token(plan: RoomPlan) -> None:
    assert str(plan) == IN_WORDS[plan]
    assert plan_of(token_of(plan), "room") == plan
