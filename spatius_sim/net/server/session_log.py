"""Keeps the sessions of our Motion Server, or of a recording proxy, and their newest events, for the control
interface."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any, NamedTuple

from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.trace.events import Closed, Event, EventKind, Lane, Opened, Received, Sent
from spatius_sim.trace.known_secrets import KnownSecrets, redact_text_fields
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.recorder import Sink
from spatius_sim.trace.secrets_in_messages import redact_frame

MAX_EVENTS = 20_000
MAX_BYTES = 16 * 1_048_576
MAX_PAST_SESSIONS = 256
"""How much the log keeps at most, for all sessions together. The oldest is forgotten first."""

_AUDIO_AND_MOTION = frozenset((b"\x08\x03", b"\x08\x05"))
"""The first bytes of messages that carry audio or motion. (A look into a set takes a third of the time.)"""

_BLOCKS = 16
"""The log consists of about so many blocks of events, and forgets a whole block at once."""

_NOT_SENT, _ANSWERS_NOTHING = False, ""
"""The last two fields of a LogEntry that is no frame, or whose frame was received."""


class _EventBlock(NamedTuple):
    """Some events of the log, one after the other, each as the fields of its LogEntry. (A tuple for each
    event would slow the garbage collector down.) `size` is the bytes of their frames."""

    size: int
    fields: list[Any]


class LogEntry(NamedTuple):
    """One event of a relay's session with Motion Server, as the session log keeps it. The `content` of a
    frame is its bytes or text."""

    at_ns: int
    lane: Lane
    connection: str
    content: EventKind | str | bytes
    sent: bool = False
    answers: str = ""


@dataclass(slots=True)
class SessionRecord:
    """What the log knows of one session. Times are unix seconds; `close_code` is 0 while it is open."""

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
class SessionLog:
    """A sink (it receives all events) that keeps the newest events and a record of each session, and passes
    all events on to `next_sink`, such as a recorder.

    It holds at most `most_bytes` of frames and `most_events` events in full blocks, and one block that is not
    full yet. It shows no secret. The secrets in audio and motion are hidden when `session_events` is called,
    all others when an event is kept."""

    next_sink: Sink
    most_bytes: int = MAX_BYTES
    most_events: int = MAX_EVENTS
    open_sessions: dict[str, SessionRecord] = field(default_factory=dict)
    past_sessions: deque[SessionRecord] = field(default_factory=lambda: deque(maxlen=MAX_PAST_SESSIONS))
    _full_blocks: deque[_EventBlock] = field(default_factory=deque)
    _newest_fields: list[Any] = field(default_factory=list)
    _newest_bytes: int = 0
    """The block that is not full yet: the fields of its events, and the bytes of their frames."""
    _most_block_bytes: int = field(init=False)
    _most_block_fields: int = field(init=False)

    def __post_init__(self) -> None:
        self._most_block_bytes = self.most_bytes // _BLOCKS
        self._most_block_fields = max(1, self.most_events // _BLOCKS) * len(LogEntry._fields)

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Keep an event that happens now in the session log, with stars in place of its secrets, and pass it
        on to `next_sink`, such as a recorder. `connection` names the session; "" for an event of no
        session."""
        self.next_sink.emit(lane, connection, content)
        content = redact_text_fields(content, self.secrets)
        self._newest_fields += (monotonic_ns(), lane, connection, content, _NOT_SENT, _ANSWERS_NOTHING)
        self._add_bytes_to_block(len(getattr(content, "raw", b"")))

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Keep a frame that Motion Server sends to a relay in the session log, count it for its session, and
        pass it on to `next_sink`, such as a recorder. `answers` is the id of the request that the frame
        answers; "" if none. To save time, secrets in motion are hidden only when the log is read."""
        self.next_sink.record_sent(lane, connection, raw, answers)
        frame = self._hide_secrets_outside_media(connection, raw)
        self.keep_frame(monotonic_ns(), lane, connection, frame, answers, sent=True)

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Keep a frame that Motion Server received from a relay in the session log, count it for its session,
        and pass it on to `next_sink`, such as a recorder. To save time, secrets in audio are hidden only when
        the log is read."""
        self.next_sink.record_received(lane, connection, raw)
        # As keep_frame, but in one call: nearly all frames are audio that was received.
        record = self.open_sessions.get(connection)
        if record is not None:
            record.frames_received += 1
        if raw[:2] not in _AUDIO_AND_MOTION:
            raw = self._hide_secrets_outside_media(connection, raw)
        self._newest_fields += (monotonic_ns(), lane, connection, raw, _NOT_SENT, _ANSWERS_NOTHING)
        self._newest_bytes += len(raw)
        if self._newest_bytes > self._most_block_bytes or len(self._newest_fields) >= self._most_block_fields:
            self._begin_new_block()

    def keep_frame(
        self, at_ns: int, lane: Lane, connection: str, raw: str | bytes, answers: str = "", *, sent: bool
    ) -> None:
        """Keep a frame, whose secrets must be hidden already, and count it for its session. `at_ns` is its
        time. If `sent`, Motion Server sent it, and `answers` is the id of the request that it answers."""
        record = self.open_sessions.get(connection)
        if record is not None:
            if sent:
                record.frames_sent += 1
            else:
                record.frames_received += 1
        self._newest_fields += (at_ns, lane, connection, raw, sent, answers)
        self._newest_bytes += len(raw)
        if self._newest_bytes > self._most_block_bytes or len(self._newest_fields) >= self._most_block_fields:
            self._begin_new_block()

    @property
    def secrets(self) -> KnownSecrets:
        """The secrets that the next sink of this session log knows."""
        return self.next_sink.secrets

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the reference that the next sink gives to this secret."""
        return self.next_sink.secret_reference(kind, secret)

    def add_session(self, record: SessionRecord) -> None:
        """Add a session that has begun to the session log."""
        self.open_sessions[record.name] = record

    def end_session(self, name: str, closed: Closed) -> None:
        """Move a session from the open ones of the log to the past ones. Note when and how it was closed, and
        keep that as an event. The session's secrets may be forgotten from now on."""
        record = self.open_sessions.pop(name)
        record.closed_at = time.time()
        record.close_code, record.closed_by_us = closed.code, closed.by_kit
        self.past_sessions.append(record)
        self.emit(Lane.UPSTREAM, name, closed)
        self.secrets.release_holder(name)

    def find_session(self, name_or_id: str) -> SessionRecord | None:
        """Return the record of the session that has this name or this connection id. Open sessions are
        searched first, then past ones, the newest first. Return None if there is none."""
        for record in (*reversed(self.open_sessions.values()), *reversed(self.past_sessions)):
            if name_or_id in (record.name, record.connection_id):
                return record
        return None

    def session_events(self, name: str) -> Iterator[LogEntry]:
        """Yield the events of a session that the log still keeps, in order and without secrets."""
        for block in (*(block.fields for block in self._full_blocks), tuple(self._newest_fields)):
            # A block is flat: six fields for each event.
            fields = iter(block)
            for at_ns, lane, connection, content, sent, answers in zip(*[fields] * 6, strict=True):
                if connection != name:
                    continue
                if isinstance(content, bytes):
                    content = self._without_secrets(connection, content)
                yield LogEntry(at_ns, lane, connection, content, sent, answers)

    def is_whole(self, name: str) -> bool:
        """Return whether the log still keeps all events of this session, from its opening on."""
        first = next(self.session_events(name), None)
        return first is not None and not isinstance(first.content, str | bytes | Sent | Received)

    def forget(self) -> None:
        """Forget all events of the session log, and the sessions that are over."""
        self._full_blocks.clear()
        self._newest_fields, self._newest_bytes = [], 0
        self.past_sessions.clear()

    def _hide_secrets_outside_media(self, connection: str, raw: str | bytes) -> str | bytes:
        """Return a frame for the session log without its secrets. A frame with audio or motion is returned as
        it is, to save time: `session_events` hides its secrets when the log is read."""
        if isinstance(raw, str):
            return self.secrets.redact_text(raw)
        # This runs for every frame, so it must be fast: audio and motion are not decoded here.
        return raw if raw[:2] in _AUDIO_AND_MOTION else self._without_secrets(connection, raw)

    def _without_secrets(self, connection: str, raw: bytes) -> bytes:
        """Return a binary frame with stars in place of each known secret."""
        return redact_frame(raw, read_upstream(raw), self.secrets, connection)

    def _add_bytes_to_block(self, byte_count: int) -> None:
        """Count the bytes of the newest event for the block of events that the session log fills now. If the
        block is full, begin a new one. (The log forgets old events block by block.)"""
        self._newest_bytes += byte_count
        if self._newest_bytes > self._most_block_bytes or len(self._newest_fields) >= self._most_block_fields:
            self._begin_new_block()

    def _begin_new_block(self) -> None:
        """Put the newest events of the log into a full block, and begin a new one. Then forget the oldest
        blocks while the log holds too many bytes or too many events."""
        full_blocks = self._full_blocks
        full_blocks.append(_EventBlock(self._newest_bytes, self._newest_fields))
        self._newest_fields, self._newest_bytes = [], 0
        byte_count = sum(block.size for block in full_blocks)
        field_count = sum(len(block.fields) for block in full_blocks)  # Six fields for each event.
        while byte_count > self.most_bytes or field_count > self.most_events * len(LogEntry._fields):
            oldest_block = full_blocks.popleft()
            byte_count -= oldest_block.size
            field_count -= len(oldest_block.fields)


def add_proxy_event_to_session_log(session_log: SessionLog, event: Event) -> None:
    """Add an event of the recording proxy to the session log, from which the inspector page shows sessions
    while they are recorded. A frame is kept; an opened or closed connection begins or ends a session."""
    content = event.content
    if type(content) is Received:  # Nearly all events are frames.
        session_log.keep_frame(event.at_ns, event.lane, event.connection, content.raw, sent=False)
    elif type(content) is Sent:
        if isinstance(content.value, ConfirmSession) and event.connection in session_log.open_sessions:
            session_log.open_sessions[event.connection].connection_id = content.value.connection_id
        session_log.keep_frame(event.at_ns, event.lane, event.connection, content.raw, sent=True)
    elif isinstance(content, Opened):
        record = SessionRecord(event.connection, "", content.app_id, content.avatar_id, time.time())
        session_log.add_session(record)
        session_log.emit(event.lane, event.connection, content)
    elif isinstance(content, Closed) and event.connection in session_log.open_sessions:
        session_log.end_session(event.connection, content)
    else:
        session_log.emit(event.lane, event.connection, content)
