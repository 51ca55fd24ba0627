"""Traces as files: MessagePack, a header, one record for each event, a footer with count and checksum.

A file without its footer is an error, never a short trace. The format is specified in fixtures/README.md.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgpack

from spatius_sim.dialects import Dialect, dialect_named
from spatius_sim.model.trace import (
    Event,
    Lane,
    Received,
    Sent,
    Trace,
    TraceHeader,
    What,
    read_frame,
)
from spatius_sim.protocol.errors import UsageError

MAGIC = "spatius-sim trace"
VERSION = 1

_LARGEST_VALUE = 64 * 1_048_576

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(What)}
_ENUMS: dict[str, dict[str, type[StrEnum]]] = {
    name: {
        field: hint
        for field, hint in get_type_hints(kind).items()
        if isinstance(hint, type) and issubclass(hint, StrEnum)
    }
    for name, kind in _KINDS.items()
}


def write_trace(path: Path, written: Trace) -> None:
    """Write a trace to `path`, whose folder is made if need be; raises UsageError where it cannot be."""
    checksum = hashlib.blake2b(digest_size=16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for record in _records(written):
                packed = msgpack.packb(record)
                checksum.update(packed)
                file.write(packed)
            file.write(msgpack.packb(["footer", len(written.events), checksum.hexdigest()]))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def read_trace(path: Path) -> Trace:
    """Read a trace; raises UsageError for a file that is none, is damaged, or lacks its footer."""
    try:
        with path.open("rb") as file:
            return _assemble(path, file)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise UsageError(f"{path}: damaged, or no trace: {error}") from error


def _records(written: Trace) -> Iterator[list[Any]]:
    yield ["header", MAGIC, VERSION, asdict(written.header)]
    for event in written.events:
        what = event.what
        values = [getattr(what, field.name) for field in fields(what) if field.name != "value"]
        plain = [str(value) if isinstance(value, StrEnum) else value for value in values]
        yield [event.at_ns, str(event.lane), event.connection, type(what).__name__, plain]


def _assemble(path: Path, file: Any) -> Trace:
    unpacker = msgpack.Unpacker(
        file, max_bin_len=_LARGEST_VALUE, max_str_len=_LARGEST_VALUE, max_buffer_size=_LARGEST_VALUE
    )
    kind, magic, version, header_fields = unpacker.unpack()
    if (kind, magic) != ("header", MAGIC):
        raise UsageError(f"{path}: this is no trace")
    if version != VERSION:
        raise UsageError(f"{path}: trace format {version}; this version reads format {VERSION}")
    header = TraceHeader(**header_fields)
    dialect = _dialect(path, header.wire)
    checksum = hashlib.blake2b(msgpack.packb([kind, magic, version, header_fields]), digest_size=16)
    events: list[Event] = []
    for record in unpacker:
        if record[0] == "footer":
            _, count, digest = record
            if (count, digest) != (len(events), checksum.hexdigest()):
                raise UsageError(f"{path}: damaged: its contents do not match its footer")
            return Trace(header, tuple(events))
        checksum.update(msgpack.packb(record))
        events.append(_event(len(events), record, dialect))
    raise UsageError(f"{path}: incomplete: {len(events)} events and no footer")


def _dialect(path: Path, wire: str) -> Dialect | None:
    try:
        return dialect_named(wire) if wire else None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _event(seq: int, record: list[Any], dialect: Dialect | None) -> Event:
    at_ns, lane_name, connection, name, values = record
    lane = Lane(lane_name)
    return Event(seq, at_ns, lane, connection, _what(lane, name, values, dialect))


def _what(lane: Lane, name: str, values: list[Any], dialect: Dialect | None) -> What:
    kind = _KINDS[name]
    if kind is Sent:
        raw, answers = values
        return Sent(raw, read_frame(lane, raw, sent=True, dialect=dialect), answers)
    if kind is Received:
        return Received(values[0], read_frame(lane, values[0], sent=False, dialect=dialect))
    named = dict(zip((field.name for field in fields(kind)), values, strict=True))
    named |= {field: enum(named[field]) for field, enum in _ENUMS[name].items()}
    event: What = kind(**named)
    return event
