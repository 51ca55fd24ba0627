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


def plan_of(token: str, subject_kind: str) -> Plan | ClientPlan | RoomPlan:
    """Return the plan that is packed into this token, a word that `token_of` made. Raises UsageError if the
    token holds no plan, or a plan for another kind of subject than `subject_kind`."""
    plan_class = _KINDS.get(subject_kind, Plan)
    try:
        compressed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        text = zlib.decompressobj().decompress(compressed, _MAX_BYTES)
        plan = _plan_from_json(json.loads(text))
        if not isinstance(plan, plan_class) or _to_json(plan) != json.loads(text):
            raise ValueError("another kind of plan")
        str(plan)
    except (Base64Error, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        shown_token = repr(token[:_CHARACTERS_SHOWN])
        raise UsageError(
            f"--plan {shown_token} names no scenario for a {subject_kind}: "
            "copy it from the report of a failure"
        ) from error
    return plan


def _to_json(value: Any) -> Any:
    """Return a plan, or a part of it, as JSON values for its token. An enum member becomes its class and
    name; a dataclass becomes its class and those fields that do not have their default."""
    if isinstance(value, Enum):
        # A member's value may be words, which may be edited later; its name stays.
        return {_TYPE: type(value).__name__, _NAME: value.name}
    if is_dataclass(value):
        changed_fields = {}
        for field in fields(value):
            field_value = getattr(value, field.name)
            if field_value != field.default or type(field_value) is not type(field.default):
                changed_fields[field.name] = _to_json(field_value)
        return {_TYPE: type(value).__name__, **changed_fields}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _plan_from_json(value: Any) -> Any:
    """Make a plan, or a part of it, from the JSON values that `_to_json` returned for it. Raises KeyError,
    TypeError or ValueError if the values hold no plan."""
    if isinstance(value, list):
        return tuple(map(_plan_from_json, value))
    if not isinstance(value, dict):
        return value
    value_class = _CLASSES[value[_TYPE]]
    if _NAME in value:
        return value_class[value[_NAME]]
    field_values = {name: _plan_from_json(part) for name, part in value.items() if name != _TYPE}
    return value_class(**field_values)


def _classes_in_type(type_hint: Any) -> Iterator[type[Any]]:
    """Yield the dataclasses and enums in a type hint, and in the fields of these dataclasses. They are the
    classes whose names may stand in the token of a plan of this type."""
    for argument in get_args(type_hint):
        yield from _classes_in_type(argument)
    if isinstance(type_hint, type) and issubclass(type_hint, Enum):
        yield type_hint
    elif isinstance(type_hint, type) and is_dataclass(type_hint):
        yield type_hint
        for inner in get_type_hints(type_hint).values():
            yield from _classes_in_type(inner)
        for field in fields(type_hint):
            yield from _classes_in_type(type(field.default))


_CLASSES = {kind.__name__: kind for root in (Plan, *_KINDS.values()) for kind in _classes_in_type(root)}
