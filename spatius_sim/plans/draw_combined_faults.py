"""Draws plans in which everything goes wrong at once: Motion Server, the turns, and the other clients."""

from hypothesis import strategies as st

from spatius_sim.plans.draw_misbehaving_clients import bad_turns, cut_off_turn, leaving_turns, unread_turns
from spatius_sim.plans.draw_server_faults import any_fault, with_faults
from spatius_sim.plans.draw_turns import soundless_turns, turn_plans
from spatius_sim.plans.plan import Plan, TurnPlan

_MAX_FAULTS = 5


def combined_faults() -> st.SearchStrategy[Plan]:
    """Draw plans in which faults of Motion Server, of the turns and of the other clients are combined.

    One or two clients interrupt, speak over their own turns or say nothing between ordinary turns. At most
    two more clients leave in mid-turn, read nothing or send malformed input. Motion Server is late, fails,
    refuses, goes silent or sends nonsense, at most five times."""
    return with_faults(_draw_clients(), st.lists(any_fault(), max_size=_MAX_FAULTS))


@st.composite
def _draw_clients(draw: st.DrawFn) -> Plan:
    """Draw the clients of a plan with combined faults: one or two clients that stay to their last turn and,
    in most plans, others that leave, read nothing or send malformed input."""
    alone = draw(st.booleans())
    staying = [draw(_draw_staying_client(alone)) for _ in range(1 if alone else draw(st.integers(1, 2)))]
    leaving = [] if alone else draw(st.lists(_draw_leaving_client(), min_size=1, max_size=2))
    clients = (*staying, *leaving)
    # A client that does not read may read on when the others' turns are over: for this all must keep step.
    keep_step = not all(turn.reads for turns in clients for turn in turns) or draw(st.booleans())
    return Plan(clients, step=keep_step)


@st.composite
def _draw_staying_client(draw: st.DrawFn, alone: bool) -> tuple[TurnPlan, ...]:
    """Draw the turns of a client that stays, to be combined with faults. Only a client that is `alone` has
    soundless turns: if several clients speak, nobody could tell whose silence came."""
    turn_kinds = st.one_of(turn_plans(), cut_off_turn(), *([soundless_turns()] if alone else []))
    between = draw(st.lists(turn_kinds, min_size=1, max_size=3))
    return (draw(turn_plans()), *between, draw(turn_plans()), draw(turn_plans()))


@st.composite
def _draw_leaving_client(draw: st.DrawFn) -> tuple[TurnPlan, ...]:
    """Draw the two turns of a client that leaves, reads nothing or sends malformed input in the second, to be
    combined with faults."""
    return draw(turn_plans()), draw(st.one_of(bad_turns(), leaving_turns(), unread_turns()))
