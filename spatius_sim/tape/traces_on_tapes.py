"""Writes traces to tapes and reads them back; records the events of a run while they happen."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from spatius_sim.files.wire_file import wire_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tape.hide_names_and_speech import Cleaner
from spatius_sim.tape.names_to_references import Names
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
from spatius_sim.trace.read_frames import read_parts, read_upstream
from spatius_sim.trace.speech_fingerprint import speech_marks
from spatius_sim.wires import Wire
from spatius_sim.wires.events import NotUnderstood, Unclear

MAX_BYTES = 1024 * 1_048_576
"""A run whose frames and keyframes take more memory is not read as a whole."""

_BYTES_OF_AN_EVENT = 200
"""The memory of an event (estimated) without its texts, bytes and keyframes."""

_EVENTS_AT_ONCE = 64
"""How many events of a run that is over are cleaned together."""

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(EventKind)}
_DECLARED_TYPES: dict[str, dict[str, Any]] = {name: get_type_hints(kind) for name, kind in _KINDS.items()}


class TapeRecorder:
    """Records traces onto a tape, run by run, and cleans every event before it is written."""

    def __init__(self, writer: TapeWriter, header: TapeHeader) -> None:
        """Begin to record traces onto a tape through this writer. The tape's `header` says whether the tape
        may hold speech and the names of apps and avatars."""
        self._writer = writer
        self._keep_speech = header.has_speech
        self._names = Names() if "names" in header.redactions else None
        self._cleaner = Cleaner(None, self._names, keep_speech=self._keep_speech)
        self._start_ns: int | None = None

    def begin_run(self, header: TraceHeader) -> None:
        """Begin to record a trace onto the tape: write the trace's header as the record of a new run. The
        events that are recorded next belong to this run."""
        spoken_wire = wire_of(header.wire, header.declaration) if header.wire else None
        self._cleaner = Cleaner(spoken_wire, self._names, keep_speech=self._keep_speech)
        fields = {name: value for name, value in asdict(header).items() if name != "speech"}
        self._writer.write(TapedRun(**fields | {"lacks": " ".join(header.lacks)}))

    def record_events(self, events: Sequence[Event]) -> None:
        """Clean these events of the trace, and write them onto the tape in order. Times on a tape are counted
        from the tape's first event."""
        if self._start_ns is None and events:
            self._start_ns = events[0].at_ns
        start_ns = self._start_ns or 0
        speech = self._cleaner.plain_speech(events)
        # The marks of all speech are made together, and their events are packed without a TapedEvent: nearly
        # all events of a session are such events.
        marks = iter(speech_marks([audio for audio in speech if audio]))
        for event, audio in zip(events, speech, strict=True):
            content = event.content
            if audio and isinstance(content, Received) and isinstance(content.raw, bytes):
                at_ns, framing = max(0, event.at_ns - start_ns), content.raw[: -len(audio)]
                self._writer.write_speech(at_ns, event.lane, event.connection, framing, next(marks))
                continue
            self._writer.write(self._cleaner.clean(event, start_ns))
            if self._names is not None:
                self._pin_names(self._names, event)

    def _pin_names(self, names: Names, event: Event) -> None:
        """While a connection of the recorded trace is open, let the tape's recorder remember its app id and
        avatar id: they may occur in any event, and must be replaced before the event is written onto the
        tape."""
        connection_key = event.lane, event.connection
        if isinstance(event.content, Opened):
            names.pin(connection_key, event.content.app_id, event.content.avatar_id)
        elif isinstance(event.content, Closed):
            names.unpin(connection_key)

    def record_trace(self, trace: Trace) -> None:
        """Record a whole trace onto the tape as one run."""
        self.begin_run(trace.header)
        for first in range(0, len(trace.events), _EVENTS_AT_ONCE):
            self.record_events(trace.events[first : first + _EVENTS_AT_ONCE])


def write_traces(path: Path, header: TapeHeader, traces: list[Trace]) -> None:
    """Write a tape that holds these traces as its runs. Raises UsageError if the tape cannot be written."""
    with TapeWriter(path, header) as writer:
        recorder = TapeRecorder(writer, header)
        for trace in traces:
            recorder.record_trace(trace)


def read_traces(path: Path) -> Iterator[Trace]:
    """Read a tape, and yield each of its runs as a trace, which is in memory as a whole. Raises UsageError if
    the tape is damaged or cut off, or if a run has more than MAX_BYTES."""
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        run: _OpenRun | None = None
        for record in reader:
            if isinstance(record, TapedRun):
                if run is not None:
                    yield run.trace()
                run = _OpenRun(path, record, reader.header.has_speech)
            elif run is None:
                raise UsageError(f"{path}: an event stands before the first run")
            else:
                run.add(record)
        reader.check_counts()
    if run is not None:
        yield run.trace()


def plan_token_on(path: Path) -> str:
    """Read from a tape the plan token of its first trace, and return it. Raises UsageError if the file is not
    a tape, or if this trace has no plan."""
    with open_tape(path) as file:
        for record in TapeReader(file, str(path)):
            if isinstance(record, TapedRun) and record.plan_token:
                return record.plan_token
            break
    raise UsageError(f"{path} holds no scenario: name the tape of a failure")


def read_whole_parts(path: Path, most_events: int) -> tuple[list[Trace], list[str], bool]:
    """Read a tape that may be damaged, and return three things: the traces of its runs, with at most
    `most_events` events that can still be read; a line for each damage; and whether the tape holds more
    events.

    Raises UsageError if the file is not a tape, or if a run has more than MAX_BYTES."""
    traces: list[Trace] = []
    events = 0
    damage: list[str] = []
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        run: _OpenRun | None = None
        for record in reader.whole_records():
            if isinstance(record, TapeError):
                damage.append(str(record))
            elif isinstance(record, TapedRun):
                traces += [run.trace()] if run is not None else []
                run = _OpenRun(path, record, reader.header.has_speech)
            elif events == most_events:
                break
            elif run is not None:
                run.add(record)
                events += 1
    traces += [run.trace()] if run is not None else []
    return traces, damage, events == most_events


class _OpenRun:
    """Collects the events of one run on a tape, and makes a trace of them."""

    def __init__(self, path: Path, run: TapedRun, has_speech: bool) -> None:
        """Begin to read a run on the tape at `path` as a trace, which has no events yet."""
        self._path = path
        self._wire = _find_wire(path, run)
        fields = asdict(run) | {"lacks": tuple(run.lacks.split())}
        self._header = TraceHeader(**fields, speech=has_speech)
        self._events: list[Event] = []
        self._bytes = 0

    def add(self, taped: TapedEvent) -> None:
        """Add an event that was read from the tape to the trace of its run. Raises UsageError if the event is
        malformed, or if the trace becomes too large."""
        try:
            content, memory_bytes = event_of(taped, self._wire)
        except (TypeError, ValueError, KeyError) as error:
            raise UsageError(f"{self._path}: event {len(self._events)} is malformed: {error}") from error
        self._bytes += memory_bytes
        if self._bytes > MAX_BYTES:
            raise UsageError(f"{self._path}: a run of more than {MAX_BYTES} bytes: `tape cut` it first")
        event = Event(len(self._events), taped.at_ns, taped.lane, taped.connection, content)
        self._events.append(event)

    def trace(self) -> Trace:
        """Return the trace of this run on the tape."""
        return Trace(self._header, tuple(self._events))


def event_of(taped: TapedEvent, spoken_wire: Wire | None) -> tuple[EventKind, int]:
    """Make the content of a trace's event from an event on a tape. Return the content, and how many bytes of
    memory it takes. `spoken_wire` reads the frames of the relay's clients. Raises TypeError, ValueError or
    KeyError if no writer of tapes could have written the event."""
    kind = _KINDS.get(taped.kind)
    if kind is None:
        raise ValueError(f"the kind {taped.kind[:50]!r} is not known")
    values = {
        name: value.join_parts() if isinstance(value, Content) else value
        for name, value in taped.fields.items()
    }
    reason = values.pop("reason", None) if kind in (Sent, Received) else None
    memory_bytes = _BYTES_OF_AN_EVENT + sum(
        len(value) for value in values.values() if isinstance(value, str | bytes)
    )
    for name, value in values.items():
        values[name] = _check_field(taped.kind, name, value)
    if kind in (Sent, Received):
        part: Any = values.get("part", 0)
        value = _read_value(
            taped.lane, values["raw"], part, sent=kind is Sent, spoken_wire=spoken_wire, reason=reason
        )
        values["value"] = value
        if isinstance(value, MotionResponse):
            memory_bytes += value.keyframes.nbytes
    if kind is Published:
        values["value"] = read_upstream(values["raw"])
    content: EventKind = kind(**values)
    return content, memory_bytes


def _read_value(
    lane: Lane, raw: str | bytes, part: int, *, sent: bool, spoken_wire: Wire | None, reason: Any
) -> Value:
    """Read what a frame on a tape says, for the event of a trace: the frame's part number `part`, as
    `spoken_wire` reads it. If a `reason` is given, the frame was taken out of the tape: return a value that
    says "not understood" for this reason. Raises ValueError if the frame has fewer parts."""
    if reason is None:
        parts = read_parts(lane, raw, sent=sent, wire=spoken_wire)
        if not 0 <= part < len(parts):
            raise ValueError(f"a frame tells {len(parts)} things, and this is number {part}")
        return parts[part]
    if lane is Lane.UPSTREAM or spoken_wire is None:
        return Undecodable(str(reason))
    return Unclear(str(reason)) if sent else NotUnderstood(str(reason))


def _check_field(kind: str, name: str, value: Any) -> Any:
    """Check a field of an event on a tape, and return it in the type that the field has in a trace. Raises
    ValueError if events of this kind have no such field, and TypeError if the field has another type."""
    declared_type = _DECLARED_TYPES[kind].get(name)
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
    """Return the wire that a run on a tape names: the language in which its relay and clients spoke. None if
    the run names no wire. Raises UsageError, with the tape's path in its text, if the wire is unknown or its
    declaration (YAML) is wrong."""
    try:
        return wire_of(run.wire, run.declaration) if run.wire else None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
