"""The forms of a declared wire's messages: a frame becomes a document of named values, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

import msgpack

from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_reading import MOST_VALUES, NotUnderstoodError, parsed

Document = dict[str, Any]

INTEGERS: Mapping[str, tuple[int, Literal["big", "little"]]] = {
    "u8": (1, "big"),
    "u16be": (2, "big"),
    "u16le": (2, "little"),
    "u32be": (4, "big"),
    "u32le": (4, "little"),
}
"""Unsigned integers of a binary layout: how many bytes, in which order."""


class OtherFrameError(NotUnderstoodError):
    """A text frame where the form is binary, or the other way round."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(
            f"no message of this wire is a {'text' if isinstance(frame, str) else 'binary'} frame"
        )


class Form(Protocol):
    """How a document stands in a frame. `raw`: binary stands in it as it is, and not as base64."""

    @property
    def raw(self) -> bool:
        """Whether binary is written as it is."""

    def decode(self, frame: Frame) -> Document:
        """The document in a frame; raises NotUnderstoodError."""

    def encode(self, document: Document) -> Frame:
        """The frame that holds a document."""


@dataclass(frozen=True, slots=True)
class JsonForm:
    """A JSON object in a text frame, or in a `binary` one."""

    binary: bool = False
    raw: bool = False

    def decode(self, frame: Frame) -> Document:
        """The object."""
        if isinstance(frame, bytes) != self.binary:
            raise OtherFrameError(frame)
        return parsed(frame)

    def encode(self, document: Document) -> Frame:
        """The object as JSON."""
        text = json.dumps(document)
        return text.encode() if self.binary else text


class MessagePackForm:
    """A MessagePack map with text keys in a binary frame."""

    raw = True

    def decode(self, frame: Frame) -> Document:
        """The map."""
        if isinstance(frame, str):
            raise OtherFrameError(frame)
        values = 0

        def counted(inner: Sequence[Any] | Document) -> Any:
            nonlocal values
            values += len(inner)
            if values > MOST_VALUES:
                raise ValueError(f"more than {MOST_VALUES} values")
            return inner

        try:
            document = msgpack.unpackb(
                frame, list_hook=counted, object_hook=counted, max_ext_len=0, max_array_len=MOST_VALUES
            )
        except (ValueError, RecursionError, msgpack.UnpackException) as error:
            raise NotUnderstoodError(f"not MessagePack: {error or type(error).__name__}") from error
        if not isinstance(document, dict):
            raise NotUnderstoodError("not a MessagePack map")
        return document

    def encode(self, document: Document) -> Frame:
        """The map as MessagePack."""
        packed: bytes = msgpack.packb(document)
        return packed


@dataclass(frozen=True, slots=True)
class Fixed:
    """Bytes that are always the same."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Flags:
    """A byte of flags, of which this bit marks the last (0: none does)."""

    last: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """So many bytes without a meaning: zero when they are written."""

    size: int


@dataclass(frozen=True, slots=True)
class TurnNumber:
    """The turn, as a number of this type."""

    integer: str


@dataclass(frozen=True, slots=True)
class Body:
    """`pcm`, a `payload`, or `json`: behind its length of this type, or else all that is left."""

    name: str
    length: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """Payloads behind their count, each behind its length, to the end of the frame."""

    count: str
    length: str


LayoutPart = Fixed | Flags | Skip | TurnNumber | Body | Counted


@dataclass(frozen=True, slots=True)
class Layout:
    """Bytes behind each other, in a binary frame. A document of it has `last`, `turn`, `pcm`, `payload`,
    `payloads` and `json`, as far as it has these parts."""

    parts: tuple[LayoutPart, ...]
    raw: bool = True

    @property
    def gives(self) -> frozenset[str]:
        """The names in its documents."""
        names = set()
        for part in self.parts:
            match part:
                case Flags(last) if last:
                    names.add("last")
                case TurnNumber():
                    names.add("turn")
                case Body(name):
                    names.add(name)
                case Counted():
                    names.add("payloads")
        return frozenset(names)

    def decode(self, frame: Frame) -> Document:
        """The document that stands in these bytes."""
        if isinstance(frame, str):
            raise OtherFrameError(frame)
        cut = _Cutter(frame)
        document: Document = {}
        for part in self.parts:
            match part:
                case Fixed(value):
                    found = cut.take(len(value))
                    if found != value:
                        raise NotUnderstoodError(f"{found.hex(' ')} where {value.hex(' ')} is expected")
                case Flags(last):
                    document["last"] = bool(cut.take(1)[0] & last)
                case Skip(size):
                    cut.take(size)
                case TurnNumber(integer):
                    document["turn"] = cut.integer(integer)
                case Body(name, length):
                    body = cut.take(cut.integer(length)) if length else cut.rest()
                    document[name] = parsed(body) if name == "json" else body
                case Counted(count, length):
                    number = cut.integer(count)
                    if number > MOST_VALUES:
                        raise NotUnderstoodError(f"{number} payloads are announced")
                    document["payloads"] = [cut.take(cut.integer(length)) for _ in range(number)]
                case _:
                    assert_never(part)
        cut.end()
        return document

    def encode(self, document: Document) -> Frame:
        """The bytes that say what is in the document."""
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
                    written += _integer(int(text) if text.isdecimal() else 0, integer)
                case Body(name, length):
                    value = document.get(name, {} if name == "json" else b"")
                    body = json.dumps(value).encode() if name == "json" else bytes(value)
                    written += (_integer(len(body), length) if length else b"") + body
                case Counted(count, length):
                    payloads = document.get("payloads", [])
                    written += _integer(len(payloads), count)
                    written += b"".join(_integer(len(payload), length) + payload for payload in payloads)
                case _:
                    assert_never(part)
        return written


class _Cutter:
    def __init__(self, frame: bytes) -> None:
        self._frame, self._place = frame, 0

    def take(self, size: int) -> bytes:
        start, self._place = self._place, self._place + size
        if self._place > len(self._frame):
            raise NotUnderstoodError(f"it breaks off: {size} bytes are announced at byte {start}")
        return self._frame[start : self._place]

    def integer(self, integer: str) -> int:
        size, order = INTEGERS[integer]
        return int.from_bytes(self.take(size), order)

    def rest(self) -> bytes:
        return self.take(len(self._frame) - self._place)

    def end(self) -> None:
        left = len(self._frame) - self._place
        if left:
            raise NotUnderstoodError(f"{left} bytes are left over")


def _integer(value: int, integer: str) -> bytes:
    size, order = INTEGERS[integer]
    largest: int = 256**size - 1
    return min(value, largest).to_bytes(size, order)
