"""The forms of a declared wire's messages: each turns a frame into a document of named values, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

import msgpack

from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_fields import MAX_VALUES, NotUnderstoodError, parse_json

Document = dict[str, Any]

INTEGER_TYPES: Mapping[str, tuple[int, Literal["big", "little"]]] = {
    "u8": (1, "big"),
    "u16be": (2, "big"),
    "u16le": (2, "little"),
    "u32be": (4, "big"),
    "u32le": (4, "little"),
}
"""The unsigned integers of a binary layout, each with its number of bytes and their order."""


class OtherFrameError(NotUnderstoodError):
    """The frame is a text though the form is binary, or the other way round."""

    def __init__(self, frame: Frame) -> None:
        """Make the error for a text frame in a wire that has only binary frames, or the other way round."""
        super().__init__(
            f"no message of this wire is a {'text' if isinstance(frame, str) else 'binary'} frame"
        )


class Form(Protocol):
    """How a document is written in a frame."""

    @property
    def takes_bytes(self) -> bool:
        """Whether bytes in a document are written as they are, and not as base64 texts."""

    def decode(self, frame: Frame) -> Document:
        """Return the document in a frame; raises NotUnderstoodError if the frame does not have this form."""

    def encode(self, document: Document) -> Frame:
        """Return a document as a frame."""


@dataclass(frozen=True, slots=True)
class JsonForm:
    """A JSON object in a text frame or, if `binary`, in a binary frame."""

    binary: bool = False
    takes_bytes: bool = False

    def decode(self, frame: Frame) -> Document:
        """Return the JSON object in a frame. Raises OtherFrameError if the frame is a text though this form
        is binary, or the other way round. Raises NotUnderstoodError if the frame holds no JSON object."""
        if isinstance(frame, bytes) != self.binary:
            raise OtherFrameError(frame)
        return parse_json(frame)

    def encode(self, document: Document) -> Frame:
        """Return the document as a JSON frame."""
        text = json.dumps(document)
        return text.encode() if self.binary else text


class MessagePackForm:
    """A MessagePack map with text keys in a binary frame."""

    takes_bytes = True

    def decode(self, frame: Frame) -> Document:
        """Return the MessagePack map in a binary frame. Raises NotUnderstoodError if there is none, or if the
        frame has more than MAX_VALUES values."""
        if isinstance(frame, str):
            raise OtherFrameError(frame)
        value_count = 0

        def count_values(list_or_map: Sequence[Any] | Document) -> Any:
            """Count the values of a list or map inside the MessagePack form of a message, and return the list
            or map unchanged. Raises ValueError if the frame has more than MAX_VALUES values in all, because
            values take far more memory than their frame."""
            nonlocal value_count
            value_count += len(list_or_map)
            if value_count > MAX_VALUES:
                raise ValueError(f"more than {MAX_VALUES} values")
            return list_or_map

        try:
            document = msgpack.unpackb(
                frame,
                list_hook=count_values,
                object_hook=count_values,
                max_ext_len=0,
                max_array_len=MAX_VALUES,
            )
        except (ValueError, RecursionError, msgpack.UnpackException) as error:
            raise NotUnderstoodError(f"not MessagePack: {error or type(error).__name__}") from error
        if not isinstance(document, dict):
            raise NotUnderstoodError("not a MessagePack map")
        return document

    def encode(self, document: Document) -> Frame:
        """Return the document as a MessagePack frame."""
        packed: bytes = msgpack.packb(document)
        return packed


@dataclass(frozen=True, slots=True)
class Fixed:
    """Bytes that are always the same."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Flags:
    """A byte of flags. `last` is the bit that marks the last message; 0 if no bit marks it."""

    last: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """`size` bytes without a meaning, which are written as zeros."""

    size: int


@dataclass(frozen=True, slots=True)
class TurnNumber:
    """The turn, as a number of this type."""

    integer: str


@dataclass(frozen=True, slots=True)
class Body:
    """The content of a message: `name` is `pcm`, `payload` or `json`. Before it stands its length, an integer
    of the type `length`. If `length` is "", the content is the rest of the frame."""

    name: str
    length: str = ""


@dataclass(frozen=True, slots=True)
class CountedPayloads:
    """Payloads to the end of the frame: first their count, then each one after its length."""

    count: str
    length: str


LayoutPart = Fixed | Flags | Skip | TurnNumber | Body | CountedPayloads


@dataclass(frozen=True, slots=True)
class Layout:
    """Parts one after the other in a binary frame. Its document has `last`, `turn`, `pcm`, `payload`,
    `payloads` and `json`, as far as the layout has these parts."""

    parts: tuple[LayoutPart, ...]
    takes_bytes: bool = True

    @property
    def value_names(self) -> frozenset[str]:
        """The names of the values in a document of this layout, such as `turn` and `payloads`. Each part of
        the layout that holds a value adds its name."""
        names = set()
        for part in self.parts:
            match part:
                case Flags(last_bit) if last_bit:
                    names.add("last")
                case TurnNumber():
                    names.add("turn")
                case Body(name):
                    names.add(name)
                case CountedPayloads():
                    names.add("payloads")
        return frozenset(names)

    def decode(self, frame: Frame) -> Document:
        """Decode a binary frame part by part, and return a document with the value of each part. Raises
        NotUnderstoodError if the frame does not have this layout."""
        if isinstance(frame, str):
            raise OtherFrameError(frame)
        reader = _FrameReader(frame)
        document: Document = {}
        for part in self.parts:
            match part:
                case Fixed(expected):
                    actual = reader.take_bytes(len(expected))
                    if actual != expected:
                        raise NotUnderstoodError(f"{actual.hex(' ')} where {expected.hex(' ')} is expected")
                case Flags(last_bit):
                    flags = reader.take_bytes(1)[0]
                    document["last"] = bool(flags & last_bit)
                case Skip(size):
                    reader.take_bytes(size)
                case TurnNumber(integer_type):
                    document["turn"] = reader.take_integer(integer_type)
                case Body(name, length_type):
                    body_size = reader.take_integer(length_type) if length_type else reader.count_remaining()
                    body = reader.take_bytes(body_size)
                    document[name] = parse_json(body) if name == "json" else body
                case CountedPayloads(count_type, length_type):
                    payload_count = reader.take_integer(count_type)
                    if payload_count > MAX_VALUES:
                        raise NotUnderstoodError(f"{payload_count} payloads are announced")
                    document["payloads"] = [
                        reader.take_bytes(reader.take_integer(length_type)) for _ in range(payload_count)
                    ]
                case _:
                    assert_never(part)
        reader.require_end()
        return document

    def encode(self, document: Document) -> Frame:
        """Encode a document as a binary frame of this layout, part by part. A value that is missing is
        written as 0, as no bytes, or as {}."""
        frame = b""
        for part in self.parts:
            match part:
                case Fixed(value):
                    frame += value
                case Flags(last_bit):
                    frame += bytes([last_bit if document.get("last") else 0])
                case Skip(size):
                    frame += bytes(size)
                case TurnNumber(integer_type):
                    turn = str(document.get("turn", 0))
                    frame += _integer_bytes(int(turn) if turn.isdecimal() else 0, integer_type)
                case Body(name, length_type):
                    value = document.get(name, {} if name == "json" else b"")
                    body = json.dumps(value).encode() if name == "json" else bytes(value)
                    frame += (_integer_bytes(len(body), length_type) if length_type else b"") + body
                case CountedPayloads(count_type, length_type):
                    payloads = document.get("payloads", [])
                    frame += _integer_bytes(len(payloads), count_type)
                    frame += b"".join(
                        _integer_bytes(len(payload), length_type) + payload for payload in payloads
                    )
                case _:
                    assert_never(part)
        return frame


class _FrameReader:
    """Reads a frame piece by piece, from its beginning to its end. Raises NotUnderstoodError if the frame is
    too short or too long."""

    def __init__(self, frame: bytes) -> None:
        """Begin at the first byte of this binary frame."""
        self._frame, self._index = frame, 0

    def take_bytes(self, size: int) -> bytes:
        """Return the next `size` bytes of a binary frame, and move past them. Raises NotUnderstoodError if
        fewer bytes are left."""
        start, self._index = self._index, self._index + size
        if self._index > len(self._frame):
            raise NotUnderstoodError(f"the frame ends too early: {size} bytes are announced at byte {start}")
        return self._frame[start : self._index]

    def take_integer(self, integer_type: str) -> int:
        """Return the next integer of a binary frame, and move past it. `integer_type`, such as "u16be", is a
        key of INTEGER_TYPES. Raises NotUnderstoodError if too few bytes are left."""
        size, order = INTEGER_TYPES[integer_type]
        return int.from_bytes(self.take_bytes(size), order)

    def count_remaining(self) -> int:
        """Return how many bytes of the frame are not read yet."""
        return len(self._frame) - self._index

    def require_end(self) -> None:
        """Raise NotUnderstoodError if some bytes of the binary frame are not read yet."""
        remaining_count = self.count_remaining()
        if remaining_count:
            raise NotUnderstoodError(f"{remaining_count} bytes are left over")


def _integer_bytes(value: int, integer_type: str) -> bytes:
    """Return a number as the bytes of an unsigned integer in a binary form of a message. `integer_type`, such
    as "u16be", is a key of INTEGER_TYPES. A number that is too large for the type becomes the largest number
    of the type."""
    size, order = INTEGER_TYPES[integer_type]
    max_value: int = 256**size - 1
    return min(value, max_value).to_bytes(size, order)
