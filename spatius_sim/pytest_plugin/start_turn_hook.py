"""Declares the hook by which a team's conftest.py starts a turn that only its own code can start (`--turn
hook`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatius_sim.subjects.relay.start_turns import TurnToStart


def pytest_spatius_start_turn(turn: "TurnToStart") -> None:
    """Let the relay speak to `turn.client`, in the session that the relay called `turn.session_id`. This runs
    in a thread of its own, and may return before the turn is over. The kit takes the audio that reaches
    Motion Server as what the relay was to say."""
