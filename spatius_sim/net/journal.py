"""What Motion Server remembers of its sessions: a bounded book, for the control interface."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from spatius_sim.model.trace import Closed, Lane, Received, Sent, Value, What
from spatius_sim.net.recorder import Sink

MOST_EVENTS = 50_000
MOST_BYTES = 32 * 1_048_576
MOST_PAST_SESSIONS = 256
"""What the book holds at most, for all sessions together; the oldest is forgotten first."""

_EVENT_BYTES = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One event; a frame is kept as its bytes and read when somebody asks."""

    at_ns: int
    lane: Lane
    connection: str
    what: What | str | bytes
    sent: bool = False
    answers: str = ""

    @property
    def cost(self) -> int:
        """Bytes that it is counted for."""
        raw = self.what if isinstance(self.what, str | bytes) else getattr(self.what, "raw", b"")
        return _EVENT_BYTES + len(raw)


@dataclass(slots=True)
class SessionRecord:
    """One session. Times in unix seconds; `close_code` is 0 while it is open."""

    name: str
    connection_id: str
    app_id: str
    avatar_id: str
    opened_at: float
    closed_at: float = 0.0
    close_code: int = 0
    closed_by_us: bool = False
    frames_received: int = 0
    frames_sent: int = 0


@dataclass(slots=True)
class Journal:
    """A sink that keeps the newest events, and a record of each session, and passes all of it on."""

    onward: Sink
    most_bytes: int = MOST_BYTES
    most_events: int = MOST_EVENTS
    open: dict[str, SessionRecord] = field(default_factory=dict)
    past: deque[SessionRecord] = field(default_factory=lambda: deque(maxlen=MOST_PAST_SESSIONS))
    _entries: deque[Entry] = field(default_factory=deque)
    _bytes: int = 0

    def emit(self, lane: Lane, connection: str, what: What) -> None:
        """An event that happened now."""
        self.onward.emit(lane, connection, what)
        self._keep(Entry(time.monotonic_ns(), lane, connection, what))

    def sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """A frame that the server sent."""
        self.onward.sent(lane, connection, raw, answers)
        if connection in self.open:
            self.open[connection].frames_sent += 1
        self._keep(Entry(time.monotonic_ns(), lane, connection, raw, True, answers))

    def received(self, lane: Lane, connection: str, raw: str | bytes, value: Value | None = None) -> None:
        """A frame that the server received."""
        self.onward.received(lane, connection, raw, value)
        if connection in self.open:
            self.open[connection].frames_received += 1
        self._keep(Entry(time.monotonic_ns(), lane, connection, raw))

    def secret(self, kind: str, secret: str) -> str:
        """The reference that the next sink gives it: no secret stands in this book."""
        return self.onward.secret(kind, secret)

    def opened(self, record: SessionRecord) -> None:
        """A session began."""
        self.open[record.name] = record

    def closed(self, name: str, what: Closed) -> None:
        """A session ended."""
        record = self.open.pop(name)
        record.closed_at = time.time()
        record.close_code, record.closed_by_us = what.code, what.by_kit
        self.past.append(record)
        self.emit(Lane.UPSTREAM, name, what)

    def session(self, key: str) -> SessionRecord | None:
        """The newest session of this name or connection_id."""
        for record in (*reversed(self.open.values()), *reversed(self.past)):
            if key in (record.name, record.connection_id):
                return record
        return None

    def trace(self, name: str) -> Iterator[Entry]:
        """What is still known of a session, in order."""
        return (entry for entry in self._entries if entry.connection == name)

    def is_whole(self, name: str) -> bool:
        """Whether nothing of this session was forgotten."""
        first = next(self.trace(name), None)
        return first is not None and not isinstance(first.what, str | bytes | Sent | Received)

    def forget(self) -> None:
        """Forget all events, and the sessions that are over."""
        self._entries.clear()
        self._bytes = 0
        self.past.clear()

    def _keep(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += entry.cost
        while self._bytes > self.most_bytes or len(self._entries) > self.most_events:
            self._bytes -= self._entries.popleft().cost
