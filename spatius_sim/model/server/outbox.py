"""Holds what a session sends until it is due, in order."""

from collections import deque
from dataclasses import dataclass, field

from spatius_sim.model.server.commands import (
    Close,
    Output,
    Publish,
    ResetConnection,
    Send,
    SendTruncated,
    ServerCommand,
    SetTimer,
)

SEND_TIMER = "send"

_AT_ONCE = 0.001
"""Seconds: no clock is finer."""


@dataclass(slots=True)
class Outbox:
    """A queue of outputs: they keep their order, and after the end of the connection nothing more is sent."""

    stalled: bool = False
    held_bytes: int = 0
    _held: deque[tuple[float, Output]] = field(default_factory=deque)
    _not_before: float = 0.0
    _ended: bool = False

    def put(self, output: Output, now: float) -> list[ServerCommand]:
        """Send an output after all that are held; return the commands for now."""
        if self.stalled or self._ended:
            return []
        self._ended = isinstance(output, Close | ResetConnection | SendTruncated)
        due = self._not_before = max(now, self._not_before)
        if not self._held and due <= now + _AT_ONCE:
            return [output]
        self._held.append((due, output))
        self.held_bytes += _size_of(output)
        return [SetTimer(SEND_TIMER, due - now)] if len(self._held) == 1 else []

    def hold_until(self, until: float) -> None:
        """Delay the outputs that are put in from now on: they leave at `until` at the earliest."""
        self._not_before = max(until, self._not_before)

    def take_due(self, now: float) -> list[ServerCommand]:
        """Return the outputs that leave now, and a timer for the next one."""
        leaving: list[ServerCommand] = []
        while self._held and self._held[0][0] <= now + _AT_ONCE:
            output = self._held.popleft()[1]
            self.held_bytes -= _size_of(output)
            leaving.append(output)
        if self._held:
            leaving.append(SetTimer(SEND_TIMER, self._held[0][0] - now))
        return leaving

    def stall(self) -> None:
        """Send nothing any more."""
        self.stalled = True
        self.clear()

    def clear(self) -> None:
        """Forget all outputs that are held."""
        self._held.clear()
        self.held_bytes = 0
        self._not_before = 0.0

    def forget(self, req_id: str) -> None:
        """Forget the outputs that are held for this request."""
        kept = [(due, output) for due, output in self._held if _req_id_of(output) != req_id]
        self._held = deque(kept)
        self.held_bytes = sum(_size_of(output) for _, output in kept)


def _size_of(output: Output) -> int:
    return len(output.raw) if isinstance(output, Send | Publish) else 0


def _req_id_of(output: Output) -> str | None:
    """Return the req_id that an output answers or belongs to; None if it has none."""
    match output:
        case Send(_, answers):
            return answers
        case Publish(_, _, req_id):
            return req_id
        case _:
            return None
