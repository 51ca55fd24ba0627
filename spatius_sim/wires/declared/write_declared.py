"""Writes the frames of a declared wire: those that say an event or an action. If no message of the wire has
the meaning, there is no frame."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spatius_sim.wires.declared.declaration import DeclaredMessage, Place, field_places_of
from spatius_sim.wires.declared.message_forms import Document
from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_fields import base64_text


def write_meaning(
    messages: tuple[DeclaredMessage, ...], meaning_name: str, fields: Mapping[str, Any]
) -> tuple[Frame, ...]:
    """Encode one meaning (what a message says, such as "motion") in the message format that a team declares.
    Return, in a tuple, the frame of the first declared message that has this meaning, filled with the values
    in `fields`. Return an empty tuple if no message has this meaning.

    Fields that the message does not have are left out."""
    for message in messages:
        if meaning_name in message.meanings:
            return (_write_message(message, meaning_name, fields),)
    return ()


def _write_message(message: DeclaredMessage, meaning_name: str, fields: Mapping[str, Any]) -> Frame:
    """Return the frame of a declared message. It holds the constants that identify the message, and the
    values in `fields`. Left out are values that are "" or have no place in the message."""
    document: Document = {}
    for place, constants in message.constants_by_place.items():
        _put_value(document, place, constants[0])
    for name, place in message.meanings[meaning_name].items():
        value = fields.get(name, "")
        if value != "":
            _put_value(document, place, value if message.form.takes_bytes else _as_base64(value))
    return message.form.encode(document)


def _put_value(document: Document, place: Place, value: Any) -> None:
    """Put a value into a document at this place; a place is the keys that lead to it, from the outside in.
    Inner documents that are missing are made."""
    for key in place[:-1]:
        document = document.setdefault(key, {})
    document[place[-1]] = value


def _as_base64(value: Any) -> Any:
    """Return this value with base64 texts in place of all bytes, also of bytes in lists."""
    if isinstance(value, list):
        return [_as_base64(inner) for inner in value]
    return base64_text(value) if isinstance(value, bytes) else value


def write_audio(
    messages: tuple[DeclaredMessage, ...], meaning_name: str, pcm: bytes, last: bool, turn_id: str
) -> tuple[Frame, ...]:
    """Encode a piece of audio in the message format that a team declares, and return the frames: one, two, or
    none if the format has no such message. `meaning_name` is "audio" (from the relay) or "speech" (from the
    client).

    The last piece (`last`) is marked by a field, or by a separate end message. If the end message can carry
    audio, no other message is written."""
    fields = {"pcm": pcm, "last": last, "turn": turn_id}
    if last and "last" not in field_places_of(messages, meaning_name):
        end_meaning = f"last-{meaning_name}"
        end_has_audio = "pcm" in field_places_of(messages, end_meaning)
        audio = () if end_has_audio or not pcm else write_meaning(messages, meaning_name, fields)
        return audio + write_meaning(messages, end_meaning, fields)
    return write_meaning(messages, meaning_name, fields)


def write_motion(
    messages: tuple[DeclaredMessage, ...], payloads: tuple[bytes, ...], last: bool, turn_id: str
) -> tuple[Frame, ...]:
    """Encode motion payloads in the message format that a team declares, and return the frames: one for all
    payloads, or one for each.

    The last motion of a turn (`last`) is marked by a field of its message, or by a separate end message. If
    the end message can carry motion, it carries the last."""
    motion_places, end_places = field_places_of(messages, "motion"), field_places_of(messages, "last-motion")
    mark_is_field = "last" in motion_places
    end_has_motion = bool({"payload", "payloads"} & set(end_places))
    message_has_one_payload = "payload" in motion_places
    groups = [[payload] for payload in payloads] if message_has_one_payload else [list(payloads)]
    frames: tuple[Frame, ...] = ()
    for number, group in enumerate(groups, 1):
        is_last_group = last and number == len(groups)
        goes_into_end_message = is_last_group and not mark_is_field and end_has_motion
        has_end_mark = goes_into_end_message or (is_last_group and mark_is_field)
        if group or has_end_mark or not last:
            payload = group[0] if message_has_one_payload else ""
            fields = {"payload": payload, "payloads": group, "last": is_last_group, "turn": turn_id}
            frames += write_meaning(messages, "last-motion" if goes_into_end_message else "motion", fields)
    if last and not mark_is_field and not end_has_motion:
        frames += write_meaning(messages, "last-motion", {"turn": turn_id})
    return frames


def write_note(messages: tuple[DeclaredMessage, ...], note_name: str) -> tuple[Frame, ...]:
    """Encode a note (a message that no rule of the kit needs) in the message format that a team declares:
    return, in a tuple, the frame of the first message that means a note, and for which `note_name` is
    declared as a constant. Return an empty tuple if there is no such message."""
    for message in messages:
        for place, constants in message.constants_by_place.items():
            if "note" in message.meanings and note_name in constants:
                constants_of_note = {**message.constants_by_place, place: (note_name,)}
                return (_write_message(replace(message, constants_by_place=constants_of_note), "note", {}),)
    return ()
