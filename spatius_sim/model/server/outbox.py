"""Holds what a session is to send, in order, until each output is due."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

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

_ENDS = (Close, ResetConnection, SendTruncated)
"""The outputs that end the connection."""

_AT_ONCE = 0.001
"""Seconds: an output that is due within this time counts as due now, because no timer is more exact."""


class _HeldOutput(NamedTuple):
    """An output that leaves at `due`, in monotonic seconds."""

    due: float
    output: Output


@dataclass(slots=True)
class Outbox:
    """A queue of outputs, which keep their order. After an output that ends the connection, and after
    `stall`, nothing more is sent."""

    stalled: bool = False
    held_bytes: int = 0
    _held: deque[_HeldOutput] = field(default_factory=deque)
    _not_before: float = 0.0
    _ended: bool = False

    def put(self, output: Output, now: float) -> list[ServerCommand]:
        """Add an output to the outbox, after all outputs that it holds. Return the commands for now: the
        output itself, a timer for it, or an empty list."""
        if self.stalled or self._ended:
            return []
        self._ended = isinstance(output, _ENDS)
        due = self._not_before = max(now, self._not_before)
        if not self._held and due <= now + _AT_ONCE:
            return [output]
        self._held.append(_HeldOutput(due, output))
        self.held_bytes += _size_of(output)
        return [SetTimer(SEND_TIMER, due - now)] if len(self._held) == 1 else []

    def hold_until(self, until: float) -> None:
        """Delay the outputs that are added to the outbox from now on: they leave at `until` at the
        earliest."""
        self._not_before = max(until, self._not_before)

    def take_due(self, now: float) -> list[ServerCommand]:
        """Remove the outputs from the outbox that are due now and return them, with a timer for the next
        output."""
        commands: list[ServerCommand] = []
        while self._held and self._held[0].due <= now + _AT_ONCE:
            output = self._held.popleft().output
            self.held_bytes -= _size_of(output)
            commands.append(output)
        if self._held:
            commands.append(SetTimer(SEND_TIMER, self._held[0].due - now))
        return commands

    def stall(self) -> None:
        """Forget all outputs in the outbox, and never send anything again."""
        self.stalled = True
        self.clear()

    def clear(self) -> None:
        """Forget all outputs in the outbox and their delay."""
        self._held.clear()
        self.held_bytes = 0
        self._not_before = 0.0

    def forget(self, req_id: str) -> None:
        """Remove the outputs of this request from the outbox."""
        others = [held for held in self._held if _req_id_of(held.output) != req_id]
        self._held = deque(others)
        self.held_bytes = sum(_size_of(held.output) for held in others)


def _size_of(output: Output) -> int:
    """Return the bytes of an output's binary frame; 0 if the output is not a frame."""
    return len(output.raw) if isinstance(output, Send | Publish) else 0


def _req_id_of(output: Output) -> str | None:
    """Return the req_id of the request to which an output of the outbox belongs; None if it belongs to no
    request."""
    match output:
        case Send(_, answers):
            return answers
        case Publish(_, _, req_id):
            return req_id
        case _:
            return None
