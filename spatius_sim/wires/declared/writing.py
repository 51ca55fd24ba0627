"""Writes the frames of a declared wire that say an event or action; none if no message can say it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spatius_sim.wires.declared.declaration import DeclaredMessage, Path, places_of
from spatius_sim.wires.declared.forms import Document
from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_reading import base64_text


def frames_for(
    messages: tuple[DeclaredMessage, ...], kind: str, fields: Mapping[str, Any]
) -> tuple[Frame, ...]:
    """Write the first message that means `kind`, with those of the fields for which it has a place; none if
    there is no such message."""
    for message in messages:
        if kind in message.meanings:
            return (_write_message(message, kind, fields),)
    return ()


def _write_message(message: DeclaredMessage, kind: str, fields: Mapping[str, Any]) -> Frame:
    """Write a message with its constants and with those of the fields that are not ""."""
    document: Document = {}
    for place, constants in message.when.items():
        _put_value(document, place, constants[0])
    for name, place in message.meanings[kind].items():
        value = fields.get(name, "")
        if value != "":
            _put_value(document, place, value if message.form.raw else _as_base64(value))
    return message.form.encode(document)


def _put_value(document: Document, place: Path, value: Any) -> None:
    for key in place[:-1]:
        document = document.setdefault(key, {})
    document[place[-1]] = value


def _as_base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_base64(inner) for inner in value]
    return base64_text(value) if isinstance(value, bytes) else value


def audio_frames(
    messages: tuple[DeclaredMessage, ...], kind: str, pcm: bytes, last: bool, turn_id: str
) -> tuple[Frame, ...]:
    """Write a piece of audio, `kind` 'audio' or 'speech'. The end mark is a field of it, or a message of its
    own."""
    fields = {"pcm": pcm, "last": last, "turn": turn_id}
    if last and "last" not in places_of(messages, kind):
        end = f"last-{kind}"
        carried = "pcm" in places_of(messages, end)
        before = () if carried or not pcm else frames_for(messages, kind, fields)
        return before + frames_for(messages, end, fields)
    return frames_for(messages, kind, fields)


def motion_frames(
    messages: tuple[DeclaredMessage, ...], payloads: tuple[bytes, ...], last: bool, turn_id: str
) -> tuple[Frame, ...]:
    """Write motion payloads, in one message or one by one. The end mark is a field, or a message of its
    own."""
    places, end = places_of(messages, "motion"), places_of(messages, "last-motion")
    one_by_one = "payload" in places
    groups = [[payload] for payload in payloads] if one_by_one else [list(payloads)]
    frames: tuple[Frame, ...] = ()
    for number, group in enumerate(groups, 1):
        at_the_end = last and number == len(groups)
        carried = at_the_end and "last" not in places and bool({"payload", "payloads"} & set(end))
        marked = carried or (at_the_end and "last" in places)
        if group or marked or not last:
            payload = group[0] if one_by_one else ""
            fields = {"payload": payload, "payloads": group, "last": at_the_end, "turn": turn_id}
            frames += frames_for(messages, "last-motion" if carried else "motion", fields)
    if last and "last" not in places and not {"payload", "payloads"} & set(end):
        frames += frames_for(messages, "last-motion", {"turn": turn_id})
    return frames


def note_frames(messages: tuple[DeclaredMessage, ...], kind: str) -> tuple[Frame, ...]:
    """Write the message that is recognised as a note by the constant `kind`."""
    for message in messages:
        for place, constants in message.when.items():
            if "note" in message.meanings and kind in constants:
                return (_write_message(replace(message, when={**message.when, place: (kind,)}), "note", {}),)
    return ()
