"""Which plans exercise which rule."""

from typing import Any

from hypothesis.strategies import SearchStrategy

from spatius_sim.kit.client_exercises import client_plans_exercising
from spatius_sim.kit.plans import Plan, conversations, crowds
from spatius_sim.rules.catalogue import rule

_OTHER_THAN_ONE_CONVERSATION: dict[str, SearchStrategy[Plan]] = {
    "R-TURNS": conversations(least_turns=2),
    "R-ISOLATION": crowds(),
    "S-MOTION-COUNT": conversations() | crowds(),
}


def plans_exercising(rule_id: str) -> SearchStrategy[Any]:
    """The plans from which the situation of that rule comes up; for a C rule they are client plans."""
    if rule(rule_id).subject == "client":
        return client_plans_exercising(rule_id)
    return _OTHER_THAN_ONE_CONVERSATION.get(rule_id, conversations())
