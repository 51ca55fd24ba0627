"""Spoils payloads on purpose. A payload is an envelope as bytes; what is not to be spoilt stays as it is."""

from dataclasses import replace

import numpy as np

from spatius_sim.model.scenario.dice import noise
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import ConfirmSession, MotionResponse, UnknownMessage
from spatius_sim.trace.reading import read_upstream

_WIRE_TYPE_SEVEN = b"\x07"
"""No protobuf field has the wire type 7: what begins with it is refused by every parser."""

_PADDING_TAG = b"\xfa\x7f"
"""Field 2047 of the envelope, length-delimited: no document names it."""

_LENGTH_BYTES = 5
_CONFIRM_FIELD, _MOTION_FIELD = 3, 6


def garbage(count: int, seed: int, *drawn: str | int) -> bytes:
    """Return `count` bytes that no protobuf parser accepts."""
    return _WIRE_TYPE_SEVEN + noise(seed, count - 1, "garbage", *drawn)


def wrong_type() -> bytes:
    """Return a well-formed envelope of a type that the protocol does not name."""
    return encode(UnknownMessage(6))


def without_keyframes(raw: bytes) -> bytes:
    """Return the response without its keyframes; its ids and its end mark stay."""
    message = read_upstream(raw)
    if not isinstance(message, MotionResponse):
        return raw
    return encode(replace(message, keyframes=np.empty((0, WIDTH), np.float32)))


def with_req_id(raw: bytes, req_id: str) -> bytes:
    """Return the response under another req_id."""
    message = read_upstream(raw)
    return encode(replace(message, req_id=req_id)) if isinstance(message, MotionResponse) else raw


def with_connection_id(raw: bytes, connection_id: str) -> bytes:
    """Return the response, or the confirmation, with another connection_id."""
    message = read_upstream(raw)
    if isinstance(message, MotionResponse | ConfirmSession):
        return encode(replace(message, connection_id=connection_id))
    return raw


def grown_to(raw: bytes, size: int) -> bytes:
    """Grow the message to `size` bytes with an unknown field; a message that is no smaller stays as it is."""
    padding = size - len(raw) - len(_PADDING_TAG) - _LENGTH_BYTES
    if padding < 0:
        return raw
    # A length may be written longer than need be, so that every size can be met exactly.
    length = bytes((padding >> 7 * i & 0x7F) | 0x80 for i in range(_LENGTH_BYTES - 1))
    length += bytes([padding >> 7 * (_LENGTH_BYTES - 1)])
    return raw + _PADDING_TAG + length + bytes(padding)


def with_unknown_fields(raw: bytes) -> bytes:
    """Return the message with fields that no document names, on the envelope and inside its message."""
    unknown = _PADDING_TAG + b"\x03new"
    message = read_upstream(raw)
    field = _MOTION_FIELD if isinstance(message, MotionResponse) else _CONFIRM_FIELD
    # A second part of the same field is merged into the first by every parser.
    inside = bytes([field << 3 | 2, len(unknown)]) + unknown
    return raw + inside + unknown
