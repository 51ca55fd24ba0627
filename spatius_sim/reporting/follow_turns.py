"""Follows what happens at our Motion Server, and says each turn when it ends."""

from collections.abc import Callable
from time import monotonic_ns

from spatius_sim.reporting.turn_lines import TurnLines
from spatius_sim.trace.events import Closed, EventKind, Lane
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import NullSink


class TurnSink(NullSink):
    """Follows the turns at our Motion Server, and calls `say` with a line for each turn that ends. Keeps
    nothing else of what happens."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._lines = TurnLines()

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """Follow the close of a connection, which ends its turns; ignore all other events."""
        if isinstance(what, Closed):
            self._follow(lane, connection, what)

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Follow a message that our Motion Server sends."""
        self._follow(lane, connection, read_upstream(raw))

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Follow a message that our Motion Server receives."""
        self._follow(lane, connection, read_upstream(raw))

    def _follow(self, lane: Lane, connection: str, message: object) -> None:
        """Call `say` with a line for each turn that this message or close ends. What goes to a room ends no
        turn."""
        if lane is Lane.UPSTREAM:
            for line in self._lines.lines_of_ended_turns(monotonic_ns(), connection, message):
                self._say(line)
