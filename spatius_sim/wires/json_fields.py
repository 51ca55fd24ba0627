"""Reads the JSON of the wires' frames: a value of a wrong kind raises NotUnderstoodError with the reason."""

import json
from base64 import b64decode, b64encode
from typing import Any

from spatius_sim.wires.events import Frame
from spatius_sim.wires.read_frames_once import MAX_REMEMBERED_FRAMES, MAX_REMEMBERED_LENGTH

MAX_VALUES = 1_000_000
"""The most values of one document. A decoded value takes far more memory than its text does."""


class NotUnderstoodError(Exception):
    """The wire cannot understand a frame; the text of the error says why."""


def json_object(frame: Frame, wire_name: str) -> dict[str, Any]:
    """Return the JSON object in a text frame. Raises NotUnderstoodError if the frame is binary, or holds no
    JSON object; `wire_name`, the name of the message format, is for the text of the error."""
    if isinstance(frame, bytes):
        raise NotUnderstoodError(f"a binary frame; {wire_name} has text frames only")
    return parse_json(frame)


def parse_json(text: Frame) -> dict[str, Any]:
    """Decode a JSON text of a frame, and return the object in it. Raises NotUnderstoodError if the text is
    not a JSON object, or if it may hold more than MAX_VALUES values."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        # Every item of a list and member of an object begins after one of these characters.
        if len(text) > MAX_VALUES and sum(map(text.count, "[{,")) > MAX_VALUES:
            raise NotUnderstoodError(f"JSON of more than {MAX_VALUES} values")
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstoodError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotUnderstoodError("not a JSON object")
    return value


_text_by_bytes: dict[bytes, str] = {}
_bytes_by_text: dict[str, bytes] = {}
"""What was written as base64 last. A relay hands on the speech that its client wrote, so the same bytes are
written twice and read twice."""


def base64_text(binary: bytes) -> str:
    """Return these bytes as base64 text. Texts that are not too long are remembered, the newest
    MAX_REMEMBERED_FRAMES, because a relay often encodes the same speech as its client did before."""
    text = _text_by_bytes.get(binary)
    if text is None:
        text = b64encode(binary).decode("ascii")
        if len(text) <= MAX_REMEMBERED_LENGTH:
            if len(_text_by_bytes) >= MAX_REMEMBERED_FRAMES:
                oldest_bytes = next(iter(_text_by_bytes))
                del _bytes_by_text[_text_by_bytes.pop(oldest_bytes)]
            _text_by_bytes[binary], _bytes_by_text[text] = text, binary
    return text


def base64_bytes(value: object, field: str) -> bytes:
    """Return the bytes in the base64 text `value`, a field of a JSON message. Texts that `base64_text`
    remembers are not decoded again. Raises NotUnderstoodError if `value` is None (missing or null), or no
    base64 text; `field` is the field's name, for the text of the error."""
    if value is None:
        raise NotUnderstoodError(f"{field} is missing or null")
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{field} is not base64 text")
    binary = _bytes_by_text.get(value)
    if binary is not None:
        return binary
    try:
        return b64decode(value, validate=True)
    except ValueError as error:
        raise NotUnderstoodError(f"{field} is not base64: {error}") from error


def optional_flag(message: dict[str, Any], field: str) -> bool:
    """Return a true-or-false field of a JSON message. Return False if the field is missing. Raises
    NotUnderstoodError for any other value."""
    value = message.get(field, False)
    if not isinstance(value, bool):
        raise NotUnderstoodError(f"{field} is neither true nor false")
    return value


def optional_text(message: dict[str, Any], field: str) -> str:
    """Return a text field of a JSON message. Return "" if the field is missing or null. Raises
    NotUnderstoodError for any other value."""
    value = message.get(field, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{field} is not text")
    return value


def read_rate(value: object) -> int:
    """Return a sample rate of a JSON message in Hz; 0 if `value` is not a positive integer."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
