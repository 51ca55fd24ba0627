"""Turns records into MessagePack values and back. Whatever is read is checked first."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import msgpack

from spatius_sim.tape.recent_blobs import SMALLEST_BLOB, BlobWindow, MalformedError
from spatius_sim.tape.tape_sections import LARGEST_BLOB, LARGEST_BODY
from spatius_sim.tape.tape_values import (
    Content,
    ContentPart,
    Record,
    TapedEvent,
    TapedPiece,
    TapedRun,
    TapeHeader,
)
from spatius_sim.trace.events import Lane
from spatius_sim.trace.speech_fingerprint import WINDOW_SAMPLES, SpeechMark

MAX_PARTS = 256
_LONGEST_NAME = 256
_DIGEST_BYTES = 16
_SMALLEST_FRAMING_BLOB = 16 * SMALLEST_BLOB
"""Bytes around the pieces of a frame seldom occur again: only as many as this become a blob."""
_LANES = {str(lane): lane for lane in Lane}
_PLAIN = frozenset({str, int, float, bool, type(None)})
_EVENT_TYPES = (str, int, str, str, str, dict)
_SUBJECTS = frozenset({"relay", "server", "client", "room"})
_HALVES = frozenset({"both", "upstream", "downstream"})
_RUN_TEXTS = ("subject", "wire", "plan", "kit_version", "halves", "lacks", "declaration", "plan_token")
_RUN_TYPES: dict[str, type] = {**dict.fromkeys(_RUN_TEXTS, str), "seed": int, "fallback_wait": float}


def pack_header(header: TapeHeader, version: int) -> bytes:
    """Pack the header of a tape as MessagePack: the body of the tape's first section."""
    fields = asdict(header) | {"rates": list(header.rates), "redactions": list(header.redactions)}
    packed: bytes = msgpack.packb({"format": "spatius-sim tape", "version": version, **fields})
    return packed


def read_header(body: bytes | memoryview, versions: tuple[int, ...]) -> TapeHeader:
    """Return the header of a tape, its first record, from these MessagePack bytes. Raises MalformedError if
    they are of no tape, or if the version or a field is unknown."""
    values = unpack_body(body)
    if not isinstance(values, dict) or values.pop("format", None) != "spatius-sim tape":
        raise MalformedError("this is not a tape")
    version = values.pop("version", None)
    if version not in versions:
        readable = ", ".join(map(str, versions))
        raise MalformedError(f"tape format {version!r}; this version reads format {readable}")
    types: dict[str, type[Any] | tuple[type[Any], ...]] = {
        "what": str,
        "recorded_unix_ms": int,
        "kit_version": str,
        "seed": int,
        "rates": list,
        "redactions": list,
        "note": str,
    }
    checked = _check_fields(values, types, required="what")
    if not all(isinstance(rate, int) for rate in checked.get("rates", ())):
        raise MalformedError("a rate is not a number")
    if not all(isinstance(name, str) for name in checked.get("redactions", ())):
        raise MalformedError("a redaction is not text")
    for name in ("rates", "redactions"):
        checked[name] = tuple(checked.get(name, ()))
    return TapeHeader(**checked)


def pack_record(record: Record, number_of: Callable[[bytes], int]) -> list[Any]:
    """Return a record of a tape as plain values, ready for MessagePack. `number_of` stores a blob and returns
    its number."""
    if isinstance(record, TapedRun):
        return ["run", asdict(record)]
    fields = dict(record.fields)
    for name, value in fields.items():
        if isinstance(value, Content):
            fields[name] = [value.text, *[_pack_part(part, number_of) for part in value.parts]]
    return ["event", record.at_ns, record.lane, record.connection, record.kind, fields]


def pack_speech(at_ns: int, lane: Lane, connection: str, framing: bytes, mark: SpeechMark) -> list[Any]:
    """Return the record of a received frame as plain values, equal to those of `pack_record` for a TapedEvent
    whose frame is `framing` (no more bytes than stay out of blobs) and then speech that has this mark."""
    return ["event", at_ns, lane, connection, "Received", {"raw": [False, framing, _pack_mark(mark)]}]


def _pack_mark(mark: SpeechMark) -> dict[str, Any]:
    """Return the mark of removed speech as a MessagePack value."""
    return {"length": mark.length, "hash": mark.digest, "levels": mark.levels}


def read_record(values: Any, blobs: BlobWindow) -> Record:
    """Return the record of a tape that these MessagePack values stand for. Raises MalformedError if no writer
    could have written them, and KeyError if a blob is missing."""
    if type(values) is list and tuple(map(type, values)) == _EVENT_TYPES and values[0] == "event":
        _, at_ns, lane, connection, kind, fields = values
        if lane in _LANES:
            if len(connection) > _LONGEST_NAME or len(kind) > _LONGEST_NAME:
                raise MalformedError("a name is too long")
            read_fields = {name: _read_field(value, blobs) for name, value in fields.items()}
            return TapedEvent(at_ns, _LANES[lane], connection, kind, read_fields)
    match values:
        case ["run", dict(fields)]:
            return _read_run(fields)
        case _:
            raise MalformedError("a record is neither a run nor an event")


def _read_run(fields: Mapping[Any, Any]) -> TapedRun:
    """Return the record that begins a run on a tape, from its stored fields. Raises MalformedError if a field
    is unknown or has an impossible value."""
    run = TapedRun(**_check_fields(fields, _RUN_TYPES, required="subject"))
    if run.subject not in _SUBJECTS:
        raise MalformedError(f"a run of the subject {run.subject[:50]!r}")
    if run.halves not in _HALVES:
        raise MalformedError(f"a run with the halves {run.halves[:50]!r}")
    return run


def unpack_body(body: bytes | memoryview) -> Any:
    """Return the value that stands as MessagePack in the body of a section of a tape, such as a list of
    records. Raises MalformedError if the body is no MessagePack."""
    try:
        return msgpack.unpackb(
            body,
            strict_map_key=True,
            max_str_len=LARGEST_BODY,
            max_bin_len=LARGEST_BODY,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, TypeError, RecursionError) as error:
        raise MalformedError(f"its contents are no MessagePack: {error or type(error).__name__}") from error


def _check_fields(values: Mapping[Any, Any], types: Mapping[str, Any], required: str) -> dict[str, Any]:
    """Check the fields of a record that was unpacked from MessagePack, and return them as a dict. Raises
    MalformedError if a name is unknown, if a type is wrong, or if the field `required` is missing."""
    for name, value in values.items():
        if name not in types:
            raise MalformedError(f"the field {str(name)[:50]!r} is not known")
        if not isinstance(value, types[name]) or isinstance(value, bool):
            raise MalformedError(f"the field {name!r} is a {type(value).__name__}")
    if required not in values:
        raise MalformedError(f"the field {required!r} is missing")
    return dict(values)


def _pack_part(part: ContentPart, number_of: Callable[[bytes], int]) -> Any:
    """Return one part of a taped frame as a MessagePack value; a large part becomes the number of a blob."""
    if isinstance(part, TapedPiece):
        if isinstance(part.content, SpeechMark):
            packed: Any = _pack_mark(part.content)
        elif len(part.content) < SMALLEST_BLOB:
            return b64encode(part.content).decode() if part.base64 else part.content
        else:
            packed = number_of(part.content)
        return [packed] if part.base64 else packed
    raw = part.encode() if isinstance(part, str) else part
    return number_of(raw) if len(raw) >= _SMALLEST_FRAMING_BLOB else part


def _read_field(value: Any, blobs: BlobWindow) -> Any:
    """Return one field of an event in a packed record of a tape: a plain value or the content of a frame.
    Raises MalformedError if its type is not allowed."""
    if type(value) in _PLAIN:
        return value
    if type(value) is list and value and type(value[0]) is bool and len(value) <= MAX_PARTS + 1:
        text, *parts = value
        return Content(text, tuple([_read_part(part, text, blobs) for part in parts]))
    raise MalformedError(f"a field is a {type(value).__name__}")


def _read_part(part: Any, text: bool, blobs: BlobWindow) -> ContentPart:
    """Return one part of a frame in a packed record of a tape. `text` says that the
    frame is text. Raises MalformedError if the value is neither bytes, text, a blob's number nor a piece of
    speech."""
    part_type = type(part)
    if part_type is (str if text else bytes):
        return part  # type: ignore[no-any-return]
    if part_type is int:
        return TapedPiece(blobs[part])
    if part_type is list and text and len(part) == 1:
        return TapedPiece(_read_blob_or_speech(part[0], blobs), base64=True)
    return TapedPiece(_read_blob_or_speech(part, blobs))


def _read_blob_or_speech(value: Any, blobs: BlobWindow) -> bytes | SpeechMark:
    """Read a value in a packed record of a tape that stands for audio or motion: the number of a blob, or the
    mark of speech that was taken out. Return the blob's bytes, or the mark. Raises MalformedError if the
    value is neither, and KeyError if the tape has no such blob."""
    match value:
        case bool():
            raise MalformedError("a blob has no number")  # true and false are whole numbers in Python.
        case int(number):
            return blobs[number]
        case {"length": int(length), "hash": bytes(digest), "levels": bytes(levels)} if len(value) == 3:
            if not 0 <= length <= LARGEST_BLOB or len(digest) != _DIGEST_BYTES:
                raise MalformedError("speech of an impossible length")
            if len(levels) > length // 2 // WINDOW_SAMPLES + 1:
                raise MalformedError("more levels than speech")
            return SpeechMark(length, digest, levels)
        case _:
            raise MalformedError("a part of a frame is neither bytes, text, a blob nor speech")
