"""Cleans events for a tape: names are taken out, and speech unless the user keeps the speech.

Events contain no secrets: the recorder takes these out of the live bytes before an event exists. Content that
is not understood is treated as speech."""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, Message, MotionResponse, UnknownMessage
from spatius_sim.tape.names_to_references import Names
from spatius_sim.tape.pack_records import MAX_PARTS
from spatius_sim.tape.recent_blobs import SMALLEST_BLOB
from spatius_sim.tape.tape_values import Content, ContentPart, TapedEvent, TapedPiece
from spatius_sim.trace.events import (
    Event,
    EventKind,
    Lane,
    Opened,
    Received,
    Refused,
    Sent,
    Undecodable,
    Value,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.room_events import PacketSeen
from spatius_sim.trace.speech_fingerprint import make_noise, speech_mark
from spatius_sim.wires.events import Audio, Motion, Note, NotUnderstood, Say, Speak, Unclear
from spatius_sim.wires.wire import Wire

_LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/]{86,}={0,2}")
LARGEST_UNKNOWN = 64 * 1024
"""A frame that is not understood is kept up to this size if speech is kept. More would fill the disk for
nothing: no rule looks into such a frame, and its beginning shows what it is."""
_UPSTREAM = Lane.UPSTREAM

_MAX_FRAMING = 256
"""The most bytes of a frame that are neither speech nor motion. More bytes could be unrecognised speech."""
_MAX_TEXT_FRAMING = 4 * _MAX_FRAMING
"""The same for a text that was understood."""


class Cleaner:
    """Cleans the events of one run for a tape; `wire` is the wire of the run."""

    def __init__(self, wire: Wire | None, names: Names | None, *, keep_speech: bool) -> None:
        """Begin to clean events for a tape. `names` replaces names by references; None keeps them.
        `keep_speech`: whether the tape may hold speech."""
        self._wire, self._names, self._keep_speech = wire, names, keep_speech

    def plain_speech(self, events: Sequence[Event]) -> list[bytes]:
        """Return, for each event, the speech at the end of its frame if a tape must hold a mark in place of
        this speech and can hold all else as it is; b"" for any other event, which `clean` is for."""
        return [b""] * len(events) if self._keep_speech else [_plain_speech(event) for event in events]

    def clean(self, event: Event, start_ns: int = 0) -> TapedEvent:
        """Return an event as a tape may hold it: cleaned of names and speech, and with its time counted from
        `start_ns`."""
        content = event.content
        if isinstance(content, Sent | Received):
            fields = self._clean_frame(event.lane, content.raw, content.value)
            if isinstance(content, Sent) and content.answers:
                fields["answers"] = self._hide_names(content.answers)
            elif isinstance(content, Received) and content.part:
                fields["part"] = content.part
        else:
            fields = self._clean_fields(content)
        return TapedEvent(
            max(0, event.at_ns - start_ns), event.lane, event.connection, type(content).__name__, fields
        )

    def _clean_fields(self, content: EventKind) -> dict[str, Any]:
        """Return the fields of an event that is not a frame, cleaned for a tape. The names of app and avatar
        in an opening or a refusal are learnt first."""
        if isinstance(content, Opened | Refused) and self._names is not None:
            self._names.learn("app", content.app_id)
            self._names.learn("avatar", content.avatar_id)
        values = {field.name: getattr(content, field.name) for field in fields(content)}
        if isinstance(content, PacketSeen):
            # Motion of a room is not speech.
            return values | {"raw": Content(text=False, parts=(TapedPiece(content.raw),))}
        return {
            name: Content(text=False, parts=(self._speech_piece(value),))
            if isinstance(value, bytes)
            else self._hide_names(value)
            for name, value in values.items()
            if name != "value"
        }

    def _hide_names(self, value: Any) -> Any:
        """Return a text of an event with references in place of names of apps and avatars; return any other
        value as it is."""
        if isinstance(value, StrEnum):
            return str(value)
        if value and isinstance(value, str) and self._names is not None:
            return self._names.hide(value)
        return value

    def _speech_piece(self, audio: bytes, *, base64: bool = False) -> TapedPiece:
        """Return audio as the piece that a tape may hold: the audio itself if speech is kept, else a speech
        mark. `base64`: the frame contains the audio in base64."""
        return TapedPiece(audio if self._keep_speech else speech_mark(audio), base64)

    def _clean_frame(self, lane: Lane, raw: str | bytes, value: Value) -> dict[str, Any]:
        """Return a frame, cleaned, as the fields that a tape may hold: its `raw` content, and a `reason` if
        the whole frame was taken out."""
        if len(raw) > LARGEST_UNKNOWN and isinstance(value, NotUnderstood | Unclear | Undecodable):
            return self._take_out(raw.encode() if isinstance(raw, str) else raw, value)
        if isinstance(raw, str):
            raw = self._names.hide_in_json(raw) if self._names is not None else raw
            return self._clean_text(raw, value)
        if isinstance(value, MotionResponse):
            return {"raw": Content(text=False, parts=(TapedPiece(raw),))}
        if self._keep_speech:
            blobs = _audio_or_motion_of(value)
            return {
                "raw": Content(
                    text=False, parts=tuple(_split_frame(raw, [(blob, TapedPiece(blob)) for blob in blobs]))
                )
            }
        if lane is Lane.UPSTREAM and not isinstance(value, Undecodable):
            return {"raw": self._clean_message(raw, value)}
        pieces = [(blob, self._clean_blob(blob, value)) for blob in _audio_or_motion_of(value)]
        return self._limit_framing(raw, text=False, parts=_split_frame(raw, pieces), value=value)

    def _clean_message(self, raw: bytes, value: Value) -> Content:
        """Return a binary message of Motion Server's protocol (not motion) as a tape may hold it: without its
        speech, and without the bytes of unknown fields."""
        match value:
            case AudioInput(audio=audio) if len(audio) < SMALLEST_BLOB:
                noise = make_noise(speech_mark(audio))
                return Content(text=False, parts=(encode(replace(value, audio=noise)),))
            case AudioInput(audio=audio):
                plain_frame = raw if len(raw) - len(audio) <= _MAX_FRAMING else encode(value)
                if plain_frame.endswith(audio):
                    return Content(text=False, parts=(plain_frame[: -len(audio)], self._speech_piece(audio)))
                bytes_before, _, bytes_after = plain_frame.partition(audio)
                return Content(text=False, parts=(bytes_before, self._speech_piece(audio), bytes_after))
            case UnknownMessage():
                return Content(text=False, parts=(encode(value),))
        message = value if isinstance(value, Message) else UnknownMessage(0)
        return Content(
            text=False, parts=(encode(self._names.hide_in_message(message) if self._names else message),)
        )

    def _clean_text(self, raw: str, value: Value) -> dict[str, Any]:
        """Clean a text frame for the tape, and return it as the fields that a tape may hold: speech in its
        base64 becomes a speech mark, and transcripts lose their words."""
        if self._keep_speech:
            pieces = [(b64encode(blob), TapedPiece(blob, base64=True)) for blob in _decode_base64_in(raw)]
            return {"raw": Content(text=True, parts=tuple(_split_frame(raw.encode(), pieces, text=True)))}
        if isinstance(value, Note | Say) and self._wire is not None:
            # Transcripts hold what people said, too.
            wordless_event: Note | Say = value if isinstance(value, Note) else Say("")
            frames = self._wire.write_relay(wordless_event) if isinstance(wordless_event, Note) else ()
            wordless_frame = "".join(map(str, frames or self._wire.write_client(wordless_event)))
            return {"raw": Content(text=True, parts=(wordless_frame,))}
        pieces = [
            (b64encode(blob), self._clean_blob(blob, value, base64=True)) for blob in _decode_base64_in(raw)
        ]
        short_blobs = [blob for blob in _audio_or_motion_of(value) if 0 < len(blob) < SMALLEST_BLOB]
        for blob in short_blobs:
            pieces.append((b'"' + b64encode(blob) + b'"', self._clean_blob(blob, value, base64=True)))
        return self._limit_framing(
            raw.encode(), text=True, parts=_split_frame(raw.encode(), pieces, text=True), value=value
        )

    def _limit_framing(
        self, raw: bytes, text: bool, parts: list[ContentPart], value: Value
    ) -> dict[str, Any]:
        """Return a frame for the tape, from its cleaned `parts`, as fields of an event. The framing is what
        is left of the frame beside speech and motion. If there is too much of it, it might hold hidden
        speech: return a speech mark for the whole frame instead, with the reason."""
        framing_bytes = sum(len(part) for part in parts if not isinstance(part, TapedPiece))
        understood = not isinstance(value, NotUnderstood | Unclear | Undecodable)
        may_be_kept = text or understood
        most_bytes = _MAX_TEXT_FRAMING if understood and text else _MAX_FRAMING
        if framing_bytes <= most_bytes and may_be_kept:
            return {"raw": Content(text, tuple(parts))}
        return self._take_out(raw, value)

    def _take_out(self, raw: bytes, value: Value) -> dict[str, Any]:
        """Return the fields of a tape that stand for a frame which is taken out as a whole: its speech mark,
        and the reason."""
        reason = value.reason if isinstance(value, NotUnderstood | Unclear | Undecodable) else "taken out"
        return {
            "raw": Content(text=False, parts=(TapedPiece(speech_mark(raw)),)),
            "reason": self._hide_names(reason),
        }

    def _clean_blob(self, blob: bytes, value: Value, *, base64: bool = False) -> TapedPiece:
        """Return audio or a payload of a frame as the piece that a cleaned event on a tape may hold. Motion
        stays as it is; everything else is treated as speech, because it may be a person's voice. `base64`:
        the frame holds the blob in base64."""
        is_motion = isinstance(value, Motion) and blob in value.payloads
        if is_motion and isinstance(read_upstream(blob), MotionResponse):
            return TapedPiece(blob, base64)
        return self._speech_piece(blob, base64=base64)


def _plain_speech(event: Event) -> bytes:
    """Return the speech in an event that a tape without speech must not hold, if it is the usual message to
    Motion Server: its bytes end with its audio. Return b"" for any other event, which is cleaned more
    slowly."""
    content = event.content
    if type(content) is Received and event.lane is _UPSTREAM and not content.part:
        raw, value = content.raw, content.value
        if type(value) is AudioInput and type(raw) is bytes:
            audio, size = value.audio, len(value.audio)
            if size >= SMALLEST_BLOB and len(raw) - size <= _MAX_FRAMING and raw.endswith(audio):
                return audio
    return b""


def _audio_or_motion_of(value: Value) -> tuple[bytes, ...]:
    """Return the audio or the motion payloads in a frame, decoded as `value`; an empty tuple if the frame has
    neither. On the tape, their names and speech are hidden apart from the rest of the frame."""
    match value:
        case AudioInput(audio=pcm) | Audio(pcm) | Speak(pcm):
            return (pcm,) if pcm else ()
        case Motion(payloads):
            return payloads
    return ()


def _decode_base64_in(raw: str) -> list[bytes]:
    """Find speech in a text frame whose names and speech are hidden for a tape: return the bytes of each long
    piece of base64. Base64 that is not canonical is left out, because the tape could not give it back
    exactly."""
    blobs = []
    for run in _LONG_BASE64.findall(raw.encode()):
        try:
            blob = b64decode(run, validate=True)
        except ValueError:
            continue
        if b64encode(blob) == run:
            blobs.append(blob)
    return blobs


def _split_frame(
    raw: bytes, pieces: list[tuple[bytes, TapedPiece]], *, text: bool = False
) -> list[ContentPart]:
    """Split a frame into the parts of a cleaned event on a tape: the given pieces and the bytes around them,
    in their order in the frame. Pieces that do not occur, or that are too many, are left out."""
    parts: list[ContentPart] = []
    occurring = [(piece_bytes, piece) for piece_bytes, piece in pieces if piece_bytes and piece_bytes in raw]
    for piece_bytes, piece in sorted(occurring, key=lambda pair: raw.index(pair[0])):
        bytes_before, separator, bytes_after = raw.partition(piece_bytes)
        if not separator or len(parts) + 4 > MAX_PARTS:
            continue
        quoted = text and piece_bytes[:1] == b'"'
        parts += [_restore_literal(bytes_before + b'"' * quoted, text), piece]
        raw = b'"' * quoted + bytes_after
    parts.append(_restore_literal(raw, text))
    return [part for part in parts if part]


def _restore_literal(raw: bytes, text: bool) -> str | bytes:
    """Return bytes of a frame as a str if the frame was text, else as they are."""
    return raw.decode() if text else raw
