"""Follows what happens at our Motion Server, and says each turn when it ends."""

from collections.abc import Callable
from time import monotonic_ns

from spatius_sim.reporting.turn_lines import TurnLines
from spatius_sim.trace.events import Closed, EventKind, Lane
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import NullSink


class TurnSink(NullSink):
    """Keeps nothing of what happens but the open turns, and calls `say` with a line for each turn that
    ends."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._lines = TurnLines()

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """See that a connection closes."""
        if isinstance(what, Closed):
            self._follow(lane, connection, what)

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """See what the server sends."""
        self._follow(lane, connection, read_upstream(raw))

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """See what the server receives."""
        self._follow(lane, connection, read_upstream(raw))

    def _follow(self, lane: Lane, connection: str, value: object) -> None:
        """Give `say` a line for each turn that ends by this value. A value on the way to a room ends no
        turn."""
        if lane is Lane.UPSTREAM:
            for line in self._lines.lines_after(monotonic_ns(), connection, value):
                self._say(line)
