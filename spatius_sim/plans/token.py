"""A plan as one word, by which the command that repeats a failure names exactly that scenario."""

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
from spatius_sim.protocol.errors import UsageError

_MOST_BYTES = 1_048_576
_TYPE, _VALUE = "", "="


def token_of(plan: Plan | ClientPlan) -> str:
    """The plan as a word of letters, digits, `-` and `_`."""
    written = json.dumps(_plain(plan), separators=(",", ":")).encode()
    return urlsafe_b64encode(zlib.compress(written, 9)).decode().rstrip("=")


def plan_of(token: str, subject: str) -> Plan | ClientPlan:
    """The plan for that kind of subject; raises UsageError for a word that this version has not written."""
    kind = ClientPlan if subject == "client" else Plan
    try:
        packed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        written = zlib.decompressobj().decompress(packed, _MOST_BYTES)
        plan = _built(json.loads(written))
        if not isinstance(plan, kind) or _plain(plan) != json.loads(written):
            raise ValueError("another kind of plan")
        str(plan)
    except (Base64Error, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"--plan {token[:40]!r} names no scenario for a {subject}: copy it from the report of a failure"
        ) from error
    return plan


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return {_TYPE: type(value).__name__, _VALUE: value.value}
    if is_dataclass(value):
        own = {one.name: getattr(value, one.name) for one in fields(value)}
        given = {
            one.name: _plain(own[one.name])
            for one in fields(value)
            if own[one.name] != one.default or type(own[one.name]) is not type(one.default)
        }
        return {_TYPE: type(value).__name__, **given}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_built, value))
    if not isinstance(value, dict):
        return value
    kind = _KINDS[value[_TYPE]]
    if _VALUE in value:
        return kind(value[_VALUE])
    return kind(**{name: _built(one) for name, one in value.items() if name != _TYPE})


def _kinds(hint: Any) -> Iterator[type[Any]]:
    """The classes that a value of that type may be made of."""
    for argument in get_args(hint):
        yield from _kinds(argument)
    if isinstance(hint, type) and issubclass(hint, Enum):
        yield hint
    elif isinstance(hint, type) and is_dataclass(hint):
        yield hint
        for inner in get_type_hints(hint).values():
            yield from _kinds(inner)
        for one in fields(hint):
            yield from _kinds(type(one.default))


_KINDS = {kind.__name__: kind for root in (Plan, ClientPlan) for kind in _kinds(root)}
