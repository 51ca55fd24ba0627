"""Reads the frames of a declared wire: finds the first message that a frame can be, and says what it means.

Everything doubtful raises a NotUnderstoodError with its reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from spatius_sim.wires.declared.declaration import DeclaredMessage, Meaning, Path
from spatius_sim.wires.declared.forms import Document, Form, Layout, OtherFrameError
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Frame,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    PlayClip,
    Ready,
    RelayEvent,
    Say,
    Speak,
    SpeakEnd,
    Start,
)
from spatius_sim.wires.json_reading import NotUnderstoodError, base64_bytes, rate

_KIND = "kind"
"""The field that a note has without declaring it: the constant by which it was recognised."""

_MISSING = object()
_MOST_KEYS, _LONGEST_VALUE = 8, 40


def meanings_of_frame(
    messages: tuple[DeclaredMessage, ...], frame: Frame, meanings: Mapping[str, Meaning]
) -> list[tuple[str, Document]]:
    """Find the first message that a frame can be, and list its meanings, each with its fields. Raises
    NotUnderstoodError if the frame can be none of them."""
    decoded: dict[Form, Document] = {}
    doubts: dict[Form, NotUnderstoodError] = {}
    for message in messages:
        form = message.form
        if form not in decoded and form not in doubts:
            try:
                decoded[form] = form.decode(frame)
            except NotUnderstoodError as doubt:
                doubts[form] = doubt
        if form in decoded and _is_recognised(message, decoded[form]):
            found = list(_meanings_in(message, decoded[form], meanings))
            if found:
                return found
    if decoded:
        sketches = dict.fromkeys(map(_sketch, decoded.values()))
        raise NotUnderstoodError(f"no message of this wire looks so: {' or '.join(sketches)}")
    telling = [doubt for doubt in doubts.values() if not isinstance(doubt, OtherFrameError)]
    raise NotUnderstoodError("; ".join(dict.fromkeys(map(str, telling or doubts.values()))))


def _is_recognised(message: DeclaredMessage, document: Document) -> bool:
    """Whether the document holds the constants by which this message is recognised."""
    return all(
        any(type(found) is type(constant) and found == constant for constant in constants)
        for found, constants in (
            (_value_at(document, place), constants) for place, constants in message.when.items()
        )
    )


def _meanings_in(
    message: DeclaredMessage, document: Document, meanings: Mapping[str, Meaning]
) -> Iterator[tuple[str, Document]]:
    """Yield the meanings that the document has the needed fields for, each with its fields. A message with
    only one meaning that is recognised by a constant or its layout has this meaning whatever it lacks."""
    recognised = bool(message.when) or isinstance(message.form, Layout)
    for kind, places in message.meanings.items():
        fields = {name: _value_at(document, place) for name, place in places.items()}
        fields = {name: value for name, value in fields.items() if value is not _MISSING}
        needed = meanings[kind].needs or set(places)
        if (recognised and len(message.meanings) == 1) or not needed or needed & set(fields):
            if kind == "note":
                fields[_KIND] = next((str(_value_at(document, place)) for place in message.when), "other")
            yield kind, fields


def _value_at(document: Any, place: Path) -> Any:
    """Return the value at this place; _MISSING if there is none, or null."""
    for key in place:
        if not isinstance(document, dict) or key not in document:
            return _MISSING
        document = document[key]
    return _MISSING if document is None else document


def _sketch(document: Document) -> str:
    """Describe a document for a person: its first keys, with short values and the types of long ones."""
    sketches = []
    for key, value in list(document.items())[:_MOST_KEYS]:
        short = (
            isinstance(value, str | int | float) and len(str(value)[: _LONGEST_VALUE + 1]) <= _LONGEST_VALUE
        )
        sketches.append(f"{str(key)[:_LONGEST_VALUE]}: {value if short else type(value).__name__}")
    more = ", ..." if len(document) > _MOST_KEYS else ""
    return "{" + ", ".join(sketches) + more + "}"


def relay_event(kind: str, fields: Document, whole: bool) -> RelayEvent:
    """Make the relay event that a message of this meaning says. `whole`: a document holds the whole turn."""
    match kind:
        case "ready":
            rates = rate(fields.get("output-rate")), rate(fields.get("input-rate"))
            return Ready(_read_text(fields, "session"), *rates)
        case "audio":
            return Audio(_read_binary(fields, "pcm"), whole or _is_last(fields), _turn_id(fields))
        case "last-audio":
            return Audio(_read_binary(fields, "pcm") if "pcm" in fields else b"", True, _turn_id(fields))
        case "motion":
            return Motion(_read_payloads(fields), whole or _is_last(fields), _turn_id(fields))
        case "last-motion":
            carried = "payloads" in fields or "payload" in fields
            return Motion(_read_payloads(fields) if carried else (), True, _turn_id(fields))
        case "interrupted":
            return Interrupted(_read_text(fields, "reason"))
        case "failed":
            return Failed(_read_text(fields, "message"))
    return Note(_read_text(fields, _KIND))


def client_action(kind: str, fields: Document, whole: bool) -> ClientAction:
    """Make the client action that a message of this meaning says. `whole`: a document holds the whole
    turn."""
    match kind:
        case "start":
            return Start(rate(fields.get("rate")), _read_text(fields, "avatar"))
        case "speech":
            return Speak(_read_binary(fields, "pcm"), whole or _is_last(fields))
        case "last-speech":
            return Speak(_read_binary(fields, "pcm"), True) if "pcm" in fields else SpeakEnd()
        case "play-clip":
            return PlayClip(_read_text(fields, "clip"))
        case "say":
            return Say(_read_text(fields, "words"))
        case "interrupt":
            return InterruptTurn()
    return Note(_read_text(fields, _KIND))


def _read_text(fields: Document, name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{name} is not a text")
    return value


def _turn_id(fields: Document) -> str:
    value = fields.get("turn", "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise NotUnderstoodError("turn is neither a text nor a number")
    return str(value)


def _is_last(fields: Document) -> bool:
    value = fields.get("last", False)
    if not isinstance(value, bool):
        raise NotUnderstoodError("last is neither true nor false")
    return value


def _read_binary(fields: Document, name: str) -> bytes:
    value = fields.get(name)
    return value if isinstance(value, bytes) else base64_bytes(value, name)


def _read_payloads(fields: Document) -> tuple[bytes, ...]:
    """Read the payload, or the list of payloads; raises NotUnderstoodError."""
    if "payload" in fields:
        return (_read_binary(fields, "payload"),)
    listed = fields.get("payloads")
    if not isinstance(listed, list):
        raise NotUnderstoodError("payloads is not a list")
    return tuple(_read_binary({"payloads": payload}, "payloads") for payload in listed)
