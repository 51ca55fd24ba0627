"""Writes the frames of a declared wire: those that say an event or an action. If no message of the wire has
the meaning, there is no frame."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spatius_sim.wires.declared.declaration import DeclaredMessage, Path, places_of
from spatius_sim.wires.declared.message_forms import Document
from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_fields import base64_text


def write_meaning(
    messages: tuple[DeclaredMessage, ...], kind: str, fields: Mapping[str, Any]
) -> tuple[Frame, ...]:
    """Write one meaning, such as "motion", on a declared wire: return the frame of the first message that has
    the meaning `kind`, filled with these fields. Fields that the message does not declare are left out. An
    empty tuple if no message has this meaning."""
    for message in messages:
        if kind in message.meanings:
            return (_write_message(message, kind, fields),)
    return ()


def _write_message(message: DeclaredMessage, kind: str, fields: Mapping[str, Any]) -> Frame:
    """Return the frame of a message of a declared wire, with the message's constants, and with those `fields`
    that have a place in the message and are not ""."""
    document: Document = {}
    for place, constants in message.when.items():
        _put_value(document, place, constants[0])
    for name, place in message.meanings[kind].items():
        value = fields.get(name, "")
        if value != "":
            _put_value(document, place, value if message.form.raw else _as_base64(value))
    return message.form.encode(document)


def _put_value(document: Document, place: Path, value: Any) -> None:
    """Put a value into the document of a declared message at this place, and make the inner documents that
    are missing."""
    for key in place[:-1]:
        document = document.setdefault(key, {})
    document[place[-1]] = value


def _as_base64(value: Any) -> Any:
    """Return a value for a declared message with all bytes in it, also those in lists, as base64 texts."""
    if isinstance(value, list):
        return [_as_base64(inner) for inner in value]
    return base64_text(value) if isinstance(value, bytes) else value


def write_audio(
    messages: tuple[DeclaredMessage, ...], kind: str, pcm: bytes, last: bool, turn_id: str
) -> tuple[Frame, ...]:
    """Return the frames by which the wire that a team declares carries a piece of audio. `kind` is "audio"
    (from the relay) or "speech" (from the client). The last piece is marked by a field of its message, or by
    a message of its own, which may also carry the audio."""
    fields = {"pcm": pcm, "last": last, "turn": turn_id}
    if last and "last" not in places_of(messages, kind):
        end_kind = f"last-{kind}"
        end_has_audio = "pcm" in places_of(messages, end_kind)
        audio = () if end_has_audio or not pcm else write_meaning(messages, kind, fields)
        return audio + write_meaning(messages, end_kind, fields)
    return write_meaning(messages, kind, fields)


def write_motion(
    messages: tuple[DeclaredMessage, ...], payloads: tuple[bytes, ...], last: bool, turn_id: str
) -> tuple[Frame, ...]:
    """Return the frames of a declared wire for motion payloads: one message for all payloads, or one for
    each. The end mark is a field of the last message, or a message of its own."""
    places, end_places = places_of(messages, "motion"), places_of(messages, "last-motion")
    mark_is_field = "last" in places
    end_has_motion = bool({"payload", "payloads"} & set(end_places))
    one_by_one = "payload" in places
    groups = [[payload] for payload in payloads] if one_by_one else [list(payloads)]
    frames: tuple[Frame, ...] = ()
    for number, group in enumerate(groups, 1):
        is_end = last and number == len(groups)
        is_last_motion = is_end and not mark_is_field and end_has_motion
        has_end_mark = is_last_motion or (is_end and mark_is_field)
        if group or has_end_mark or not last:
            payload = group[0] if one_by_one else ""
            fields = {"payload": payload, "payloads": group, "last": is_end, "turn": turn_id}
            frames += write_meaning(messages, "last-motion" if is_last_motion else "motion", fields)
    if last and not mark_is_field and not end_has_motion:
        frames += write_meaning(messages, "last-motion", {"turn": turn_id})
    return frames


def write_note(messages: tuple[DeclaredMessage, ...], note_name: str) -> tuple[Frame, ...]:
    """Write the note `note_name` in a declared wire: return the frame of the first declared message that
    means a note and may carry this name as a constant. An empty tuple if there is no such message."""
    for message in messages:
        for place, constants in message.when.items():
            if "note" in message.meanings and note_name in constants:
                return (
                    _write_message(replace(message, when={**message.when, place: (note_name,)}), "note", {}),
                )
    return ()
