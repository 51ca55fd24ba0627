"""Spoils messages of Motion Server on purpose. A message is an envelope as bytes; a function that does not
fit the message returns the message as it is."""

from dataclasses import replace

import numpy as np

from spatius_sim.model.scenario.seeded_numbers import seeded_bytes
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import ConfirmSession, MotionResponse, UnknownMessage
from spatius_sim.protocol.unknown_fields import add_field_to_envelope_and_content
from spatius_sim.trace.read_frames import read_upstream

_WIRE_TYPE_SEVEN = b"\x07"
"""No protobuf field has the wire type 7, so every parser refuses bytes that begin with it."""

_PADDING_TAG = b"\xfa\x7f"
"""Field 2047 of the envelope, length-delimited: no document names it."""

_LENGTH_BYTES = 5
_UNNAMED_TYPE = 6
"""The protocol names the types 1 to 5 and 7 of messages, and not this one."""


def make_garbage(count: int, seed: int, *draw_name: str | int) -> bytes:
    """Return `count` bytes that no protobuf parser accepts; the seed and `draw_name` decide which."""
    return _WIRE_TYPE_SEVEN + seeded_bytes(seed, count - 1, "garbage", *draw_name)


def make_wrong_type() -> bytes:
    """Return a well-formed envelope of a type that the protocol does not name."""
    return encode(UnknownMessage(_UNNAMED_TYPE))


def remove_keyframes(raw: bytes) -> bytes:
    """Spoil a motion message of Motion Server: return it without its keyframes; the ids and the end mark
    stay. `raw` is the encoded message. Any other message is returned unchanged."""
    message = read_upstream(raw)
    if not isinstance(message, MotionResponse):
        return raw
    return encode(replace(message, keyframes=np.empty((0, WIDTH), np.float32)))


def replace_req_id(raw: bytes, req_id: str) -> bytes:
    """Spoil a motion message of Motion Server: return it with another req_id. `raw` is the encoded message.
    Any other message is returned unchanged."""
    message = read_upstream(raw)
    return encode(replace(message, req_id=req_id)) if isinstance(message, MotionResponse) else raw


def replace_connection_id(raw: bytes, connection_id: str) -> bytes:
    """Spoil a motion message or a confirmation of Motion Server: return it with another connection_id. `raw`
    is the encoded message. Any other message is returned unchanged."""
    message = read_upstream(raw)
    if isinstance(message, MotionResponse | ConfirmSession):
        return encode(replace(message, connection_id=connection_id))
    return raw


def grow_message(raw: bytes, size: int) -> bytes:
    """Spoil a message of Motion Server, as a scenario asks: return it made `size` bytes long by an unknown
    protobuf field. `raw` is the encoded message. If it is too long for such a field, it is returned
    unchanged."""
    padding_bytes = size - len(raw) - len(_PADDING_TAG) - _LENGTH_BYTES
    if padding_bytes < 0:
        return raw
    # A varint, 7 bits in each byte, always written with 5 bytes: so every size can be met exactly.
    encoded_length = bytes((padding_bytes >> 7 * index & 0x7F) | 0x80 for index in range(_LENGTH_BYTES - 1))
    encoded_length += bytes([padding_bytes >> 7 * (_LENGTH_BYTES - 1)])
    return raw + _PADDING_TAG + encoded_length + bytes(padding_bytes)


def add_unknown_fields(raw: bytes) -> bytes:
    """Spoil a message of Motion Server by protobuf fields that no document names: return the message with one
    in the envelope, and one in the response or confirmation inside the envelope."""
    return add_field_to_envelope_and_content(raw, _PADDING_TAG + b"\x03new")
