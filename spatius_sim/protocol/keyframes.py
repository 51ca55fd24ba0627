"""Keyframes as one NumPy array: float32, shape (n, 120), columns named by FIELDS.

An encoded Flame has 495 bytes, always in the same layout (recording), so a payload is read as one strided
view. A payload in another layout goes through protobuf's own objects, with the same result.
"""

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.errors import RemoteProtocolError

Keyframes = NDArray[np.float32]

MAX_KEYFRAMES = 10_000
"""The most keyframes of a payload: five times as many as fit the largest message. More can only be empty
keyframes of two bytes each, which would fill the memory."""

WIDTH = 120
TRANSLATION = slice(0, 3)
ROTATION = slice(3, 6)
NECK_POSE = slice(6, 9)
JAW_POSE = slice(9, 12)
EYE_POSE = slice(12, 18)
EYE_LID = slice(18, 20)
EXPRESSION = slice(20, 120)

FIELDS: dict[str, slice] = {
    "translation": TRANSLATION,
    "rotation": ROTATION,
    "neck_pose": NECK_POSE,
    "jaw_pose": JAW_POSE,
    "eye_pose": EYE_POSE,
    "eye_lid": EYE_LID,
    "expression": EXPRESSION,
}
"""The seven fields of a Flame in wire order, as column ranges (protocol.md section 2)."""


_FLOAT_BYTES = 4
_LONGEST_ONE_BYTE_LENGTH = 127
"""Protobuf writes a length up to this in one byte, and a longer one in two."""


def _make_keyframe_layout() -> np.dtype[Any]:
    """Return the usual layout of an encoded keyframe as a NumPy record type, by which many keyframes are
    decoded at once. It has the seven fields; before the keyframe and before each field it has a part
    `..._head`, which holds a protobuf tag and a length."""
    parts: list[tuple[str, str, int]] = [("keyframe_head", "u1", 3)]
    for field_name, columns in FIELDS.items():
        float_count = columns.stop - columns.start
        head_bytes = 3 if float_count * _FLOAT_BYTES > _LONGEST_ONE_BYTE_LENGTH else 2
        parts.append((f"{field_name}_head", "u1", head_bytes))
        parts.append((field_name, "<f4", float_count))
    return np.dtype(parts)


_LAYOUT = _make_keyframe_layout()
KEYFRAME_BYTES = _LAYOUT.itemsize
"""The bytes of one keyframe in a payload: a Flame of 495 bytes, its tag and its length (recording)."""


def _encode_slowly(keyframes: Keyframes) -> bytes:
    """Return these keyframes as the bytes of an encoded Motion, made with protobuf's own objects. This is
    slow, but needs no fixed layout."""
    motion = wire.Motion()
    for row in keyframes:
        keyframe = motion.keyframes.add()
        for field_name, columns in FIELDS.items():
            getattr(keyframe, field_name).extend(row[columns].tolist())
    return motion.SerializeToString()


_ZERO_KEYFRAME = _encode_slowly(np.zeros((1, WIDTH), np.float32))
"""One encoded keyframe of zeros: its tags and lengths are those of every keyframe in the usual layout."""


def _find_head_positions() -> NDArray[np.intp]:
    """Return the positions of those bytes in an encoded keyframe that are protobuf tags or lengths. They are
    the same in all keyframes of the usual layout."""
    is_head = np.zeros(1, _LAYOUT)
    for part in _LAYOUT.names or ():
        if part.endswith("_head"):
            is_head[part] = 1
    # The bytes of the values have stayed 0.
    return np.flatnonzero(is_head.view(np.uint8))


_HEAD_POSITIONS = _find_head_positions()
_HEADS = np.frombuffer(_ZERO_KEYFRAME, np.uint8)[_HEAD_POSITIONS]


def encode_keyframes(keyframes: Keyframes) -> bytes:
    """Return keyframes, an array of shape (n, 120), as the bytes of one encoded Motion. Raises ValueError for
    an array of another shape."""
    if keyframes.ndim != 2 or keyframes.shape[1] != WIDTH:
        raise ValueError(f"keyframes have shape (n, {WIDTH}), not {keyframes.shape}")
    records = np.frombuffer(bytearray(_ZERO_KEYFRAME) * len(keyframes), _LAYOUT)
    for field_name, columns in FIELDS.items():
        records[field_name] = keyframes[:, columns]
    return records.tobytes()


def decode_keyframes(encoded: bytes) -> tuple[Keyframes, str]:
    """Return the keyframes of an encoded Motion, and a text that names the first field with a wrong number of
    values ("" if all numbers are right). A field that is too short is filled up with zeros; a field that is
    too long is cut.

    The array is read-only. Raises RemoteProtocolError for bytes that no protobuf parser accepts, and for more
    than MAX_KEYFRAMES keyframes."""
    keyframe_count, left_over_bytes = divmod(len(encoded), KEYFRAME_BYTES)
    if not left_over_bytes:
        rows = np.frombuffer(encoded, np.uint8).reshape(keyframe_count, KEYFRAME_BYTES)
        # All tags and lengths are compared at once: one part after the other would take ten times as long.
        if (rows[:, _HEAD_POSITIONS] == _HEADS).all():
            records = np.frombuffer(encoded, _LAYOUT)
            keyframes = np.empty((keyframe_count, WIDTH), np.float32)
            for field_name, columns in FIELDS.items():
                keyframes[:, columns] = records[field_name]
            keyframes.flags.writeable = False
            return keyframes, ""
    return _decode_slowly(encoded)


def _decode_slowly(encoded: bytes) -> tuple[Keyframes, str]:
    """Decode an encoded Motion that does not have the usual layout, with protobuf's own objects, which are
    slow. Return its keyframes, and a text that says which keyframe first has a field with too few or too many
    values ("" if none). Raises RemoteProtocolError if it cannot be decoded, or has more than MAX_KEYFRAMES
    keyframes."""
    motion = wire.Motion()
    try:
        motion.ParseFromString(encoded)
    except DecodeError as error:
        raise RemoteProtocolError(f"the motion is not decodable: {error}") from error
    if len(motion.keyframes) > MAX_KEYFRAMES:
        raise RemoteProtocolError(f"more than {MAX_KEYFRAMES} keyframes in one payload")
    keyframes = np.zeros((len(motion.keyframes), WIDTH), np.float32)
    shape_fault = ""
    for index, keyframe in enumerate(motion.keyframes):
        for field_name, columns in FIELDS.items():
            values = list(getattr(keyframe, field_name))
            expected_count = columns.stop - columns.start
            if len(values) != expected_count:
                shape_fault = (
                    shape_fault
                    or f"keyframe {index}: {field_name} has {len(values)} values instead of {expected_count}"
                )
            kept_values = values[:expected_count]
            keyframes[index, columns.start : columns.start + len(kept_values)] = kept_values
    keyframes.flags.writeable = False
    return keyframes, shape_fault
