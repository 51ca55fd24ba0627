"""Holds motion payloads until the time at which Motion Server would have made them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from spatius_sim.model.server.open_requests import OpenRequest

_AT_ONCE = 0.001
"""Seconds: a payload that is due within this time counts as due now, because no timer is more exact."""


class _WaitingPayload(NamedTuple):
    """A payload of `request` that is made at `due`, in monotonic seconds."""

    due: float
    request: OpenRequest
    payload: bytes


@dataclass(slots=True)
class DelayedMotion:
    """The motion payloads of a session that are not due yet, in the order of their audio. ASSUMED: Motion
    Server answers the requests of one session in order."""

    held_bytes: int = 0
    _waiting: deque[_WaitingPayload] = field(default_factory=deque)

    def put(self, request: OpenRequest, payload: bytes, due: float) -> None:
        """Add a motion payload that Motion Server makes at `due`, but not before the payloads that were added
        earlier."""
        if self._waiting:
            due = max(due, self._waiting[-1].due)
        self._waiting.append(_WaitingPayload(due, request, payload))
        self.held_bytes += len(payload)
        request.unmade += 1

    def take_made(self, now: float) -> Iterator[tuple[OpenRequest, bytes]]:
        """Remove the delayed motion payloads that are due now, and yield each with its request."""
        while self._waiting and self._waiting[0].due <= now + _AT_ONCE:
            _, request, payload = self._waiting.popleft()
            self.held_bytes -= len(payload)
            request.unmade -= 1
            yield request, payload

    @property
    def next_due(self) -> float | None:
        """The time at which the next delayed motion payload is due, in monotonic seconds; None if no payload
        waits."""
        return self._waiting[0].due if self._waiting else None

    def forget(self, request: OpenRequest) -> None:
        """Drop the delayed motion payloads of this request."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting.request is not request)
        self.held_bytes = sum(len(waiting.payload) for waiting in self._waiting)
        request.unmade = 0

    def clear(self) -> None:
        """Drop all pending payloads."""
        self._waiting.clear()
        self.held_bytes = 0
