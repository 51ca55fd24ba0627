"""What a session sends, in order, each piece when it is due."""

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
"""Seconds: a clock is not finer than that."""


@dataclass(slots=True)
class Outbox:
    """Nothing overtakes what was put in before it, and nothing follows the end of the connection."""

    stalled: bool = False
    held_bytes: int = 0
    _held: deque[tuple[float, Output]] = field(default_factory=deque)
    _not_before: float = 0.0
    _ended: bool = False

    def put(self, output: Output, now: float) -> list[ServerCommand]:
        """Send this, after all that is held."""
        if self.stalled or self._ended:
            return []
        self._ended = isinstance(output, Close | ResetConnection | SendTruncated)
        due = self._not_before = max(now, self._not_before)
        if not self._held and due <= now + _AT_ONCE:
            return [output]
        self._held.append((due, output))
        self.held_bytes += _size(output)
        return [SetTimer(SEND_TIMER, due - now)] if len(self._held) == 1 else []

    def hold(self, until: float) -> None:
        """What is put in from here on leaves at `until` at the earliest."""
        self._not_before = max(until, self._not_before)

    def due(self, now: float) -> list[ServerCommand]:
        """What leaves now, and the timer for what does not."""
        leaving: list[ServerCommand] = []
        while self._held and self._held[0][0] <= now + _AT_ONCE:
            output = self._held.popleft()[1]
            self.held_bytes -= _size(output)
            leaving.append(output)
        if self._held:
            leaving.append(SetTimer(SEND_TIMER, self._held[0][0] - now))
        return leaving

    def stall(self) -> None:
        """Nothing leaves any more."""
        self.stalled = True
        self.clear()

    def clear(self) -> None:
        """Forget what is held."""
        self._held.clear()
        self.held_bytes = 0
        self._not_before = 0.0

    def forget(self, req_id: str) -> None:
        """Forget what is held for this request."""
        kept = [(due, output) for due, output in self._held if _req_id(output) != req_id]
        self._held = deque(kept)
        self.held_bytes = sum(_size(output) for _, output in kept)


def _size(output: Output) -> int:
    return len(output.raw) if isinstance(output, Send | Publish) else 0


def _req_id(output: Output) -> str | None:
    match output:
        case Send(_, answers):
            return answers
        case Publish(_, _, req_id):
            return req_id
        case _:
            return None
