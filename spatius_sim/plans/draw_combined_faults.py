"""Draws plans in which everything goes wrong at once: Motion Server, the turns, and the other clients."""

from hypothesis import strategies as st

from spatius_sim.plans.draw_disturbed_turns import bad_turns, cut_off_turn, leaving_turns, unread_turns
from spatius_sim.plans.draw_server_faults import add_faults, any_fault
from spatius_sim.plans.draw_undisturbed_turns import turn_plans, turns_without_motion
from spatius_sim.plans.plan import Plan, TurnPlan

_MAX_FAULTS = 5


def combined_faults() -> st.SearchStrategy[Plan]:
    """Draw plans in which faults of Motion Server, of the turns and of the other clients are combined.

    One or two clients interrupt, cut off their own turns by the next one, or say nothing between ordinary
    turns. At most two more clients leave in mid-turn, read nothing or send malformed input. Motion Server is
    late, fails, refuses, goes silent or sends nonsense, at most five times."""
    return add_faults(_draw_clients(), st.lists(any_fault(), max_size=_MAX_FAULTS))


@st.composite
def _draw_clients(draw: st.DrawFn) -> Plan:
    """Draw the clients of a plan with combined faults. Either there is one client; or one or two clients stay
    to their last turn, and one or two others leave, read nothing or send malformed input."""
    is_alone = draw(st.booleans())
    staying = [
        draw(_draw_staying_client(is_alone)) for _ in range(1 if is_alone else draw(st.integers(1, 2)))
    ]
    leaving = [] if is_alone else draw(st.lists(_draw_leaving_client(), min_size=1, max_size=2))
    clients = (*staying, *leaving)
    # A client that reads nothing reads on when the others' turns are over. For this, all clients must begin
    # each turn together.
    all_read = all(turn.reads for turns in clients for turn in turns)
    return Plan(clients, step=not all_read or draw(st.booleans()))


@st.composite
def _draw_staying_client(draw: st.DrawFn, is_alone: bool) -> tuple[TurnPlan, ...]:
    """Draw, for a plan with combined faults, the turns of a client that stays to its last turn: a whole turn,
    one to three turns that may be cut off, and two whole turns. Only a client that `is_alone` may speak a
    turn that gets no motion: among several clients nobody could tell whose motion is missing."""
    turn_kinds = st.one_of(turn_plans(), cut_off_turn(), *([turns_without_motion()] if is_alone else []))
    middle_turns = draw(st.lists(turn_kinds, min_size=1, max_size=3))
    return (draw(turn_plans()), *middle_turns, draw(turn_plans()), draw(turn_plans()))


@st.composite
def _draw_leaving_client(draw: st.DrawFn) -> tuple[TurnPlan, ...]:
    """Draw, for a plan with combined faults, the two turns of a client: a whole turn, and a turn in which it
    hangs up, reads nothing, sends malformed input or loses its connection."""
    return draw(turn_plans()), draw(st.one_of(bad_turns(), leaving_turns(), unread_turns()))
