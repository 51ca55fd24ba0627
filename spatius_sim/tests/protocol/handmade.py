"""Protobuf by hand, so that a test can say which bytes it means without our generated module."""

import struct
from collections.abc import Iterable


def varint(value: int) -> bytes:
    """A base-128 varint."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def number(field: int, value: int) -> bytes:
    """A field of a varint type: int32, uint32, bool or enum."""
    return varint(field << 3) + varint(value)


def chunk(field: int, *parts: bytes) -> bytes:
    """A field with a length: string, bytes, sub-message or packed numbers."""
    content = b"".join(parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


def packed(field: int, floats: Iterable[float]) -> bytes:
    """Repeated floats as proto3 writes them: one length for all."""
    return chunk(field, *(struct.pack("<f", value) for value in floats))


def unpacked(field: int, floats: Iterable[float]) -> bytes:
    """Repeated floats as proto2 wrote them: a tag before each."""
    return b"".join(varint(field << 3 | 5) + struct.pack("<f", value) for value in floats)


UNKNOWN_FIELDS = {
    "varint": number(1000, 300),
    "fixed64": varint(1000 << 3 | 1) + bytes(8),
    "bytes": chunk(1000, b"from a newer server"),
    "fixed32": varint(1000 << 3 | 5) + bytes(4),
}
"""A field that no message of ours has, once in each wire type."""
