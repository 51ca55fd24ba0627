"""Reads JSON for the wires: everything doubtful raises a NotUnderstoodError with its reason."""

import json
from base64 import b64decode, b64encode
from typing import Any

from spatius_sim.wires.events import Frame

MOST_VALUES = 1_000_000
"""The most values of one document: each takes far more memory than its text."""


class NotUnderstoodError(Exception):
    """The wire does not know a frame; the text says why."""


def json_object(frame: Frame, wire: str) -> dict[str, Any]:
    """Read the object in a text frame; raises NotUnderstoodError."""
    if isinstance(frame, bytes):
        raise NotUnderstoodError(f"a binary frame; {wire} has text frames only")
    return parse_json(frame)


def parse_json(text: Frame) -> dict[str, Any]:
    """Read the object in a JSON text of at most MOST_VALUES values; raises NotUnderstoodError."""
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
    """Write binary as base64."""
    return b64encode(binary).decode("ascii")


def base64_bytes(value: object, field: str) -> bytes:
    """Read the binary in a base64 text; raises NotUnderstoodError. `field` names it in the reason."""
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{field} is not base64 text")
    try:
        return b64decode(value, validate=True)
    except ValueError as error:
        raise NotUnderstoodError(f"{field} is not base64: {error}") from error


def flag(message: dict[str, Any], field: str) -> bool:
    """Read a field that is true or false; false if it is missing."""
    value = message.get(field, False)
    if not isinstance(value, bool):
        raise NotUnderstoodError(f"{field} is neither true nor false")
    return value


def optional_text(message: dict[str, Any], field: str) -> str:
    """Read a text; "" if it is missing or null."""
    value = message.get(field, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{field} is not a text")
    return value


def rate(value: object) -> int:
    """Read a sample rate in Hz; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
