"""Holds responses that are not made yet, because motion takes time."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from spatius_sim.model.server.requests import OpenRequest

_AT_ONCE = 0.001
"""Seconds: no clock is finer."""


@dataclass(slots=True)
class PendingMotion:
    """Pending responses, oldest audio first. ASSUMED: the requests of one session are answered in order."""

    held_bytes: int = 0
    _waiting: deque[tuple[float, OpenRequest, bytes]] = field(default_factory=deque)

    def put(self, request: OpenRequest, payload: bytes, due: float) -> None:
        """Add a payload that is made at `due`, and after all payloads before it."""
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, request, payload))
        self.held_bytes += len(payload)
        request.unmade += 1

    def take_made(self, now: float) -> Iterator[tuple[OpenRequest, bytes]]:
        """Take out the payloads that are made by now, and yield each with its request."""
        while self._waiting and self._waiting[0][0] <= now + _AT_ONCE:
            _, request, payload = self._waiting.popleft()
            self.held_bytes -= len(payload)
            request.unmade -= 1
            yield request, payload

    @property
    def next_due(self) -> float | None:
        """When the next payload is made; None if none is pending."""
        return self._waiting[0][0] if self._waiting else None

    def forget(self, request: OpenRequest) -> None:
        """Make no more payloads for this request."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting[1] is not request)
        self.held_bytes = sum(len(payload) for _, _, payload in self._waiting)
        request.unmade = 0

    def clear(self) -> None:
        """Make no more payloads at all."""
        self._waiting.clear()
        self.held_bytes = 0
