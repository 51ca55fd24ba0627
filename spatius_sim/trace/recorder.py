"""Writes down what happens, as a trace. The clock is a parameter, so that real and virtual time use the same
recorder."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from spatius_sim.protocol.codec import MessageReader
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
from spatius_sim.trace.known_secrets import MAX_SECRETS, KnownSecrets
from spatius_sim.trace.read_frames import read_frame, read_upstream
from spatius_sim.trace.secrets_in_messages import texts_without_secrets, without_secrets
from spatius_sim.wires import Wire
from spatius_sim.wires.events import RelayEvent, Speak

_HANDSHAKE_EVENTS = 3
"""The events of a complete handshake: opened, configuration, confirmation."""

_KEY_KIND = "key"
CONFIGURATION = b"\x08\x01"
"""The first bytes of an encoded ClientConfigureSession: field 1 (`type`), with the value 1."""

_UPSTREAM, _DOWNSTREAM = Lane.UPSTREAM, Lane.DOWNSTREAM
_NOT_SENT, _ANSWERS_NOTHING = False, ""
"""Stand in the list of events that are not decoded yet, for an event that is no upstream frame."""


def _nobody_waits() -> None:
    """Do nothing: nobody waits for a change of this recorder (the default for `on_change`)."""


class Sink(Protocol):
    """Receives everything that happens at the sockets of a server or client."""

    @property
    def secrets(self) -> KnownSecrets:
        """Return the secrets that must not stand in any event that is recorded."""

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Record an event that happens now."""

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Record a frame that the kit sent. `answers` is the req_id of the request that the frame answers."""

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Record a frame that the kit received."""

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the reference by which a trace may name this secret; learn the secret if it is new."""


class NullSink:
    """Drops all events: for a server that nobody records. It still remembers the secrets, because the
    server's log must not show them."""

    def __init__(self) -> None:
        """Begin without secrets; nothing is recorded."""
        self.secrets = KnownSecrets(MAX_SECRETS)

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Drop an event instead of recording it."""

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Drop a sent frame instead of recording it."""

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Drop a received frame instead of recording it."""

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the reference of a secret; learn the secret if it is new."""
        return self.secrets.reference_for(kind, secret)


@dataclass(slots=True)
class Recorder:
    """Records the traces of one process, one after the other. `start` opens a trace and `finish` closes it.
    While no trace is open, only secrets, tokens and the handshakes of open connections are remembered.

    Upstream frames after a handshake are kept as bytes until `events` is read, because decoding them is the
    most expensive part.

    A trace of more than `most_bytes` of frames, or of more than `most_events` events, is `flooded`: nothing
    more is written into it.

    `clock_ns` returns the time in nanoseconds, and never goes back. `on_change` is called after each event,
    so that whoever waits can look."""

    clock_ns: Callable[[], int]
    on_change: Callable[[], None] = _nobody_waits
    wire: Wire | None = None
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
    last_sign_ns: dict[str, int] = field(default_factory=dict)
    on_event: Callable[[Event], None] | None = None
    """Called with every event at once, for example to write a tape, whether a trace is open or not."""
    most_bytes: float = math.inf
    most_events: float = math.inf
    flooded: bool = False
    _bytes: int = 0
    _count: int = 0
    _events: list[Event] | None = None
    _undecoded: list[Any] = field(default_factory=list)
    """Events that are not in `_events` yet, as five items each, one after the other: time, connection, the
    bytes of an upstream frame (or a finished Event), whether the kit sent it, and the req_id that it answers.
    A tuple for each event would slow the garbage collector down."""
    _readers: dict[str, MessageReader] = field(default_factory=dict)
    """Decode what Motion Server received, by connection."""
    _header: TraceHeader | None = None
    _handshakes: dict[str, list[Event]] = field(default_factory=dict)
    _handshake_over: set[str] = field(default_factory=set)
    """Upstream connections whose handshake is over."""
    _tokens: dict[str, Event] = field(default_factory=dict)
    _named_references: set[str] = field(default_factory=set)
    """The references of the secrets that the open trace has an event SecretKnown for."""

    def start(self, header: TraceHeader) -> None:
        """Start to record a new trace; an open trace is dropped. The new trace begins with the known API
        keys, and with the tokens and handshakes of upstream connections that are still open. Any other known
        secret is recorded when it is used or seen."""
        self._header = header
        self._events = []
        self._undecoded = []
        self._readers.clear()
        self._bytes, self._count, self.flooded = 0, 0, False
        self._named_references.clear()
        for reference in self.secrets.lengths():
            if reference.startswith(_KEY_KIND):
                self._record_known_secret(reference)
        for handshake in list(self._handshakes.values()):
            opened = handshake[0].content
            token = self._tokens.get(opened.token) if isinstance(opened, Opened) else None
            if isinstance(opened, Opened) and opened.token:
                self._record_known_secret(opened.token)
            for event in ([token] if token else []) + handshake:
                self.events.append(replace(event, seq=self._count))
                self._count += 1

    def finish(self) -> Trace:
        """Close the trace that is recorded, and return it. Raises RuntimeError if no trace is open."""
        if self._events is None or self._header is None:
            raise RuntimeError("no trace was started")
        trace = Trace(self._header, tuple(self.events))
        self._events = self._header = None
        self._count = 0
        return trace

    @property
    def events(self) -> list[Event]:
        """The events that this recorder has recorded in the open trace so far; an empty list if no trace is
        open. Frames of Motion Server are kept as bytes at first: this call decodes those that are not decoded
        yet."""
        events = self._events
        if events is None:
            return []
        # `_undecoded` is flat: five items for each event.
        items = iter(self._undecoded)
        for at_ns, connection, raw_or_event, sent, answers in zip(
            items, items, items, items, items, strict=True
        ):
            if isinstance(raw_or_event, Event):
                events.append(raw_or_event)
            else:
                content = self._decode_kept_frame(connection, raw_or_event, sent=sent, answers=answers)
                events.append(Event(len(events), at_ns, _UPSTREAM, connection, content))
        self._undecoded.clear()
        return events

    def _decode_kept_frame(self, connection: str, raw: bytes, *, sent: bool, answers: str) -> Sent | Received:
        """Decode an upstream frame that the recorder kept as bytes, and return its event without the frame's
        secrets. Most of what Motion Server received is audio, which one reader for each connection decodes
        fast."""
        if sent:
            return self._as_sent_or_received(_UPSTREAM, raw, sent=True, answers=answers)
        reader = self._readers.get(connection)
        if reader is None:
            reader = self._readers[connection] = MessageReader()
        value = read_upstream(raw, reader.read)
        clean = without_secrets(raw, value, self.secrets)
        return Received(clean, value if clean is raw else read_upstream(clean))

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Record an event that happens now, without its secrets: the recorder adds it to the open trace,
        unless the trace has too many events, gives it to `on_event`, and then calls `on_change`."""
        frame_bytes = len(content.raw) if isinstance(content, (Sent, Received)) else 0
        if not frame_bytes:
            content = texts_without_secrets(content, self.secrets)
        event = Event(self._count, self.clock_ns(), lane, connection, content)
        if self._events is not None and not self._count_and_check_limits(frame_bytes):
            self._undecoded += (event.at_ns, connection, event, _NOT_SENT, _ANSWERS_NOTHING)
        self._remember_handshake(event)
        if self.on_event is not None:
            self.on_event(event)
        self.on_change()

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answers: str = "") -> None:
        """Record a frame that the kit sent, without its secrets. `answers` is the req_id of the request that
        the frame answers."""
        if not self._keep_bytes_if_possible(lane, connection, raw, sent=True, answers=answers):
            self.emit(lane, connection, self._as_sent_or_received(lane, raw, sent=True, answers=answers))

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Record a frame that the kit received, without its secrets. If a known secret came to the client in
        it, record that as an event, too."""
        if self._keep_bytes_if_possible(lane, connection, raw):
            return
        if lane is not Lane.DOWNSTREAM or self.wire is None:
            self.emit(lane, connection, self._as_sent_or_received(lane, raw))
        else:
            self.record_message(connection, raw, self.wire)

    def record_message(self, connection: str, raw: str | bytes, wire: Wire) -> tuple[RelayEvent, ...]:
        """Record in the trace a frame that a relay sent to its client, and return the relay events that the
        wire reads in it."""
        raw = self.search_secrets(Lane.DOWNSTREAM, connection, raw, "in a message")
        relay_events = wire.read_relay(raw)
        for part, relay_event in enumerate(relay_events):
            self.emit(Lane.DOWNSTREAM, connection, Received(raw, relay_event, part))
        return relay_events

    def search_secrets(self, lane: Lane, connection: str, raw: str | bytes, place: str) -> str | bytes:
        """Search a frame or text for known secrets before the recorder writes it into the trace, and return
        it with stars in place of each secret. Record the event SecretSeen for each secret. `place` says in
        words where `raw` comes from. Only the lane DOWNSTREAM is searched."""
        if lane is not Lane.DOWNSTREAM:
            return raw
        searched = raw.encode() if isinstance(raw, str) else raw
        clean, sightings = self.secrets.redact(searched)
        if clean is searched:
            return raw
        for reference, encoding in sightings:
            self._record_known_secret(reference)
            self.emit(lane, connection, SecretSeen(reference, f"{place}, {encoding}"))
        return clean.decode(errors="replace") if isinstance(raw, str) else clean

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the recorder's reference of a secret, such as `key#1`; a new secret becomes known. If the
        open trace names this secret for the first time, record SecretKnown in it."""
        reference = self.secrets.known_reference(secret) or self.secrets.reference_for(kind, secret)
        if reference:
            self._record_known_secret(reference)
        return reference

    def _record_known_secret(self, reference: str) -> None:
        """Record the event SecretKnown for the secret with this reference, once in each trace. (A run knows
        hundreds of secrets: each trace names only the secrets that occur in it.)"""
        if reference not in self._named_references:
            self._named_references.add(reference)
            self.emit(Lane.KIT, "", SecretKnown(reference, self.secrets.length_of(reference)))

    def _keep_bytes_if_possible(
        self, lane: Lane, connection: str, raw: str | bytes, *, sent: bool = False, answers: str = ""
    ) -> bool:
        """Write down an upstream frame as bytes only, to save time now; the frame is decoded when somebody
        reads `events`. Return False, and keep nothing, if the frame must be decoded at once: in a handshake,
        for a configuration, or if `on_event` is set. `sent`: the kit sent the frame, as an answer to the
        request `answers`."""
        if lane is not _UPSTREAM or connection not in self._handshake_over:
            return False
        # A configuration is read at once: it may tell secrets.
        if self.on_event is not None or isinstance(raw, str) or raw[:2] == CONFIGURATION:
            return False
        at_ns = self.last_sign_ns[connection] = self.clock_ns()
        if self._events is not None:
            # As _count_and_check_limits, but this runs for every frame.
            self._bytes += len(raw)
            if self._bytes > self.most_bytes or self._count >= self.most_events:
                self.flooded = True
            else:
                self._count += 1
                self._undecoded += (at_ns, connection, raw, sent, answers)
        self.on_change()
        return True

    def _count_and_check_limits(self, frame_bytes: int) -> bool:
        """Count one more recorded event, with a frame of `frame_bytes` bytes. Return whether the trace is
        flooded now: it has more events or bytes than the recorder may keep."""
        self._bytes += frame_bytes
        if self._bytes > self.most_bytes or self._count >= self.most_events:
            self.flooded = True
        self._count += not self.flooded
        return self.flooded

    def _as_sent_or_received(
        self, lane: Lane, raw: str | bytes, *, sent: bool = False, answers: str = ""
    ) -> Sent | Received:
        """Make the event by which the recorder writes down a frame, Sent or Received, with stars in place of
        the frame's secrets."""
        raw, value = self._without_secrets(lane, raw, sent=sent)
        return Sent(raw, value, answers) if sent else Received(raw, value)

    def _without_secrets(self, lane: Lane, raw: str | bytes, *, sent: bool) -> tuple[str | bytes, Value]:
        """Return a frame as the recorder writes it down, with stars in place of secrets, and the value that
        is decoded from this frame. Remember the secrets in the configuration of an egress. `sent`: the kit
        sent the frame on this lane."""
        value = self._decode(lane, raw, sent=sent)
        if sent and isinstance(value, Speak) and self.wire is not None and not self.wire.declaration:
            # The kit's own speech holds no secrets, unless a declared wire adds a login to each message.
            return raw, value
        if isinstance(raw, str):
            clean: str | bytes = self.secrets.redact_text(raw)
        elif lane is Lane.UPSTREAM:
            clean = without_secrets(raw, value, self.secrets)
        else:
            clean = self.secrets.redact(raw)[0]
        return clean, value if clean == raw else self._decode(lane, clean, sent=sent)

    def _decode(self, lane: Lane, raw: str | bytes, *, sent: bool) -> Value:
        """Return the value of a frame on this lane that the recorder puts into the event, as `read_frame`
        decodes it."""
        return read_frame(lane, raw, sent=sent, wire=self.wire)

    def _remember_handshake(self, event: Event) -> None:
        """Let the recorder remember an event that the next trace must begin with: an issued token, or a part
        of the handshake of a session that is still open. Also note the time as the connection's last sign of
        life."""
        self.last_sign_ns[event.connection] = event.at_ns
        if event.lane is _DOWNSTREAM:
            return
        if event.lane is Lane.CONSOLE:
            if isinstance(event.content, TokenRequested) and event.content.token:
                self._tokens[event.content.token] = event
            return
        if event.lane is not Lane.UPSTREAM:
            return
        if isinstance(event.content, Closed | Refused):
            self._handshakes.pop(event.connection, None)
            self._handshake_over.discard(event.connection)
        elif event.connection not in self._handshake_over:
            handshake = self._handshakes.setdefault(event.connection, [])
            handshake.append(event)
            if len(handshake) == _HANDSHAKE_EVENTS:
                self._handshake_over.add(event.connection)
