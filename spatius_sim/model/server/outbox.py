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

_ENDING_OUTPUTS = (Close, ResetConnection, SendTruncated)
"""The outputs that end the connection."""

_TOLERANCE_SECONDS = 0.001
"""Seconds: an output that is due within this time counts as due now, because no timer is more exact."""


class _HeldOutput(NamedTuple):
    """An output that leaves at `due_at`, in monotonic seconds."""

    due_at: float
    output: Output


@dataclass(slots=True)
class Outbox:
    """A queue of outputs, which keep their order. After an output that ends the connection, and after
    `stall` (a fault of a scenario), nothing more is sent."""

    stalled: bool = False
    held_bytes: int = 0
    _held: deque[_HeldOutput] = field(default_factory=deque)
    _earliest_at: float = 0.0
    _has_ended: bool = False

    def put(self, output: Output, now: float) -> list[ServerCommand]:
        """Add an output to the outbox, after all outputs in it. If the output is due at `now` (monotonic
        seconds) and no other waits, return it, to be sent at once. If it is the only one that waits, return a
        timer for it; otherwise an empty list.

        Drop the output if a fault has stalled the outbox (nothing is sent any more), or if the connection has
        ended."""
        if self.stalled or self._has_ended:
            return []
        self._has_ended = isinstance(output, _ENDING_OUTPUTS)
        due_at = self._earliest_at = max(now, self._earliest_at)
        if not self._held and due_at <= now + _TOLERANCE_SECONDS:
            return [output]
        self._held.append(_HeldOutput(due_at, output))
        self.held_bytes += _frame_bytes(output)
        return [SetTimer(SEND_TIMER, due_at - now)] if len(self._held) == 1 else []

    def hold_until(self, until: float) -> None:
        """Delay the outputs that are added to the outbox from now on: they leave at `until` at the
        earliest."""
        self._earliest_at = max(until, self._earliest_at)

    def take_due(self, now: float) -> list[ServerCommand]:
        """Remove the outputs that are due at `now` (monotonic seconds) from the outbox, and return them in
        order. If other outputs still wait, add a timer for the first of them."""
        commands: list[ServerCommand] = []
        while self._held and self._held[0].due_at <= now + _TOLERANCE_SECONDS:
            output = self._held.popleft().output
            self.held_bytes -= _frame_bytes(output)
            commands.append(output)
        if self._held:
            commands.append(SetTimer(SEND_TIMER, self._held[0].due_at - now))
        return commands

    def stall(self) -> None:
        """Forget all outputs in the outbox, and never send anything again."""
        self.stalled = True
        self.clear()

    def clear(self) -> None:
        """Forget all outputs in the outbox and their delay."""
        self._held.clear()
        self.held_bytes = 0
        self._earliest_at = 0.0

    def forget(self, req_id: str) -> None:
        """Remove the outputs of this request from the outbox."""
        others = [held for held in self._held if _find_req_id(held.output) != req_id]
        self._held = deque(others)
        self.held_bytes = sum(_frame_bytes(held.output) for held in others)


def _frame_bytes(output: Output) -> int:
    """Return the bytes of an output's binary frame; 0 if the output is not a frame."""
    return len(output.raw) if isinstance(output, Send | Publish) else 0


def _find_req_id(output: Output) -> str | None:
    """Return the req_id of the request that an output answers, or whose audio or motion it publishes. Return
    "" for a message that belongs to no request, and None for any other kind of output."""
    match output:
        case Send(_, answers):
            return answers
        case Publish(_, _, req_id):
            return req_id
        case _:
            return None
