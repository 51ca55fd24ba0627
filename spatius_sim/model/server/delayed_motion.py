"""Holds motion payloads until the time at which Motion Server would have made them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from spatius_sim.model.server.open_requests import OpenRequest

_TOLERANCE_SECONDS = 0.001
"""Seconds: a payload that is due within this time counts as due now, because no timer is more exact."""


class _WaitingPayload(NamedTuple):
    """A payload of `request` that is made at `due_at`, in monotonic seconds."""

    due_at: float
    request: OpenRequest
    payload: bytes


@dataclass(slots=True)
class DelayedMotion:
    """The motion payloads of a session that are not due yet, in the order of their audio. ASSUMED: Motion
    Server answers the requests of one session in order."""

    held_bytes: int = 0
    _waiting: deque[_WaitingPayload] = field(default_factory=deque)

    def put(self, request: OpenRequest, payload: bytes, due_at: float) -> None:
        """Keep a motion payload of this request until Motion Server would have made it, at `due_at`
        (monotonic seconds). If an earlier payload is due later than this, wait for that time: the payloads
        keep their order."""
        if self._waiting:
            due_at = max(due_at, self._waiting[-1].due_at)
        self._waiting.append(_WaitingPayload(due_at, request, payload))
        self.held_bytes += len(payload)
        request.unmade_count += 1

    def take_due(self, now: float) -> Iterator[tuple[OpenRequest, bytes]]:
        """Remove the delayed motion payloads that are due at `now` (monotonic seconds) or within 1 ms, and
        yield each payload with its request, in order. Count it as no longer delayed (`unmade_count`)."""
        while self._waiting and self._waiting[0].due_at <= now + _TOLERANCE_SECONDS:
            _, request, payload = self._waiting.popleft()
            self.held_bytes -= len(payload)
            request.unmade_count -= 1
            yield request, payload

    @property
    def next_due_at(self) -> float | None:
        """The time at which the next delayed motion payload is due, in monotonic seconds; None if no payload
        waits."""
        return self._waiting[0].due_at if self._waiting else None

    def forget(self, request: OpenRequest) -> None:
        """Drop the delayed motion payloads of this request."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting.request is not request)
        self.held_bytes = sum(len(waiting.payload) for waiting in self._waiting)
        request.unmade_count = 0

    def clear(self) -> None:
        """Drop all pending payloads."""
        self._waiting.clear()
        self.held_bytes = 0
