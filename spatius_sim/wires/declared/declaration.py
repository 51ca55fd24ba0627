"""What a team declares of its wire: which messages there are, how they are recognised, what stands where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from spatius_sim.wires.declared.forms import Form

Path = tuple[str, ...]
"""Where a value stands in a document: key by key."""

Constant = str | int | bool


class Meaning(NamedTuple):
    """What a message may mean: the fields that it may have, and those of them of which it needs one."""

    fields: frozenset[str]
    needs: frozenset[str] = frozenset()


def _meaning(fields: str = "", needs: str = "") -> Meaning:
    return Meaning(frozenset(fields.split()), frozenset(needs.split()))


RELAY_MEANINGS: Mapping[str, Meaning] = {
    "ready": _meaning("session output-rate input-rate"),
    "audio": _meaning("pcm last turn", "pcm"),
    "last-audio": _meaning("pcm turn"),
    "motion": _meaning("payloads payload last turn", "payloads payload"),
    "last-motion": _meaning("payloads payload turn"),
    "interrupted": _meaning("reason"),
    "failed": _meaning("message"),
    "note": _meaning(),
}
CLIENT_MEANINGS: Mapping[str, Meaning] = {
    "start": _meaning("rate avatar"),
    "speech": _meaning("pcm last", "pcm"),
    "last-speech": _meaning("pcm"),
    "play-clip": _meaning("clip", "clip"),
    "say": _meaning("words", "words"),
    "interrupt": _meaning(),
    "note": _meaning(),
}


@dataclass(frozen=True, slots=True)
class DeclaredMessage:
    """One message: its form, the constants that it is recognised by (at each place one of several, the
    first of which is written), and what it means, each meaning with the places of its fields."""

    form: Form
    when: Mapping[Path, tuple[Constant, ...]]
    meanings: Mapping[str, Mapping[str, Path]]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A whole wire. `lacks` is what cannot be seen from its messages; `text` is the file it stands in."""

    about: str
    relay: tuple[DeclaredMessage, ...]
    client: tuple[DeclaredMessage, ...]
    lacks: frozenset[str] = frozenset()
    http_paths: tuple[str, ...] = ()
    text: str = ""


def has_meaning(messages: tuple[DeclaredMessage, ...], kind: str) -> bool:
    """Whether one of them may mean that."""
    return any(kind in message.meanings for message in messages)


def places_of(messages: tuple[DeclaredMessage, ...], kind: str) -> Mapping[str, Path]:
    """Where the fields of that kind stand in the message that is written for it."""
    return next((message.meanings[kind] for message in messages if kind in message.meanings), {})
