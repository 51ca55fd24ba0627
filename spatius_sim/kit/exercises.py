"""Which plans exercise which rule."""

from hypothesis.strategies import SearchStrategy

from spatius_sim.kit.plans import Plan, conversations, crowds

_OTHER_THAN_ONE_CONVERSATION: dict[str, SearchStrategy[Plan]] = {
    "R-TURNS": conversations(least_turns=2),
    "R-ISOLATION": crowds(),
    "S-MOTION-COUNT": conversations() | crowds(),
}


def plans_exercising(rule_id: str) -> SearchStrategy[Plan]:
    """The plans from which the situation of that rule comes up."""
    return _OTHER_THAN_ONE_CONVERSATION.get(rule_id, conversations())
