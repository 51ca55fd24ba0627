"""What Motion Server remembers of its sessions: a bounded book, for the control interface."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import NamedTuple

from spatius_sim.model.trace import Closed, Lane, Received, Sent, What
from spatius_sim.net.recorder import Sink

MOST_EVENTS = 20_000
MOST_BYTES = 16 * 1_048_576
MOST_PAST_SESSIONS = 256
"""What the book holds at most, for all sessions together; the oldest is forgotten first."""

_Event = tuple[int, int, Lane, str, What | str | bytes, bool, str]
"""How many bytes it holds, and the parts of an Entry."""


class Entry(NamedTuple):
    """One event; a frame is kept as its bytes and read when somebody asks."""

    at_ns: int
    lane: Lane
    connection: str
    what: What | str | bytes
    sent: bool = False
    answers: str = ""


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
    _events: deque[_Event] = field(default_factory=deque)
    _bytes: int = 0

    def emit(self, lane: Lane, connection: str, what: What) -> None:
        """An event that happened now."""
        self.onward.emit(lane, connection, what)
        self._keep((len(getattr(what, "raw", b"")), monotonic_ns(), lane, connection, what, False, ""))

    def sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """A frame that the server sent."""
        self.onward.sent(lane, connection, raw, answers)
        record = self.open.get(connection)
        if record is not None:
            record.frames_sent += 1
        self._keep((len(raw), monotonic_ns(), lane, connection, raw, True, answers))

    def received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """A frame that the server received."""
        self.onward.received(lane, connection, raw)
        record = self.open.get(connection)
        if record is not None:
            record.frames_received += 1
        self._keep((len(raw), monotonic_ns(), lane, connection, raw, False, ""))

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
        return (Entry(*event[1:]) for event in self._events if event[3] == name)

    def is_whole(self, name: str) -> bool:
        """Whether nothing of this session was forgotten."""
        first = next(self.trace(name), None)
        return first is not None and not isinstance(first.what, str | bytes | Sent | Received)

    def forget(self) -> None:
        """Forget all events, and the sessions that are over."""
        self._events.clear()
        self._bytes = 0
        self.past.clear()

    def _keep(self, event: _Event) -> None:
        # The hot path of every frame: a plain tuple.
        events = self._events
        events.append(event)
        self._bytes += event[0]
        while self._bytes > self.most_bytes or len(events) > self.most_events:
            self._bytes -= events.popleft()[0]
