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
from spatius_sim.trace.known_secrets import MAX_SECRETS, KnownSecrets, redact_text_fields
from spatius_sim.trace.read_frames import read_frame, read_upstream
from spatius_sim.trace.secrets_in_messages import redact_frame
from spatius_sim.wires import Wire
from spatius_sim.wires.events import RelayEvent, Speak

_HANDSHAKE_EVENTS = 3
"""The events of a complete handshake: opened, configuration, confirmation."""

_KEY_KIND = "key"
_CONFIGURATION_START = b"\x08\x01"
"""The first bytes of an encoded ClientConfigureSession: field 1 (`type`), with the value 1."""

_UPSTREAM, _DOWNSTREAM = Lane.UPSTREAM, Lane.DOWNSTREAM
_NOT_SENT_BY_KIT, _ANSWERS_NOTHING = False, ""
"""Stand in the list of events that are not decoded yet, for an event that is no upstream frame."""


def _ignore_change() -> None:
    """Do nothing: the default for `on_change`, if nobody waits for a change of the recorder."""


class Sink(Protocol):
    """Receives everything that happens at the sockets of a server or client."""

    @property
    def secrets(self) -> KnownSecrets:
        """Return the secrets that must not stand in any event that is recorded."""

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Record an event that happens now."""

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answered_req_id: str = "") -> None:
        """Record a frame that the kit sent. If the frame answers a request, `answered_req_id` is the id of
        the request."""

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Record a frame that the kit received."""

    def secret_reference(self, kind: str, secret: str) -> str:
        """Return the reference by which a trace may name this secret; learn the secret if it is new."""


class NullSink:
    """Drops all events: for a server that nobody records. It still remembers the secrets, because the
    server's log must not show them."""

    def __init__(self) -> None:
        """Know no secrets at first."""
        self.secrets = KnownSecrets(MAX_SECRETS)

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Drop an event instead of recording it."""

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answered_req_id: str = "") -> None:
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

    A trace of more than `max_bytes` of frames, or of more than `max_events` events, is `flooded`: nothing
    more is written into it.

    `clock_ns` returns the time in nanoseconds, and never goes back. `on_change` is called after each event,
    so that whoever waits can look."""

    clock_ns: Callable[[], int]
    on_change: Callable[[], None] = _ignore_change
    wire: Wire | None = None
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
    last_event_at_ns: dict[str, int] = field(default_factory=dict)
    on_event: Callable[[Event], None] | None = None
    """Called with every event at once, for example to write a tape, whether a trace is open or not."""
    max_bytes: float = math.inf
    max_events: float = math.inf
    flooded: bool = False
    _byte_count: int = 0
    _event_count: int = 0
    _events: list[Event] | None = None
    _undecoded: list[Any] = field(default_factory=list)
    """Events that are not in `_events` yet, as five items each, one after the other: time, connection, the
    bytes of an upstream frame (or a finished Event), whether the kit sent it, and the req_id that it answers.
    A tuple for each event would slow the garbage collector down."""
    _readers: dict[str, MessageReader] = field(default_factory=dict)
    """Decode what Motion Server received, by connection."""
    _header: TraceHeader | None = None
    _handshakes: dict[str, list[Event]] = field(default_factory=dict)
    _with_complete_handshake: set[str] = field(default_factory=set)
    """The upstream connections whose handshake is complete."""
    _tokens: dict[str, Event] = field(default_factory=dict)
    _recorded_references: set[str] = field(default_factory=set)
    """The references of the secrets that the open trace has an event SecretKnown for."""

    def start(self, header: TraceHeader) -> None:
        """Begin to record a new trace, and drop the open trace, if there is one. `flooded` (the trace is
        full) becomes False.

        The new trace begins with events of the past: the known API keys, and the token and handshake of each
        upstream connection that is still open. Any other known secret is recorded when it is used or seen."""
        self._header = header
        self._events = []
        self._undecoded = []
        self._readers.clear()
        self._byte_count, self._event_count, self.flooded = 0, 0, False
        self._recorded_references.clear()
        for reference in self.secrets.lengths():
            if reference.startswith(_KEY_KIND):
                self._record_known_secret(reference)
        for handshake in list(self._handshakes.values()):
            opened = handshake[0].content
            token = self._tokens.get(opened.token) if isinstance(opened, Opened) else None
            if isinstance(opened, Opened) and opened.token:
                self._record_known_secret(opened.token)
            for event in ([token] if token else []) + handshake:
                self.events.append(replace(event, seq=self._event_count))
                self._event_count += 1

    def finish(self) -> Trace:
        """Close the open trace, and return it. Raises RuntimeError if no trace is open."""
        if self._events is None or self._header is None:
            raise RuntimeError("no trace was started")
        trace = Trace(self._header, tuple(self.events))
        self._events = self._header = None
        self._event_count = 0
        return trace

    @property
    def events(self) -> list[Event]:
        """The events of the trace that is open, so far; an empty list if no trace is open. The recorder keeps
        frames of Motion Server as bytes at first, and decodes them when this property is read."""
        events = self._events
        if events is None:
            return []
        # `_undecoded` is flat: five items for each event.
        items = iter(self._undecoded)
        for at_ns, connection, raw_or_event, sent_by_kit, answered_req_id in zip(
            items, items, items, items, items, strict=True
        ):
            if isinstance(raw_or_event, Event):
                events.append(raw_or_event)
            else:
                content = self._decode_kept_bytes(
                    connection, raw_or_event, sent_by_kit=sent_by_kit, answered_req_id=answered_req_id
                )
                events.append(Event(len(events), at_ns, _UPSTREAM, connection, content))
        self._undecoded.clear()
        return events

    def _decode_kept_bytes(
        self, connection: str, raw: bytes, *, sent_by_kit: bool, answered_req_id: str
    ) -> Sent | Received:
        """Decode an upstream frame that the open trace keeps as bytes until its events are read. Return its
        event, with stars in place of the frame's secrets.

        Most frames that Motion Server receives are audio. So each connection has a reader that decodes audio
        fast."""
        if sent_by_kit:
            return self._make_sent_or_received(
                _UPSTREAM, raw, sent_by_kit=True, answered_req_id=answered_req_id
            )
        reader = self._readers.get(connection)
        if reader is None:
            reader = self._readers[connection] = MessageReader()
        value = read_upstream(raw, reader.read)
        clean = redact_frame(raw, value, self.secrets)
        return Received(clean, value if clean is raw else read_upstream(clean))

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Record that `content` happens now, with stars in place of the secrets in its texts. Its time is
        that of `clock_ns`, which may be a virtual clock. If a trace is open and not flooded (full), add the
        event to it. Then call `on_event` with the event, and `on_change`."""
        frame_size = len(content.raw) if isinstance(content, (Sent, Received)) else 0
        if not frame_size:  # The frame in a Sent or Received has been searched for secrets already.
            content = redact_text_fields(content, self.secrets)
        event = Event(self._event_count, self.clock_ns(), lane, connection, content)
        if self._events is not None and self._count_event_unless_full(frame_size):
            self._undecoded += (event.at_ns, connection, event, _NOT_SENT_BY_KIT, _ANSWERS_NOTHING)
        self._remember_for_next_trace(event)
        if self.on_event is not None:
            self.on_event(event)
        self.on_change()

    def record_sent(self, lane: Lane, connection: str, raw: str | bytes, answered_req_id: str = "") -> None:
        """Record a frame that the kit sent, with stars in place of its secrets. If the frame answers a
        request, `answered_req_id` is the id of the request."""
        if self._keep_bytes_if_possible(
            lane, connection, raw, sent_by_kit=True, answered_req_id=answered_req_id
        ):
            return
        content = self._make_sent_or_received(lane, raw, sent_by_kit=True, answered_req_id=answered_req_id)
        self.emit(lane, connection, content)

    def record_received(self, lane: Lane, connection: str, raw: str | bytes) -> None:
        """Record a frame that the kit received in the open trace, with stars in place of its secrets. In a
        relay's frame to its client, each known secret is also recorded as an event of its own."""
        if self._keep_bytes_if_possible(lane, connection, raw):
            return  # The frame is recorded, but will be decoded later.
        if lane is not Lane.DOWNSTREAM or self.wire is None:
            self.emit(lane, connection, self._make_sent_or_received(lane, raw))
        else:
            self.record_relay_frame(connection, raw, self.wire)

    def record_relay_frame(self, connection: str, raw: str | bytes, wire: Wire) -> tuple[RelayEvent, ...]:
        """Record a frame that a relay sent to its client, and return the events in it. `wire`, the message
        format between relay and client, decodes the frame. Each known secret in the frame is replaced by
        stars, and recorded as an event, too."""
        raw = self.record_leaked_secrets(Lane.DOWNSTREAM, connection, raw, "in a message")
        relay_events = wire.read_relay_frame(raw)
        for index, relay_event in enumerate(relay_events):
            self.emit(Lane.DOWNSTREAM, connection, Received(raw, relay_event, index))
        return relay_events

    def record_leaked_secrets(self, lane: Lane, connection: str, raw: str | bytes, place: str) -> str | bytes:
        """Search a frame or text that a relay sent to its client for known secrets. Record the event
        SecretSeen for each secret that is found. Return the frame or text with stars in place of these
        secrets.

        `place` says in words where `raw` comes from. On any other lane than DOWNSTREAM nothing is searched,
        and `raw` is returned as it is."""
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
        """Return the reference that stands for a secret in traces, such as `key#1`; "" if `secret` is empty.
        A new secret gets a new reference and is added to the known secrets. If the open trace does not name
        the secret yet, record the event SecretKnown in it."""
        reference = self.secrets.known_reference(secret) or self.secrets.reference_for(kind, secret)
        if reference:
            self._record_known_secret(reference)
        return reference

    def _record_known_secret(self, reference: str) -> None:
        """Record the event SecretKnown for the secret with this reference in the open trace, if that does not
        have this event yet."""
        # A run knows hundreds of secrets: each trace names only the secrets that occur in it.
        if reference not in self._recorded_references:
            self._recorded_references.add(reference)
            self.emit(Lane.KIT, "", SecretKnown(reference, self.secrets.length_of(reference)))

    def _keep_bytes_if_possible(
        self,
        lane: Lane,
        connection: str,
        raw: str | bytes,
        *,
        sent_by_kit: bool = False,
        answered_req_id: str = "",
    ) -> bool:
        """Keep an upstream frame as bytes, to be decoded later when `events` is read, and return True. Return
        False, and keep nothing, if the frame must be decoded at once: in a handshake, for a configuration, or
        if `on_event` wants each event. If the kit sent the frame, `answered_req_id` is the id of the request
        that the frame answers."""
        if lane is not _UPSTREAM or connection not in self._with_complete_handshake:
            return False
        # A configuration is read at once: it may hold secrets, which must be known from then on.
        if self.on_event is not None or isinstance(raw, str) or raw[:2] == _CONFIGURATION_START:
            return False
        at_ns = self.last_event_at_ns[connection] = self.clock_ns()
        if self._events is not None:
            # As _count_event_unless_full, but this runs for every frame.
            self._byte_count += len(raw)
            if self._byte_count > self.max_bytes or self._event_count >= self.max_events:
                self.flooded = True
            else:
                self._event_count += 1
                self._undecoded += (at_ns, connection, raw, sent_by_kit, answered_req_id)
        self.on_change()
        return True

    def _count_event_unless_full(self, frame_size: int) -> bool:
        """Count one more event of the open trace, and return True. `frame_size` is the number of bytes of its
        frame. Return False if the trace is flooded: it has too many events or bytes. Then nothing more is
        written into it."""
        self._byte_count += frame_size
        if self._byte_count > self.max_bytes or self._event_count >= self.max_events:
            self.flooded = True
        self._event_count += not self.flooded
        return not self.flooded

    def _make_sent_or_received(
        self, lane: Lane, raw: str | bytes, *, sent_by_kit: bool = False, answered_req_id: str = ""
    ) -> Sent | Received:
        """Make the event for a frame: Sent if the kit sent the frame, otherwise Received. Secrets in the
        frame are replaced by stars. `answered_req_id` is the id of the request that a sent frame answers; ""
        if none."""
        raw, value = self._redact_and_decode(lane, raw, sent_by_kit=sent_by_kit)
        return Sent(raw, value, answered_req_id) if sent_by_kit else Received(raw, value)

    def _redact_and_decode(
        self, lane: Lane, raw: str | bytes, *, sent_by_kit: bool
    ) -> tuple[str | bytes, Value]:
        """Return a frame with stars in place of its secrets, and the value that is decoded from it. Secrets
        in the configuration of an egress (the publishing into a room) are added to the known secrets."""
        value = self._decode(lane, raw, sent_by_kit=sent_by_kit)
        if sent_by_kit and isinstance(value, Speak) and self.wire is not None and not self.wire.declaration:
            # The kit's own speech holds no secrets, unless a declared wire adds a login to each message.
            return raw, value
        if isinstance(raw, str):
            clean: str | bytes = self.secrets.redact_text(raw)
        elif lane is Lane.UPSTREAM:
            clean = redact_frame(raw, value, self.secrets)
        else:
            clean = self.secrets.redact(raw)[0]
        return clean, value if clean == raw else self._decode(lane, clean, sent_by_kit=sent_by_kit)

    def _decode(self, lane: Lane, raw: str | bytes, *, sent_by_kit: bool) -> Value:
        """Return the value of a frame on this lane, as the trace holds it."""
        return read_frame(lane, raw, sent_by_kit=sent_by_kit, wire=self.wire)

    def _remember_for_next_trace(self, event: Event) -> None:
        """Remember an event with which the next trace must begin, so that it explains the sessions that are
        still open then: an issued token, or a part of the handshake of a session. When the session ends,
        forget its handshake. Also note the time of the connection's last event."""
        self.last_event_at_ns[event.connection] = event.at_ns
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
            self._with_complete_handshake.discard(event.connection)
        elif event.connection not in self._with_complete_handshake:
            handshake = self._handshakes.setdefault(event.connection, [])
            handshake.append(event)
            if len(handshake) == _HANDSHAKE_EVENTS:
                self._with_complete_handshake.add(event.connection)
