"""Reads the frames of a declared wire: finds the first message that a frame can be, and says what it means.

A frame or field that fits no declared message raises NotUnderstoodError with the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from spatius_sim.wires.declared.declaration import DeclaredMessage, Meaning, Place
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

_NOTE_NAME = "kind"
"""The field that every note has, though no declaration names the field: the constant that identified it."""

_MISSING = object()
_MAX_SHOWN_KEYS, _MAX_SHOWN_LENGTH = 8, 40


def read_meanings(
    messages: tuple[DeclaredMessage, ...], frame: Frame, meanings: Mapping[str, Meaning]
) -> list[tuple[str, Document]]:
    """Decode a frame, and return what it means: the name of each of its meanings (such as "audio"), with the
    values of the meaning's fields. `messages` are the messages that a team declares for its message format;
    the first that fits the frame decides. Raises NotUnderstoodError if no message fits.

    `meanings` tells by name which fields a meaning needs."""
    document_by_form: dict[Form, Document] = {}
    error_by_form: dict[Form, NotUnderstoodError] = {}
    for message in messages:
        form = message.form
        if form not in document_by_form and form not in error_by_form:
            try:
                document_by_form[form] = form.decode(frame)
            except NotUnderstoodError as error:
                error_by_form[form] = error
        if form in document_by_form and _has_constants_of(message, document_by_form[form]):
            fields_of_meanings = list(_meanings_in(message, document_by_form[form], meanings))
            if fields_of_meanings:
                return fields_of_meanings
    if document_by_form:
        descriptions = dict.fromkeys(map(_describe_document, document_by_form.values()))
        raise NotUnderstoodError(f"no message of this wire looks like this: {' or '.join(descriptions)}")
    precise_errors = [error for error in error_by_form.values() if not isinstance(error, OtherFrameError)]
    raise NotUnderstoodError("; ".join(dict.fromkeys(map(str, precise_errors or error_by_form.values()))))


def _has_constants_of(message: DeclaredMessage, document: Document) -> bool:
    """Return whether the document of a frame has the constants that identify this declared message: at each
    place one of the constants for it. A value of another type is not equal: True is not 1."""
    return all(
        any(type(value) is type(constant) and value == constant for constant in constants)
        for value, constants in (
            (_find_value(document, place), constants)
            for place, constants in message.constants_by_place.items()
        )
    )


def _meanings_in(
    message: DeclaredMessage, document: Document, meanings: Mapping[str, Meaning]
) -> Iterator[tuple[str, Document]]:
    """Yield the meanings that a declared message has in this document: the name of each meaning, with the
    values of its fields. A meaning is left out if it needs one of some fields, and none of them is there. But
    if a message has only one meaning, and is identified by a constant or a layout, it needs no field.

    The meaning "note" gets one more field, _NOTE_NAME: the note's first constant, or "other" if it has
    none."""
    is_identified = bool(message.constants_by_place) or isinstance(message.form, Layout)
    for meaning_name, places in message.meanings.items():
        fields = {name: _find_value(document, place) for name, place in places.items()}
        fields = {name: value for name, value in fields.items() if value is not _MISSING}
        needed_names = meanings[meaning_name].needs_one_of or set(places)
        needs_no_field = (is_identified and len(message.meanings) == 1) or not needed_names
        if needs_no_field or needed_names & set(fields):
            if meaning_name == "note":
                fields[_NOTE_NAME] = next(
                    (str(_find_value(document, place)) for place in message.constants_by_place), "other"
                )
            yield meaning_name, fields


def _find_value(document: Any, place: Place) -> Any:
    """Return the value at this place in a document; a place is the keys that lead to it, from the outside in.
    Return _MISSING if there is no value, or if it is null."""
    for key in place:
        if not isinstance(document, dict) or key not in document:
            return _MISSING
        document = document[key]
    return _MISSING if document is None else document


def _describe_document(document: Document) -> str:
    """Describe the document of a frame that fits no declared message, for the text of an error: its first
    keys, each with its value. Instead of a long value, its type is shown."""
    descriptions = []
    for key, value in list(document.items())[:_MAX_SHOWN_KEYS]:
        is_short = (
            isinstance(value, str | int | float)
            and len(str(value)[: _MAX_SHOWN_LENGTH + 1]) <= _MAX_SHOWN_LENGTH
        )
        descriptions.append(f"{str(key)[:_MAX_SHOWN_LENGTH]}: {value if is_short else type(value).__name__}")
    more = ", ..." if len(document) > _MAX_SHOWN_KEYS else ""
    return "{" + ", ".join(descriptions) + more + "}"


def make_relay_event(meaning_name: str, fields: Document, is_whole_turn: bool) -> RelayEvent:
    """Make the event of a relay from a declared message: `meaning_name` is what the message means, such as
    "audio", and `fields` are its values. A message with any other meaning becomes a Note. Raises
    NotUnderstoodError if a field has a wrong value.

    If `is_whole_turn` is True, one message holds the whole turn, so audio and motion are always the last."""
    match meaning_name:
        case "ready":
            rates = read_rate(fields.get("output-rate")), read_rate(fields.get("input-rate"))
            return Ready(_read_text(fields, "session"), *rates)
        case "audio":
            return Audio(
                _read_binary(fields, "pcm"), is_whole_turn or _is_last(fields), _read_turn_id(fields)
            )
        case "last-audio":
            return Audio(
                _read_binary(fields, "pcm") if "pcm" in fields else b"",
                last=True,
                turn_id=_read_turn_id(fields),
            )
        case "motion":
            return Motion(_read_payloads(fields), is_whole_turn or _is_last(fields), _read_turn_id(fields))
        case "last-motion":
            has_motion = "payloads" in fields or "payload" in fields
            return Motion(
                _read_payloads(fields) if has_motion else (), last=True, turn_id=_read_turn_id(fields)
            )
        case "interrupted":
            return Interrupted(_read_text(fields, "reason"))
        case "failed":
            return Failed(_read_text(fields, "message"))
    return Note(_read_text(fields, _NOTE_NAME))


def make_client_action(meaning_name: str, fields: Document, is_whole_turn: bool) -> ClientAction:
    """Make the action of a client from a declared message: `meaning_name` is what the message means, such as
    "speech", and `fields` are its values. A message with any other meaning becomes a Note. Raises
    NotUnderstoodError if a field has a wrong value.

    If `is_whole_turn` is True, one message holds the whole turn, so speech is always the last."""
    match meaning_name:
        case "start":
            return Start(read_rate(fields.get("rate")), _read_text(fields, "avatar"))
        case "speech":
            return Speak(_read_binary(fields, "pcm"), is_whole_turn or _is_last(fields))
        case "last-speech":
            return Speak(_read_binary(fields, "pcm"), last=True) if "pcm" in fields else SpeakEnd()
        case "play-clip":
            return PlayClip(_read_text(fields, "clip"))
        case "say":
            return Say(_read_text(fields, "words"))
        case "interrupt":
            return InterruptTurn()
    return Note(_read_text(fields, _NOTE_NAME))


def _read_text(fields: Document, name: str) -> str:
    """Return the text in field `name` of a declared message. Return "" if the field is missing. Raises
    NotUnderstoodError if its value is no text."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{name} is not text")
    return value


def _read_turn_id(fields: Document) -> str:
    """Return the turn id in the field `turn` of a declared message, as text. Return "" if the field is
    missing. Raises NotUnderstoodError if the value is neither a text nor an integer."""
    value = fields.get("turn", "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise NotUnderstoodError("turn is neither a text nor a number")
    return str(value)


def _is_last(fields: Document) -> bool:
    """Return the field `last` of a declared message: whether it is the last piece of a turn. Return False if
    the field is missing. Raises NotUnderstoodError if its value is neither true nor false."""
    value = fields.get("last", False)
    if not isinstance(value, bool):
        raise NotUnderstoodError("last is neither true nor false")
    return value


def _read_binary(fields: Document, name: str) -> bytes:
    """Return the bytes in field `name` of a declared message; they may be written as base64 text. Raises
    NotUnderstoodError if the field is missing, or holds something else."""
    return _as_bytes(fields.get(name), name)


def _as_bytes(value: object, field_name: str) -> bytes:
    """Return a value of a declared message as bytes: it is bytes already, or base64 text. Raises
    NotUnderstoodError for any other value; `field_name` is for the text of the error."""
    return value if isinstance(value, bytes) else base64_bytes(value, field_name)


def _read_payloads(fields: Document) -> tuple[bytes, ...]:
    """Return the motion payloads in a declared message: the single one in the field `payload`, or those in
    the list `payloads`. Raises NotUnderstoodError if both fields are missing, or if a payload is not
    binary."""
    if "payload" in fields:
        return (_read_binary(fields, "payload"),)
    payloads = fields.get("payloads")
    if not isinstance(payloads, list):
        raise NotUnderstoodError("payloads is not a list")
    return tuple(_as_bytes(payload, "payloads") for payload in payloads)
