"""Writes down what happens, as a trace. The clock comes in as a value, so that every driver feeds the same
recorder."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from spatius_sim.trace.events import (
    Closed,
    Event,
    EventKind,
    Lane,
    Opened,
    Received,
    Refused,
    SecretKnown,
    SecretSeen,
    Sent,
    TokenRequested,
    Trace,
    TraceHeader,
    Value,
)
from spatius_sim.trace.known_secrets import MOST_SECRETS, KnownSecrets
from spatius_sim.trace.reading import read_frame, read_parts
from spatius_sim.trace.secret_places import texts_without_secrets, without_secrets
from spatius_sim.wires import Wire

_HANDSHAKE_EVENTS = 3
CONFIGURATION = b"\x08\x01"
"""How a ClientConfigureSession begins."""
_UPSTREAM = Lane.UPSTREAM


def _nobody_waits() -> None:
    """Do nothing when something has happened."""


class Sink(Protocol):
    """Takes what happens at the sockets of a shell."""

    @property
    def secrets(self) -> KnownSecrets:
        """Return the secrets that must not stand in any event."""

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """Take an event that happens now."""

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Take a frame that the kit sent."""

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Take a frame that the kit received."""

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the reference by which a trace may name this secret."""


class NullSink:
    """Drops the events of a server that nobody records. It knows the secrets, for others need them."""

    def __init__(self) -> None:
        self.secrets = KnownSecrets(MOST_SECRETS)

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """Not written down."""

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Not written down."""

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Not written down."""

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the reference of a secret; learn the secret if it is new."""
        return self.secrets.reference_for(kind, secret)


@dataclass(slots=True)
class Recorder:
    """One recorder serves one process. `start` opens a trace and `finish` closes it; between the two,
    nothing that happens is written down, but secrets and open connections are kept in mind.

    What a session says after its handshake is kept as bytes until somebody looks at the trace: to read it
    costs more than all else that is done about it.

    A trace of more than `most_bytes` of frames, or more than `most_events`, is `flooded`: nothing more is
    written into it.

    `clock_ns` gives the time of each event in nanoseconds, and never goes back. `on_change` is called when
    anything has happened, so that whoever waits can look."""

    clock_ns: Callable[[], int]
    on_change: Callable[[], None] = _nobody_waits
    wire: Wire | None = None
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
    last_sign_ns: dict[str, int] = field(default_factory=dict)
    on_event: Callable[[Event], None] | None = None
    """Told of every event at once, whether a trace is open or not: a tape, for one."""
    most_bytes: float = math.inf
    most_events: float = math.inf
    flooded: bool = False
    _bytes: int = 0
    _count: int = 0
    _events: list[Event] | None = None
    _unread: list[Any] = field(default_factory=list)
    """Events that nobody has looked at yet, five parts of each in a row: when, connection, the bytes of a
    frame between a Server SDK and Motion Server (or an Event), whether the kit sent it, and what it answers.
    A tuple for each would have the garbage collector look through all of them, again and again."""
    _header: TraceHeader | None = None
    _handshakes: dict[str, list[Event]] = field(default_factory=dict)
    _shaken: set[str] = field(default_factory=set)
    """Upstream connections whose handshake is over."""
    _tokens: dict[str, Event] = field(default_factory=dict)

    def start(self, header: TraceHeader) -> None:
        """Open a trace. Upstream connections that are open still stand at its head, with their handshake."""
        self._header = header
        self._events = []
        self._unread = []
        self._bytes, self._count, self.flooded = 0, 0, False
        for name, length in self.secrets.lengths().items():
            self.emit(Lane.KIT, "", SecretKnown(name, length))
        for handshake in list(self._handshakes.values()):
            opened = handshake[0].what
            token = self._tokens.get(opened.token) if isinstance(opened, Opened) else None
            for event in ([token] if token else []) + handshake:
                self.events.append(replace(event, seq=self._count))
                self._count += 1

    def finish(self) -> Trace:
        """Close the trace and hand it over."""
        if self._events is None or self._header is None:
            raise RuntimeError("no trace was started")
        trace = Trace(self._header, tuple(self.events))
        self._events = self._header = None
        self._count = 0
        return trace

    @property
    def events(self) -> list[Event]:
        """Return what the open trace holds so far; nothing if none is open."""
        events = self._events
        if events is None:
            return []
        parts = iter(self._unread)
        for at_ns, connection, said, sent, answers in zip(parts, parts, parts, parts, parts, strict=True):
            if isinstance(said, Event):
                events.append(said)
            else:
                what = self._as_sent_or_received(_UPSTREAM, said, sent=sent, answers=answers)
                events.append(Event(len(events), at_ns, _UPSTREAM, connection, what))
        self._unread.clear()
        return events

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """Write down an event that happened now."""
        size = len(what.raw) if isinstance(what, Sent | Received) else 0
        if not size:
            what = texts_without_secrets(what, self.secrets)
        event = Event(self._count, self.clock_ns(), lane, connection, what)
        if self._events is not None and not self._count_and_check_limits(size):
            self._unread += (event.at_ns, connection, event, False, "")
        self._remember_handshake(event)
        if self.on_event is not None:
            self.on_event(event)
        self.on_change()

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Write down a frame that the kit sent."""
        if not self._keep_for_later(lane, connection, raw, sent=True, answers=answers):
            self.emit(lane, connection, self._as_sent_or_received(lane, raw, sent=True, answers=answers))

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Write down a frame that the kit received; secrets are taken out of it, and noted."""
        if self._keep_for_later(lane, connection, raw):
            return
        if lane is not Lane.DOWNSTREAM:
            self.emit(lane, connection, self._as_sent_or_received(lane, raw))
            return
        raw = self.search_secrets(lane, connection, raw, "in a message")
        for part, event in enumerate(read_parts(lane, raw, sent=False, wire=self.wire)):
            self.emit(lane, connection, Received(raw, event, part))

    def search_secrets(self, lane: Lane, connection: str, raw: str | bytes, place: str) -> str | bytes:
        """Return the text without the known secrets, and write down each that was found, with its place."""
        if lane is not Lane.DOWNSTREAM:
            return raw
        clean, found = self.secrets.redact(raw.encode() if isinstance(raw, str) else raw)
        for kind, how in found:
            self.emit(lane, connection, SecretSeen(kind, f"{place}, {how}"))
        return clean.decode(errors="replace") if isinstance(raw, str) else clean

    def secret_reference(self, kind: str, secret: str) -> str:
        """The reference of a secret, which is learnt if it is new."""
        known = self.secrets.known_reference(secret)
        name = known or self.secrets.reference_for(kind, secret)
        if name and not known:
            self.emit(Lane.KIT, "", SecretKnown(name, len(secret)))
        return name

    def _keep_for_later(
        self, lane: Lane, connection: str, raw: str | bytes, *, sent: bool = False, answers: str = ""
    ) -> bool:
        """Whether this frame can be read later, and is kept until then."""
        if lane is not _UPSTREAM or connection not in self._shaken:
            return False
        # A configuration is read at once: it may tell secrets.
        if self.on_event is not None or isinstance(raw, str) or raw[:2] == CONFIGURATION:
            return False
        at_ns = self.last_sign_ns[connection] = self.clock_ns()
        if self._events is not None and not self._count_and_check_limits(len(raw)):
            self._unread += (at_ns, connection, raw, sent, answers)
        self.on_change()
        return True

    def _count_and_check_limits(self, added: int) -> bool:
        self._bytes += added
        if self._bytes > self.most_bytes or self._count >= self.most_events:
            self.flooded = True
        self._count += not self.flooded
        return self.flooded

    def _as_sent_or_received(
        self, lane: Lane, raw: str | bytes, *, sent: bool = False, answers: str = ""
    ) -> Sent | Received:
        raw, value = self._without_secrets(lane, raw, sent=sent)
        return Sent(raw, value, answers) if sent else Received(raw, value)

    def _without_secrets(self, lane: Lane, raw: str | bytes, *, sent: bool) -> tuple[str | bytes, Value]:
        """The frame without secrets and the credentials of an egress, and what it means."""
        value = self._read(lane, raw, sent=sent)
        if isinstance(raw, str):
            hidden: str | bytes = self.secrets.text(raw)
        elif lane is Lane.UPSTREAM:
            hidden = without_secrets(raw, value, self.secrets)
        else:
            hidden = self.secrets.redact(raw)[0]
        return hidden, value if hidden == raw else self._read(lane, hidden, sent=sent)

    def _read(self, lane: Lane, raw: str | bytes, *, sent: bool) -> Value:
        return read_frame(lane, raw, sent=sent, wire=self.wire)

    def _remember_handshake(self, event: Event) -> None:
        """Remember tokens and the handshakes of open sessions; a later trace begins with them."""
        self.last_sign_ns[event.connection] = event.at_ns
        if event.lane is Lane.CONSOLE:
            if isinstance(event.what, TokenRequested) and event.what.token:
                self._tokens[event.what.token] = event
            return
        if event.lane is not Lane.UPSTREAM:
            return
        if isinstance(event.what, Closed | Refused):
            self._handshakes.pop(event.connection, None)
            self._shaken.discard(event.connection)
        elif event.connection not in self._shaken:
            handshake = self._handshakes.setdefault(event.connection, [])
            handshake.append(event)
            if len(handshake) == _HANDSHAKE_EVENTS:
                self._shaken.add(event.connection)
