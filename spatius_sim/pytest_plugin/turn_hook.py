"""The hook by which a team's conftest.py starts a turn that only its own code can start (`--turn hook`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatius_sim.subjects.relay.turn_starts import TurnToStart


def pytest_spatius_start_turn(turn: "TurnToStart") -> None:
    """Have the relay speak to `turn.client`, whose session it called `turn.session_id`. This runs in a thread
    of its own, and may return before the turn is over. What goes up to Motion Server is what was said."""
