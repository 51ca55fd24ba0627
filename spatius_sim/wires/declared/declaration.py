"""What a team declares of its wire: its messages, how each is recognised, and where its fields stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from spatius_sim.wires.declared.message_forms import Form

Place = tuple[str, ...]
"""The keys that lead to a value in a document, from the outside in."""

Constant = str | int | bool


class Meaning(NamedTuple):
    """What a declared message may mean. `fields` are the fields that the message may have; of the fields in
    `needs_one_of` it must have at least one."""

    fields: frozenset[str]
    needs_one_of: frozenset[str] = frozenset()


def _new_meaning(fields: str = "", needs_one_of: str = "") -> Meaning:
    """Return a meaning; `fields` and `needs_one_of` are names with spaces between them."""
    return Meaning(frozenset(fields.split()), frozenset(needs_one_of.split()))


RELAY_MEANINGS: Mapping[str, Meaning] = {
    "ready": _new_meaning("session output-rate input-rate"),
    "audio": _new_meaning("pcm last turn", "pcm"),
    "last-audio": _new_meaning("pcm turn"),
    "motion": _new_meaning("payloads payload last turn", "payloads payload"),
    "last-motion": _new_meaning("payloads payload turn"),
    "interrupted": _new_meaning("reason"),
    "failed": _new_meaning("message"),
    "note": _new_meaning(),
}
CLIENT_MEANINGS: Mapping[str, Meaning] = {
    "start": _new_meaning("rate avatar"),
    "speech": _new_meaning("pcm last", "pcm"),
    "last-speech": _new_meaning("pcm"),
    "play-clip": _new_meaning("clip", "clip"),
    "say": _new_meaning("words", "words"),
    "interrupt": _new_meaning(),
    "note": _new_meaning(),
}


@dataclass(frozen=True, slots=True)
class DeclaredMessage:
    """One message of a declared wire. `constants_by_place` are the constants by which it is recognised: at
    each place any of several, of which the first is written. `meanings` maps the name of each thing that it
    means to the places of the fields."""

    form: Form
    constants_by_place: Mapping[Place, tuple[Constant, ...]]
    meanings: Mapping[str, Mapping[str, Place]]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A whole declared wire. `lacks` names missing features that the messages do not show; `text` is the
    declaring file. `speech_pause` is the silence that ends a client's speech, in seconds; 0 if none does."""

    about: str
    relay: tuple[DeclaredMessage, ...]
    client: tuple[DeclaredMessage, ...]
    lacks: frozenset[str] = frozenset()
    http_paths: tuple[str, ...] = ()
    text: str = ""
    speech_pause: float = 0.0


def has_meaning(messages: tuple[DeclaredMessage, ...], meaning_name: str) -> bool:
    """Return whether one of these messages may have the meaning with this name, such as "audio"."""
    return any(meaning_name in message.meanings for message in messages)


def field_places_of(messages: tuple[DeclaredMessage, ...], meaning_name: str) -> Mapping[str, Place]:
    """Return the place of each field, by the field's name, in the first of these messages that may have the
    meaning with this name. The mapping is empty if no message may have this meaning."""
    return next(
        (message.meanings[meaning_name] for message in messages if meaning_name in message.meanings), {}
    )
