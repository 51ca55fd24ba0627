"""Reads the frames of a declared wire: finds the first message that a frame can be, and says what it means.

A frame or field that fits no declared message raises NotUnderstoodError with the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from spatius_sim.wires.declared.declaration import DeclaredMessage, Meaning, Path
from spatius_sim.wires.declared.message_forms import Document, Form, Layout, OtherFrameError
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
from spatius_sim.wires.json_fields import NotUnderstoodError, base64_bytes, read_rate

_KIND = "kind"
"""The field that every note has, though no declaration names the field: the constant that identified it."""

_MISSING = object()
_MAX_KEYS, _LONGEST_VALUE = 8, 40


def read_meanings(
    messages: tuple[DeclaredMessage, ...], frame: Frame, meanings: Mapping[str, Meaning]
) -> list[tuple[str, Document]]:
    """Read a frame of a declared wire as the first of the declared `messages` that it fits. Return the name
    of each meaning that the message has, with the values of the meaning's fields. Raises NotUnderstoodError
    if the frame fits no message."""
    decoded: dict[Form, Document] = {}
    errors: dict[Form, NotUnderstoodError] = {}
    for message in messages:
        form = message.form
        if form not in decoded and form not in errors:
            try:
                decoded[form] = form.decode(frame)
            except NotUnderstoodError as error:
                errors[form] = error
        if form in decoded and _is_recognised(message, decoded[form]):
            meanings_with_fields = list(_meanings_in(message, decoded[form], meanings))
            if meanings_with_fields:
                return meanings_with_fields
    if decoded:
        descriptions = dict.fromkeys(map(_describe_document, decoded.values()))
        raise NotUnderstoodError(f"no message of this wire looks like this: {' or '.join(descriptions)}")
    precise_errors = [error for error in errors.values() if not isinstance(error, OtherFrameError)]
    raise NotUnderstoodError("; ".join(dict.fromkeys(map(str, precise_errors or errors.values()))))


def _is_recognised(message: DeclaredMessage, document: Document) -> bool:
    """Return whether the document of a frame is this declared message: at each place in `when` it holds one
    of the constants. A value of another type is not equal: True is not 1."""
    return all(
        any(type(value) is type(constant) and value == constant for constant in constants)
        for value, constants in (
            (_find_value(document, place), constants) for place, constants in message.when.items()
        )
    )


def _meanings_in(
    message: DeclaredMessage, document: Document, meanings: Mapping[str, Meaning]
) -> Iterator[tuple[str, Document]]:
    """Read a document as a declared message: yield the name and the fields of each of the message's meanings
    whose needed fields stand in the document. An only meaning needs no field if a constant or a layout
    already identifies the message."""
    identified = bool(message.when) or isinstance(message.form, Layout)
    for kind, places in message.meanings.items():
        fields = {name: _find_value(document, place) for name, place in places.items()}
        fields = {name: value for name, value in fields.items() if value is not _MISSING}
        needed = meanings[kind].needs or set(places)
        if (identified and len(message.meanings) == 1) or not needed or needed & set(fields):
            if kind == "note":
                fields[_KIND] = next((str(_find_value(document, place)) for place in message.when), "other")
            yield kind, fields


def _find_value(document: Any, place: Path) -> Any:
    """Return the value at this place (a list of keys) in a frame of a declared wire, which was read as a JSON
    document. Return _MISSING if there is no value, or if the value is null."""
    for key in place:
        if not isinstance(document, dict) or key not in document:
            return _MISSING
        document = document[key]
    return _MISSING if document is None else document


def _describe_document(document: Document) -> str:
    """Return a short description of a frame that fits no declared message, for an error text: the first keys
    of its document, each with its value, or with the value's type if the value is long."""
    descriptions = []
    for key, value in list(document.items())[:_MAX_KEYS]:
        is_short = (
            isinstance(value, str | int | float) and len(str(value)[: _LONGEST_VALUE + 1]) <= _LONGEST_VALUE
        )
        descriptions.append(f"{str(key)[:_LONGEST_VALUE]}: {value if is_short else type(value).__name__}")
    more = ", ..." if len(document) > _MAX_KEYS else ""
    return "{" + ", ".join(descriptions) + more + "}"


def make_relay_event(kind: str, fields: Document, whole: bool) -> RelayEvent:
    """Return the relay event that is read from a declared message, which means `kind` and has these fields.
    `whole`: one message holds the whole turn. Raises NotUnderstoodError if a field is wrong."""
    match kind:
        case "ready":
            rates = read_rate(fields.get("output-rate")), read_rate(fields.get("input-rate"))
            return Ready(_read_text(fields, "session"), *rates)
        case "audio":
            return Audio(_read_binary(fields, "pcm"), whole or _is_last(fields), _read_turn_id(fields))
        case "last-audio":
            return Audio(
                _read_binary(fields, "pcm") if "pcm" in fields else b"",
                last=True,
                turn_id=_read_turn_id(fields),
            )
        case "motion":
            return Motion(_read_payloads(fields), whole or _is_last(fields), _read_turn_id(fields))
        case "last-motion":
            has_motion = "payloads" in fields or "payload" in fields
            return Motion(
                _read_payloads(fields) if has_motion else (), last=True, turn_id=_read_turn_id(fields)
            )
        case "interrupted":
            return Interrupted(_read_text(fields, "reason"))
        case "failed":
            return Failed(_read_text(fields, "message"))
    return Note(_read_text(fields, _KIND))


def make_client_action(kind: str, fields: Document, whole: bool) -> ClientAction:
    """Return the action of a client that a message of a declared wire stands for. `kind` is the meaning that
    the declaration gives to the message, and `fields` are its values; a message of any other kind becomes a
    Note. `whole`: one message holds the whole turn. Raises NotUnderstoodError for a bad field."""
    match kind:
        case "start":
            return Start(read_rate(fields.get("rate")), _read_text(fields, "avatar"))
        case "speech":
            return Speak(_read_binary(fields, "pcm"), whole or _is_last(fields))
        case "last-speech":
            return Speak(_read_binary(fields, "pcm"), last=True) if "pcm" in fields else SpeakEnd()
        case "play-clip":
            return PlayClip(_read_text(fields, "clip"))
        case "say":
            return Say(_read_text(fields, "words"))
        case "interrupt":
            return InterruptTurn()
    return Note(_read_text(fields, _KIND))


def _read_text(fields: Document, name: str) -> str:
    """Return the text in field `name` of a declared message; "" if the field is missing. Raises
    NotUnderstoodError for any other value."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{name} is not text")
    return value


def _read_turn_id(fields: Document) -> str:
    """Read the turn id from the field `turn` of a message of a declared wire, as a text; "" if the message
    has no such field. Raises NotUnderstoodError if the id is neither a text nor a number."""
    value = fields.get("turn", "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise NotUnderstoodError("turn is neither a text nor a number")
    return str(value)


def _is_last(fields: Document) -> bool:
    """Return the field `last` of a declared message, true or false; False if the field is missing. Raises
    NotUnderstoodError for any other value."""
    value = fields.get("last", False)
    if not isinstance(value, bool):
        raise NotUnderstoodError("last is neither true nor false")
    return value


def _read_binary(fields: Document, name: str) -> bytes:
    """Return the bytes in field `name` of a declared message. Raises NotUnderstoodError if the field is
    missing or not binary."""
    return _as_bytes(fields.get(name), name)


def _as_bytes(value: object, name: str) -> bytes:
    """Return the bytes of a value in field `name` of a declared message; the value may be base64 text. Raises
    NotUnderstoodError for any other value."""
    return value if isinstance(value, bytes) else base64_bytes(value, name)


def _read_payloads(fields: Document) -> tuple[bytes, ...]:
    """Return the motion payloads in a declared message: the single payload in field `payload`, or all
    payloads in the list `payloads`. Raises NotUnderstoodError if the message has neither field, or if a
    payload is not binary."""
    if "payload" in fields:
        return (_read_binary(fields, "payload"),)
    payloads = fields.get("payloads")
    if not isinstance(payloads, list):
        raise NotUnderstoodError("payloads is not a list")
    return tuple(_as_bytes(payload, "payloads") for payload in payloads)
