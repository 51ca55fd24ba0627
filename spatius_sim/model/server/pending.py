"""Responses that are not made yet: motion takes its time."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from spatius_sim.model.server.requests import OpenRequest

_AT_ONCE = 0.001
"""Seconds: a clock is not finer than that."""


@dataclass(slots=True)
class PendingMotion:
    """In the order of their audio. That one request's motion waits for that of another is ASSUMED."""

    held_bytes: int = 0
    _waiting: deque[tuple[float, OpenRequest, bytes]] = field(default_factory=deque)

    def put(self, request: OpenRequest, payload: bytes, due: float) -> None:
        """This is made at `due`, and after what was put in before."""
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, request, payload))
        self.held_bytes += len(payload)
        request.unmade += 1

    def made(self, now: float) -> Iterator[tuple[OpenRequest, bytes]]:
        """What is made by now."""
        while self._waiting and self._waiting[0][0] <= now + _AT_ONCE:
            _, request, payload = self._waiting.popleft()
            self.held_bytes -= len(payload)
            request.unmade -= 1
            yield request, payload

    @property
    def next_due(self) -> float | None:
        """When the next one is made."""
        return self._waiting[0][0] if self._waiting else None

    def forget(self, request: OpenRequest) -> None:
        """No more is made for this request."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting[1] is not request)
        self.held_bytes = sum(len(payload) for _, _, payload in self._waiting)
        request.unmade = 0

    def clear(self) -> None:
        """No more is made at all."""
        self._waiting.clear()
        self.held_bytes = 0
