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
from spatius_sim.trace.speech_fingerprint import WINDOW_SAMPLES, SpeechFingerprint

MAX_PARTS = 256
_LONGEST_NAME = 256
_DIGEST_BYTES = 16
_SMALLEST_FRAMING_BLOB = 16 * SMALLEST_BLOB
"""Bytes around the pieces of a frame seldom occur again: only as many as this become a blob."""
_LANE_BY_NAME = {str(lane): lane for lane in Lane}
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
_TYPES_IN_EVENT = (str, int, str, str, str, dict)
_SUBJECTS = frozenset({"relay", "server", "client", "room"})
_HALVES = frozenset({"both", "upstream", "downstream"})
_RUN_TEXTS = ("subject", "wire", "plan", "kit_version", "halves", "lacks", "declaration", "plan_token")
_TYPES_OF_RUN_FIELDS: dict[str, type] = {
    **dict.fromkeys(_RUN_TEXTS, str),
    "seed": int,
    "fallback_wait": float,
}


def pack_header(header: TapeHeader, version: int) -> bytes:
    """Pack the header of a tape as MessagePack: the body of the tape's first section."""
    fields = asdict(header) | {"rates": list(header.rates), "redactions": list(header.redactions)}
    packed: bytes = msgpack.packb({"format": "spatius-sim tape", "version": version, **fields})
    return packed


def unpack_header(body: bytes | memoryview, readable_versions: tuple[int, ...]) -> TapeHeader:
    """Return the header of a tape, its first record, from MessagePack bytes. `readable_versions` are the
    versions of the format that can be read. Raises MalformedError if the bytes are no header of a tape, if
    they have another version, or if a field is unknown or wrong."""
    values = unpack_body(body)
    if not isinstance(values, dict) or values.pop("format", None) != "spatius-sim tape":
        raise MalformedError("this is not a tape")
    version = values.pop("version", None)
    if version not in readable_versions:
        readable_text = ", ".join(map(str, readable_versions))
        raise MalformedError(f"tape format {version!r}; this version reads format {readable_text}")
    types_by_name: dict[str, type[Any] | tuple[type[Any], ...]] = {
        "what": str,
        "recorded_unix_ms": int,
        "kit_version": str,
        "seed": int,
        "rates": list,
        "redactions": list,
        "note": str,
    }
    fields = _check_fields(values, types_by_name, required_name="what")
    if not all(isinstance(rate, int) for rate in fields.get("rates", ())):
        raise MalformedError("a rate is not a number")
    if not all(isinstance(name, str) for name in fields.get("redactions", ())):
        raise MalformedError("a redaction is not text")
    for name in ("rates", "redactions"):
        fields[name] = tuple(fields.get(name, ()))
    return TapeHeader(**fields)


def pack_record(record: Record, store_blob: Callable[[bytes], int]) -> list[Any]:
    """Return a record of a tape (the head of a run, or an event) as a list of plain values, ready for
    MessagePack. `store_blob` stores long bytes apart from the record, and returns the number by which the
    record refers to them."""
    if isinstance(record, TapedRun):
        return ["run", asdict(record)]
    fields = dict(record.fields)
    for name, value in fields.items():
        if isinstance(value, Content):
            fields[name] = [value.text, *[_pack_part(part, store_blob) for part in value.parts]]
    return ["event", record.at_ns, record.lane, record.connection, record.kind, fields]


def pack_speech(
    at_ns: int, lane: Lane, connection: str, framing: bytes, fingerprint: SpeechFingerprint
) -> list[Any]:
    """Return the record of a received frame as a list of plain values. The frame is `framing` (too short to
    be stored as a blob) and then speech that has this fingerprint. `pack_record` returns the same list for
    the same frame, but more slowly."""
    packed_frame = [False, framing, _pack_fingerprint(fingerprint)]
    return ["event", at_ns, lane, connection, "Received", {"raw": packed_frame}]


def _pack_fingerprint(fingerprint: SpeechFingerprint) -> dict[str, Any]:
    """Return the fingerprint of removed speech as a MessagePack value."""
    return {"length": fingerprint.length, "hash": fingerprint.digest, "levels": fingerprint.levels}


def unpack_record(values: Any, blobs: BlobWindow) -> Record:
    """Return the record of a tape (the head of a run, or an event) that these values from MessagePack stand
    for. `blobs` are the long bytes to which records refer by number. Raises MalformedError if no writer could
    have written the values, and KeyError if a blob is missing."""
    if type(values) is list and tuple(map(type, values)) == _TYPES_IN_EVENT and values[0] == "event":
        _, at_ns, lane, connection, kind, fields = values
        if lane in _LANE_BY_NAME:
            if len(connection) > _LONGEST_NAME or len(kind) > _LONGEST_NAME:
                raise MalformedError("a name is too long")
            unpacked_fields = {name: _unpack_field(value, blobs) for name, value in fields.items()}
            return TapedEvent(at_ns, _LANE_BY_NAME[lane], connection, kind, unpacked_fields)
    match values:
        case ["run", dict(fields)]:
            return _unpack_run(fields)
        case _:
            raise MalformedError("a record is neither a run nor an event")


def _unpack_run(fields: Mapping[Any, Any]) -> TapedRun:
    """Return the head of a run on a tape, from its unpacked fields; `halves` says which connections of the
    relay were recorded (upstream, downstream or both). Raises MalformedError if a field is unknown, missing
    or wrong."""
    run = TapedRun(**_check_fields(fields, _TYPES_OF_RUN_FIELDS, required_name="subject"))
    if run.subject not in _SUBJECTS:
        raise MalformedError(f"a run of the subject {run.subject[:50]!r}")
    if run.halves not in _HALVES:
        raise MalformedError(f"a run with the halves {run.halves[:50]!r}")
    return run


def unpack_body(body: bytes | memoryview) -> Any:
    """Return the value that the body of a tape's section holds as MessagePack, such as a list of records.
    Raises MalformedError if the body is no MessagePack, or is nested too deeply."""
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


def _check_fields(
    values: Mapping[Any, Any], types_by_name: Mapping[str, Any], required_name: str
) -> dict[str, Any]:
    """Check the fields of an unpacked record of a tape, and return them as a dict. `types_by_name` has the
    allowed type or types of each field. Raises MalformedError if a field is unknown or has another type, or
    if the field `required_name` is missing."""
    for name, value in values.items():
        if name not in types_by_name:
            raise MalformedError(f"the field {str(name)[:50]!r} is not known")
        if not isinstance(value, types_by_name[name]) or isinstance(value, bool):
            raise MalformedError(f"the field {name!r} is a {type(value).__name__}")
    if required_name not in values:
        raise MalformedError(f"the field {required_name!r} is missing")
    return dict(values)


def _pack_part(part: ContentPart, store_blob: Callable[[bytes], int]) -> Any:
    """Return one part of a taped frame as a value for MessagePack. Long bytes are stored as a blob, and the
    value is the blob's number. A list around the value says that the frame holds the bytes in base64."""
    if isinstance(part, TapedPiece):
        if isinstance(part.content, SpeechFingerprint):
            packed: Any = _pack_fingerprint(part.content)
        elif len(part.content) < SMALLEST_BLOB:
            return b64encode(part.content).decode() if part.base64 else part.content
        else:
            packed = store_blob(part.content)
        return [packed] if part.base64 else packed
    raw = part.encode() if isinstance(part, str) else part
    return store_blob(raw) if len(raw) >= _SMALLEST_FRAMING_BLOB else part


def _unpack_field(value: Any, blobs: BlobWindow) -> Any:
    """Return one field of a taped event from its MessagePack value. A plain value stays as it is. A list is
    the content of a frame: whether the frame is a text, and its parts. Raises MalformedError for any other
    value."""
    if type(value) in _PLAIN_TYPES:
        return value
    if type(value) is list and value and type(value[0]) is bool and len(value) <= MAX_PARTS + 1:
        is_text, *parts = value
        return Content(is_text, tuple([_unpack_part(part, is_text, blobs) for part in parts]))
    raise MalformedError(f"a field is a {type(value).__name__}")


def _unpack_part(part: Any, is_text: bool, blobs: BlobWindow) -> ContentPart:
    """Return one part of a taped frame from its MessagePack value; `is_text`: the frame is a text. Plain text
    or bytes stay as they are. A number is the number of a blob, whose bytes are this part. A list of one
    value stands for bytes that the frame holds in base64. Raises MalformedError if the value stands for no
    part, and KeyError if a blob is missing."""
    part_type = type(part)
    if part_type is (str if is_text else bytes):
        return part  # type: ignore[no-any-return]
    if part_type is int:
        return TapedPiece(blobs[part])
    if part_type is list and is_text and len(part) == 1:
        return TapedPiece(_unpack_blob_or_speech(part[0], blobs), base64=True)
    return TapedPiece(_unpack_blob_or_speech(part, blobs))


def _unpack_blob_or_speech(value: Any, blobs: BlobWindow) -> bytes | SpeechFingerprint:
    """Return what a MessagePack value in a taped frame stands for. A number is the number of a blob: return
    its bytes. A dict is the fingerprint of speech that was taken out: return the fingerprint. Raises
    MalformedError for any other value, and KeyError if the tape has no such blob."""
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
            return SpeechFingerprint(length, digest, levels)
        case _:
            raise MalformedError("a part of a frame is neither bytes, text, a blob nor speech")
