"""The forms of a declared wire's messages: each turns a frame into a document of named values, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

import msgpack

from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_fields import MAX_VALUES, NotUnderstoodError, parse_json

Document = dict[str, Any]

INTEGERS: Mapping[str, tuple[int, Literal["big", "little"]]] = {
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
        """Make the error for a frame whose kind, text or binary, no message of the declared wire has."""
        super().__init__(
            f"no message of this wire is a {'text' if isinstance(frame, str) else 'binary'} frame"
        )


class Form(Protocol):
    """How a document is written in a frame."""

    @property
    def raw(self) -> bool:
        """Whether binary is written as it is, and not as base64."""

    def decode(self, frame: Frame) -> Document:
        """Return the document in a frame; raises NotUnderstoodError if the frame does not have this form."""

    def encode(self, document: Document) -> Frame:
        """Return a document as a frame."""


@dataclass(frozen=True, slots=True)
class JsonForm:
    """A JSON object in a text frame or, if `binary`, in a binary frame."""

    binary: bool = False
    raw: bool = False

    def decode(self, frame: Frame) -> Document:
        """Return the JSON object in a frame of a declared wire. Raises NotUnderstoodError if there is
        none."""
        if isinstance(frame, bytes) != self.binary:
            raise OtherFrameError(frame)
        return parse_json(frame)

    def encode(self, document: Document) -> Frame:
        """Return the document as a JSON frame."""
        text = json.dumps(document)
        return text.encode() if self.binary else text


class MessagePackForm:
    """A MessagePack map with text keys in a binary frame."""

    raw = True

    def decode(self, frame: Frame) -> Document:
        """Return the MessagePack map in a frame of a declared wire. Raises NotUnderstoodError if there is
        none, or if the frame has more than MAX_VALUES values."""
        if isinstance(frame, str):
            raise OtherFrameError(frame)
        value_count = 0

        def count_values(inner: Sequence[Any] | Document) -> Any:
            """Count the values of a list or map inside a message of a declared wire in MessagePack form, and
            return the list or map unchanged. Raises ValueError if the whole message has more than MAX_VALUES
            values."""
            nonlocal value_count
            value_count += len(inner)
            if value_count > MAX_VALUES:
                raise ValueError(f"more than {MAX_VALUES} values")
            return inner

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
    raw: bool = True

    @property
    def value_names(self) -> frozenset[str]:
        """The names of the values in a document that is read from a frame of this binary form, such as `turn`
        and `payloads`. The parts of the declared layout decide."""
        names = set()
        for part in self.parts:
            match part:
                case Flags(last) if last:
                    names.add("last")
                case TurnNumber():
                    names.add("turn")
                case Body(name):
                    names.add(name)
                case CountedPayloads():
                    names.add("payloads")
        return frozenset(names)

    def decode(self, frame: Frame) -> Document:
        """Return the document in a binary frame of this layout. Raises NotUnderstoodError if the frame does
        not have this layout."""
        if isinstance(frame, str):
            raise OtherFrameError(frame)
        reader = _ByteReader(frame)
        document: Document = {}
        for part in self.parts:
            match part:
                case Fixed(value):
                    actual = reader.take_bytes(len(value))
                    if actual != value:
                        raise NotUnderstoodError(f"{actual.hex(' ')} where {value.hex(' ')} is expected")
                case Flags(last):
                    flags = reader.take_bytes(1)[0]
                    document["last"] = bool(flags & last)
                case Skip(size):
                    reader.take_bytes(size)
                case TurnNumber(integer):
                    document["turn"] = reader.take_integer(integer)
                case Body(name, length):
                    body = reader.take_bytes(reader.take_integer(length)) if length else reader.take_rest()
                    document[name] = parse_json(body) if name == "json" else body
                case CountedPayloads(count, length):
                    number = reader.take_integer(count)
                    if number > MAX_VALUES:
                        raise NotUnderstoodError(f"{number} payloads are announced")
                    document["payloads"] = [
                        reader.take_bytes(reader.take_integer(length)) for _ in range(number)
                    ]
                case _:
                    assert_never(part)
        reader.require_end()
        return document

    def encode(self, document: Document) -> Frame:
        """Write the document of a declared message as a binary frame in this form, a layout of parts. A
        missing value is written as 0, as no bytes, or as {}."""
        written = b""
        for part in self.parts:
            match part:
                case Fixed(value):
                    written += value
                case Flags(last):
                    written += bytes([last if document.get("last") else 0])
                case Skip(size):
                    written += bytes(size)
                case TurnNumber(integer):
                    text = str(document.get("turn", 0))
                    written += _integer_bytes(int(text) if text.isdecimal() else 0, integer)
                case Body(name, length):
                    value = document.get(name, {} if name == "json" else b"")
                    body = json.dumps(value).encode() if name == "json" else bytes(value)
                    written += (_integer_bytes(len(body), length) if length else b"") + body
                case CountedPayloads(count, length):
                    payloads = document.get("payloads", [])
                    written += _integer_bytes(len(payloads), count)
                    written += b"".join(
                        _integer_bytes(len(payload), length) + payload for payload in payloads
                    )
                case _:
                    assert_never(part)
        return written


class _ByteReader:
    """Reads a frame piece by piece, from its beginning to its end. Raises NotUnderstoodError if the frame is
    too short or too long."""

    def __init__(self, frame: bytes) -> None:
        """Begin at the first byte of this binary frame."""
        self._frame, self._place = frame, 0

    def take_bytes(self, size: int) -> bytes:
        """Return the next `size` bytes of a message whose declared form is a layout of bytes, and move past
        them. Raises NotUnderstoodError if the frame has fewer bytes left."""
        start, self._place = self._place, self._place + size
        if self._place > len(self._frame):
            raise NotUnderstoodError(f"the frame ends too early: {size} bytes are announced at byte {start}")
        return self._frame[start : self._place]

    def take_integer(self, integer_type: str) -> int:
        """Return the next integer of a message in the form of a declared layout of bytes, and move past it.
        The type of the integer is a key of INTEGERS."""
        size, order = INTEGERS[integer_type]
        return int.from_bytes(self.take_bytes(size), order)

    def take_rest(self) -> bytes:
        """Return all bytes of the binary frame that are not read yet, and move to the end."""
        return self.take_bytes(len(self._frame) - self._place)

    def require_end(self) -> None:
        """Raise NotUnderstoodError if some bytes of the binary frame are not read yet."""
        remaining = len(self._frame) - self._place
        if remaining:
            raise NotUnderstoodError(f"{remaining} bytes are left over")


def _integer_bytes(value: int, integer_type: str) -> bytes:
    """Return a number as the bytes of an integer in a message of a binary form; the integer's type is a key
    of INTEGERS. A number that is too large becomes the largest of the type."""
    size, order = INTEGERS[integer_type]
    largest: int = 256**size - 1
    return min(value, largest).to_bytes(size, order)
