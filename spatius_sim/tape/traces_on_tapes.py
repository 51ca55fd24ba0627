"""Writes traces to tapes and reads them back; records the events of a run while they happen."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from spatius_sim.files.wire_file import wire_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tape.hide_names_and_speech import EventCleaner
from spatius_sim.tape.names_to_references import NameReferences
from spatius_sim.tape.reader import TapeReader, open_tape
from spatius_sim.tape.tape_sections import TapeError
from spatius_sim.tape.tape_values import Content, TapedEvent, TapedRun, TapeHeader
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.trace.events import (
    Closed,
    Event,
    EventKind,
    Lane,
    Opened,
    Published,
    Received,
    Sent,
    Trace,
    TraceHeader,
    Undecodable,
    Value,
)
from spatius_sim.trace.read_frames import read_frame_values, read_upstream
from spatius_sim.trace.speech_fingerprint import compute_fingerprints
from spatius_sim.wires import Wire
from spatius_sim.wires.events import NotUnderstood, Unclear

MAX_BYTES = 1024 * 1_048_576
"""A run whose frames and keyframes take more memory is not read as a whole."""

_BYTES_OF_AN_EVENT = 200
"""The memory of an event (estimated) without its texts, bytes and keyframes."""

_EVENTS_AT_ONCE = 64
"""How many events of a run that is over are cleaned together."""

_CLASS_BY_KIND: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(EventKind)}
_FIELD_TYPES_BY_KIND: dict[str, dict[str, Any]] = {
    name: get_type_hints(kind) for name, kind in _CLASS_BY_KIND.items()
}


class TapeRecorder:
    """Records traces onto a tape, run by run, and cleans every event before it is written."""

    def __init__(self, writer: TapeWriter, header: TapeHeader) -> None:
        """Begin to record traces onto a tape through this writer. The tape's `header` says whether the tape
        may hold speech, and whether it may hold the names of apps and avatars."""
        self._writer = writer
        self._keep_speech = header.has_speech
        self._names = NameReferences() if "names" in header.redactions else None
        self._cleaner = EventCleaner(None, self._names, keep_speech=self._keep_speech)
        self._start_ns: int | None = None

    def begin_run(self, header: TraceHeader) -> None:
        """Begin to record a trace: write its header onto the tape as the head of a new run. The events that
        are recorded next belong to this run."""
        spoken_wire = wire_of(header.wire, header.declaration) if header.wire else None
        self._cleaner = EventCleaner(spoken_wire, self._names, keep_speech=self._keep_speech)
        fields = {name: value for name, value in asdict(header).items() if name != "speech"}
        self._writer.write(TapedRun(**fields | {"lacks": " ".join(header.lacks)}))

    def record_events(self, events: Sequence[Event]) -> None:
        """Write events of the current run onto the tape, in order, each without the names and the speech that
        the tape must not hold. Times on the tape are counted from its first event. A received frame that ends
        with speech is written as the bytes before the speech and the fingerprint of the speech."""
        if self._start_ns is None and events:
            self._start_ns = events[0].at_ns
        start_ns = self._start_ns or 0
        speech_of_events = self._cleaner.find_trailing_speech(events)
        # The fingerprints of all speech are computed together, and their events are packed without a
        # TapedEvent: nearly all events of a session are such events.
        fingerprints = iter(compute_fingerprints([speech for speech in speech_of_events if speech]))
        for event, speech in zip(events, speech_of_events, strict=True):
            content = event.content
            if speech and isinstance(content, Received) and isinstance(content.raw, bytes):
                at_ns, framing = max(0, event.at_ns - start_ns), content.raw[: -len(speech)]
                self._writer.write_speech(at_ns, event.lane, event.connection, framing, next(fingerprints))
                continue
            self._writer.write(self._cleaner.clean_event(event, start_ns))
            if self._names is not None:
                self._keep_names_while_open(self._names, event)

    def _keep_names_while_open(self, names: NameReferences, event: Event) -> None:
        """Remember the app id and the avatar id of a connection in a recorded trace while it is open. They
        may occur in any event of that time, and must then be replaced on the tape. They may be forgotten once
        the connection is closed."""
        connection_key = event.lane, event.connection
        if isinstance(event.content, Opened):
            names.keep_for(connection_key, event.content.app_id, event.content.avatar_id)
        elif isinstance(event.content, Closed):
            names.release_holder(connection_key)

    def record_trace(self, trace: Trace) -> None:
        """Record a whole trace onto the tape as one run."""
        self.begin_run(trace.header)
        for first in range(0, len(trace.events), _EVENTS_AT_ONCE):
            self.record_events(trace.events[first : first + _EVENTS_AT_ONCE])


def write_traces(path: Path, header: TapeHeader, traces: list[Trace]) -> None:
    """Write traces to a new tape with this header, each as one run. Raises UsageError if the tape cannot be
    written."""
    with TapeWriter(path, header) as writer:
        recorder = TapeRecorder(writer, header)
        for trace in traces:
            recorder.record_trace(trace)


def read_traces(path: Path) -> Iterator[Trace]:
    """Read a tape, and yield each of its runs as a trace. One trace at a time is in memory as a whole. Raises
    UsageError if the tape is damaged or cut off, or if a run has more than MAX_BYTES."""
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        builder: _TraceBuilder | None = None
        for record in reader:
            if isinstance(record, TapedRun):
                if builder is not None:
                    yield builder.make_trace()
                builder = _TraceBuilder(path, record, reader.header.has_speech)
            elif builder is None:
                raise UsageError(f"{path}: an event stands before the first run")
            else:
                builder.add_event(record)
        reader.check_counts()
    if builder is not None:
        yield builder.make_trace()


def read_plan_token(path: Path) -> str:
    """Read the plan token of the first trace (run) on a tape, and return it: the text by which its plan can
    be run again. Raises UsageError if the file is not a tape, or if this run has no plan."""
    with open_tape(path) as file:
        for record in TapeReader(file, str(path)):
            if isinstance(record, TapedRun) and record.plan_token:
                return record.plan_token
            break
    raise UsageError(f"{path} holds no scenario: name the tape of a failure")


def read_damaged_traces(path: Path, max_events: int) -> tuple[list[Trace], list[str], bool]:
    """Read what can still be read of a tape that may be damaged, up to `max_events` events. Return three
    things: the traces of its runs; a line of text for each piece of damage; and whether `max_events` events
    were read.

    Raises UsageError if the file is not a tape, or if a run has more than MAX_BYTES."""
    traces: list[Trace] = []
    event_count = 0
    damage: list[str] = []
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        builder: _TraceBuilder | None = None
        for record in reader.read_undamaged_records():
            if isinstance(record, TapeError):
                damage.append(str(record))
            elif isinstance(record, TapedRun):
                traces += [builder.make_trace()] if builder is not None else []
                builder = _TraceBuilder(path, record, reader.header.has_speech)
            elif event_count == max_events:
                break
            elif builder is not None:
                builder.add_event(record)
                event_count += 1
    traces += [builder.make_trace()] if builder is not None else []
    return traces, damage, event_count == max_events


class _TraceBuilder:
    """Collects the events of one run on a tape, and makes a trace of them."""

    def __init__(self, path: Path, run: TapedRun, has_speech: bool) -> None:
        """Begin to make a trace from a run on the tape at `path`, without events yet. `run` is the head of
        the run. `has_speech`: the tape holds real speech. Raises UsageError if the wire (message format) that
        the run names is unknown."""
        self._path = path
        self._wire = _find_wire(path, run)
        fields = asdict(run) | {"lacks": tuple(run.lacks.split())}
        self._header = TraceHeader(**fields, speech=has_speech)
        self._events: list[Event] = []
        self._bytes = 0

    def add_event(self, taped_event: TapedEvent) -> None:
        """Add an event that was read from a tape to the trace of its run. Raises UsageError if the event is
        malformed, or if the trace needs more than MAX_BYTES."""
        try:
            content, memory_bytes = make_event_content(taped_event, self._wire)
        except (TypeError, ValueError, KeyError) as error:
            raise UsageError(f"{self._path}: event {len(self._events)} is malformed: {error}") from error
        self._bytes += memory_bytes
        if self._bytes > MAX_BYTES:
            raise UsageError(f"{self._path}: a run of more than {MAX_BYTES} bytes: `tape cut` it first")
        event = Event(len(self._events), taped_event.at_ns, taped_event.lane, taped_event.connection, content)
        self._events.append(event)

    def make_trace(self) -> Trace:
        """Return the trace of this run on the tape."""
        return Trace(self._header, tuple(self._events))


def make_event_content(taped_event: TapedEvent, spoken_wire: Wire | None) -> tuple[EventKind, int]:
    """Make the content of a trace's event from an event on a tape. Return the content, and about how many
    bytes of memory it takes. `spoken_wire` is the message format between the relay and its clients, needed to
    decode their frames. Raises TypeError, ValueError or KeyError if no writer of tapes could have written the
    event."""
    event_class = _CLASS_BY_KIND.get(taped_event.kind)
    if event_class is None:
        raise ValueError(f"the kind {taped_event.kind[:50]!r} is not known")
    fields = {
        name: value.join_parts() if isinstance(value, Content) else value
        for name, value in taped_event.fields.items()
    }
    reason = fields.pop("reason", None) if event_class in (Sent, Received) else None
    memory_bytes = _BYTES_OF_AN_EVENT + sum(
        len(value) for value in fields.values() if isinstance(value, str | bytes)
    )
    for name, value in fields.items():
        fields[name] = _check_field(taped_event.kind, name, value)
    if event_class in (Sent, Received):
        part: Any = fields.get("part", 0)
        value = _decode_frame(
            taped_event.lane,
            fields["raw"],
            part,
            sent_by_kit=event_class is Sent,
            spoken_wire=spoken_wire,
            reason=reason,
        )
        fields["value"] = value
        if isinstance(value, MotionResponse):
            memory_bytes += value.keyframes.nbytes
    if event_class is Published:
        fields["value"] = read_upstream(fields["raw"])
    content: EventKind = event_class(**fields)
    return content, memory_bytes


def _decode_frame(
    lane: Lane, raw: str | bytes, part: int, *, sent_by_kit: bool, spoken_wire: Wire | None, reason: Any
) -> Value:
    """Return what a frame on a tape says, decoded for a trace. A frame may hold several events: return the
    one with the index `part`. If a `reason` is given, the frame was taken out of the tape: return a value
    that says "not understood" with this reason. Raises ValueError if the frame has no such part."""
    if reason is None:
        parts = read_frame_values(lane, raw, sent_by_kit=sent_by_kit, wire=spoken_wire)
        if not 0 <= part < len(parts):
            raise ValueError(f"a frame tells {len(parts)} things, and this is number {part}")
        return parts[part]
    if lane is Lane.UPSTREAM or spoken_wire is None:
        return Undecodable(str(reason))
    return Unclear(str(reason)) if sent_by_kit else NotUnderstood(str(reason))


def _check_field(kind: str, name: str, value: Any) -> Any:
    """Check a field of a taped event, and return its value for a trace; the text of an enum becomes the enum.
    Raises ValueError if events of this `kind` have no such field, and TypeError if the value has another
    type."""
    declared_type = _FIELD_TYPES_BY_KIND[kind].get(name)
    if declared_type is None:
        raise ValueError(f"{kind} has no field {name[:50]!r}")
    if isinstance(declared_type, type) and issubclass(declared_type, StrEnum):
        return declared_type(value)
    allowed_types = get_args(declared_type) or (declared_type,)
    if float in allowed_types and type(value) is int:
        return value
    if type(value) not in allowed_types:
        raise TypeError(f"{kind}.{name} is a {type(value).__name__}")
    return value


def _find_wire(path: Path, run: TapedRun) -> Wire | None:
    """Return the wire of a run on a tape, by which the frames of its trace are decoded: the message format
    between its relay and clients. None if the run names no wire. Raises UsageError, with the tape's path in
    its text, if the wire is unknown or if its description (YAML) is wrong."""
    try:
        return wire_of(run.wire, run.declaration) if run.wire else None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
