"""Plans in which everything goes wrong at once: Motion Server, the turns, and the clients beside."""

from hypothesis import strategies as st

from spatius_sim.plans.drawn_behaviour import bad_turns, cut_off_turn, leaving_turns, unread_turns
from spatius_sim.plans.drawn_faults import anything, with_faults
from spatius_sim.plans.drawn_turns import soundless_turns, turn_plans
from spatius_sim.plans.plan import Plan, TurnPlan

_MOST_FAULTS = 5


def combined_faults() -> st.SearchStrategy[Plan]:
    """One or two clients that interrupt, speak over themselves or say nothing between ordinary turns, beside
    up to two that leave in mid-turn, read nothing or send rubbish, in front of a Motion Server that is late,
    fails, refuses, goes silent or talks nonsense, up to five times. What a relay owes nobody in such a plan
    is not judged; the rest is."""
    return with_faults(_unruly(), st.lists(anything(), max_size=_MOST_FAULTS))


@st.composite
def _unruly(draw: st.DrawFn) -> Plan:
    alone = draw(st.booleans())
    enduring = [draw(_enduring(alone)) for _ in range(1 if alone else draw(st.integers(1, 2)))]
    leaving = [] if alone else draw(st.lists(_leaving(), min_size=1, max_size=2))
    clients = (*enduring, *leaving)
    # Only where all keep step is it known when a client may read on.
    step = not all(turn.reads for turns in clients for turn in turns) or draw(st.booleans())
    return Plan(clients, step=step)


@st.composite
def _enduring(draw: st.DrawFn, alone: bool) -> tuple[TurnPlan, ...]:
    """The turns of a client that stays; whose silence it was would be hard to tell in a crowd."""
    kinds = st.one_of(turn_plans(), cut_off_turn(), *([soundless_turns()] if alone else []))
    between = draw(st.lists(kinds, min_size=1, max_size=3))
    return (draw(turn_plans()), *between, draw(turn_plans()), draw(turn_plans()))


@st.composite
def _leaving(draw: st.DrawFn) -> tuple[TurnPlan, ...]:
    return draw(turn_plans()), draw(st.one_of(bad_turns(), leaving_turns(), unread_turns()))
