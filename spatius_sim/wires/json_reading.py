"""What the wires share in reading JSON: every doubt is a NotUnderstoodError with its reason."""

import json
from base64 import b64decode, b64encode
from typing import Any

from spatius_sim.wires.events import Frame

MOST_VALUES = 1_000_000


class NotUnderstoodError(Exception):
    """A frame that the wire does not know, and why."""


def json_object(frame: Frame, wire: str) -> dict[str, Any]:
    """The object in a text frame."""
    if isinstance(frame, bytes):
        raise NotUnderstoodError(f"a binary frame; {wire} has text frames only")
    return parsed(frame)


def parsed(text: Frame) -> dict[str, Any]:
    """The object in a JSON text of at most MOST_VALUES values, for each takes far more memory than text."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        if len(text) > MOST_VALUES and sum(map(text.count, "[{,")) > MOST_VALUES:
            raise NotUnderstoodError(f"JSON of more than {MOST_VALUES} values")
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstoodError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotUnderstoodError("not a JSON object")
    return value


def base64_text(binary: bytes) -> str:
    """Binary as base64."""
    return b64encode(binary).decode("ascii")


def base64_bytes(value: object, field: str) -> bytes:
    """The binary in a base64 text."""
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{field} is not base64 text")
    try:
        return b64decode(value, validate=True)
    except ValueError as error:
        raise NotUnderstoodError(f"{field} is not base64: {error}") from error


def flag(message: dict[str, Any], field: str) -> bool:
    """A field that is true or false; false where it is missing."""
    value = message.get(field, False)
    if not isinstance(value, bool):
        raise NotUnderstoodError(f"{field} is neither true nor false")
    return value


def optional_text(message: dict[str, Any], field: str) -> str:
    """A text; "" where it is missing or null."""
    value = message.get(field, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{field} is not a text")
    return value


def rate(value: object) -> int:
    """A sample rate in Hz; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
