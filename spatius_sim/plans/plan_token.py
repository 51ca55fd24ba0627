"""Writes a plan as one word and reads it back, so that a command can name the plan of a failure exactly."""

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.plan import Plan
from spatius_sim.plans.room_plan import RoomPlan
from spatius_sim.protocol.errors import UsageError

_CHARACTERS_SHOWN = 40
_MAX_BYTES = 1_048_576
"""The largest JSON text that is read from a word."""
_KINDS: dict[str, type[Plan | ClientPlan | RoomPlan]] = {"client": ClientPlan, "room": RoomPlan}
"""The kind of plan of each kind of subject that has its own."""

_TYPE, _NAME = "", "="
"""The keys of the class of a value, and of the member of an enum."""


def token_of(plan: Plan | ClientPlan | RoomPlan) -> str:
    """Return the plan as a token: one word of letters, digits, `-` and `_`."""
    text = json.dumps(_to_json(plan), separators=(",", ":")).encode()
    return urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")


def plan_of(token: str, subject: str) -> Plan | ClientPlan | RoomPlan:
    """Return the plan that is packed into this token, a word that `token_of` made. Raises UsageError if the
    token holds no plan for this kind of subject."""
    kind = _KINDS.get(subject, Plan)
    try:
        compressed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        text = zlib.decompressobj().decompress(compressed, _MAX_BYTES)
        plan = _plan_from_json(json.loads(text))
        if not isinstance(plan, kind) or _to_json(plan) != json.loads(text):
            raise ValueError("another kind of plan")
        str(plan)
    except (Base64Error, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        shown = repr(token[:_CHARACTERS_SHOWN])
        raise UsageError(
            f"--plan {shown} names no scenario for a {subject}: copy it from the report of a failure"
        ) from error
    return plan


def _to_json(value: Any) -> Any:
    """Return a plan, or a part of a plan, as JSON values for its token, without the fields that have their
    default."""
    if isinstance(value, Enum):
        return {_TYPE: type(value).__name__, _NAME: value.name}  # A value may be words, which change.
    if is_dataclass(value):
        values = {field.name: getattr(value, field.name) for field in fields(value)}
        not_default = {
            field.name: _to_json(values[field.name])
            for field in fields(value)
            if values[field.name] != field.default or type(values[field.name]) is not type(field.default)
        }
        return {_TYPE: type(value).__name__, **not_default}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _plan_from_json(value: Any) -> Any:
    """Make the plan, or a part of it, again from the JSON values that its token holds. Raises KeyError,
    TypeError or ValueError if the values hold no plan."""
    if isinstance(value, list):
        return tuple(map(_plan_from_json, value))
    if not isinstance(value, dict):
        return value
    kind = _CLASSES[value[_TYPE]]
    if _NAME in value:
        return kind[value[_NAME]]
    return kind(**{name: _plan_from_json(item) for name, item in value.items() if name != _TYPE})


def _list_classes(hint: Any) -> Iterator[type[Any]]:
    """Yield the dataclasses and enums that a plan of this type may contain, and so a token may name."""
    for argument in get_args(hint):
        yield from _list_classes(argument)
    if isinstance(hint, type) and issubclass(hint, Enum):
        yield hint
    elif isinstance(hint, type) and is_dataclass(hint):
        yield hint
        for inner in get_type_hints(hint).values():
            yield from _list_classes(inner)
        for field in fields(hint):
            yield from _list_classes(type(field.default))


_CLASSES = {kind.__name__: kind for root in (Plan, *_KINDS.values()) for kind in _list_classes(root)}
