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
from spatius_sim.tape.names_to_references import NameReferences
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
from spatius_sim.trace.speech_fingerprint import compute_fingerprint, make_noise
from spatius_sim.wires.events import Audio, Motion, Note, NotUnderstood, Say, Speak, Unclear
from spatius_sim.wires.wire import Wire

_LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/]{86,}={0,2}")
LARGEST_UNKNOWN_FRAME = 64 * 1024
"""A frame that is not understood is kept up to this size if speech is kept. More would fill the disk for
nothing: no rule looks into such a frame, and its beginning shows what it is."""
_UPSTREAM = Lane.UPSTREAM

_MAX_FRAMING = 256
"""The most bytes of a frame that are neither speech nor motion. More bytes could be unrecognised speech."""
_MAX_TEXT_FRAMING = 4 * _MAX_FRAMING
"""The same for a text that was understood."""


class EventCleaner:
    """Cleans the events of one run for a tape: hides names and speech. `wire` is the wire of the run."""

    def __init__(self, wire: Wire | None, names: NameReferences | None, *, keep_speech: bool) -> None:
        """Begin to hide names and speech in events for a tape. `names` replaces names by references; None
        keeps them. `keep_speech`: whether the tape may hold speech."""
        self._wire, self._names, self._keep_speech = wire, names, keep_speech

    def find_trailing_speech(self, events: Sequence[Event]) -> list[bytes]:
        """Return, for each event, the speech at the end of its frame; b"" if there is none, or if the tape
        keeps speech. An event with such speech needs no `clean_event`, which is slower: only its speech must
        be replaced by a fingerprint."""
        return (
            [b""] * len(events) if self._keep_speech else [_find_trailing_speech(event) for event in events]
        )

    def clean_event(self, event: Event, start_ns: int = 0) -> TapedEvent:
        """Return an event as a tape may hold it: without names of apps and avatars, and without speech,
        unless the tape keeps them. Its time on the tape is counted from `start_ns`, and never below 0."""
        content = event.content
        if isinstance(content, Sent | Received):
            taped_fields = self._clean_frame(event.lane, content.raw, content.value)
            if isinstance(content, Sent) and content.answers:
                taped_fields["answers"] = self._hide_names(content.answers)
            elif isinstance(content, Received) and content.part:
                taped_fields["part"] = content.part
        else:
            taped_fields = self._clean_fields(content)
        return TapedEvent(
            max(0, event.at_ns - start_ns), event.lane, event.connection, type(content).__name__, taped_fields
        )

    def _clean_fields(self, content: EventKind) -> dict[str, Any]:
        """Return the cleaned fields of an event that is not a frame. Texts get references in place of names.
        Bytes count as speech, except motion in a room (PacketSeen). The decoded `value` is left out. If the
        event names an app or an avatar, give these names references first."""
        if isinstance(content, Opened | Refused) and self._names is not None:
            self._names.learn("app", content.app_id)
            self._names.learn("avatar", content.avatar_id)
        value_by_name = {field.name: getattr(content, field.name) for field in fields(content)}
        if isinstance(content, PacketSeen):
            # Motion in a room is not speech.
            return value_by_name | {"raw": Content(text=False, parts=(TapedPiece(content.raw),))}
        return {
            name: Content(text=False, parts=(self._speech_piece(value),))
            if isinstance(value, bytes)
            else self._hide_names(value)
            for name, value in value_by_name.items()
            if name != "value"
        }

    def _hide_names(self, value: Any) -> Any:
        """Return a field of an event for the tape. A text gets references in place of the names of apps and
        avatars, if the tape hides names. An enum becomes a plain text; any other value stays as it is."""
        if isinstance(value, StrEnum):
            return str(value)
        if value and isinstance(value, str) and self._names is not None:
            return self._names.hide(value)
        return value

    def _speech_piece(self, audio: bytes, *, base64: bool = False) -> TapedPiece:
        """Return audio as the piece that a tape may hold: the audio itself if speech is kept, else its
        fingerprint (length, hash and loudness). `base64`: the frame contains the audio in base64."""
        return TapedPiece(audio if self._keep_speech else compute_fingerprint(audio), base64)

    def _clean_frame(self, lane: Lane, raw: str | bytes, value: Value) -> dict[str, Any]:
        """Return a frame, decoded as `value`, as the fields that a tape may hold: its `raw` content without
        names and speech. A large frame that is not understood is taken out as a whole, and a `reason` says
        so. Motion is kept as it is. Pieces of audio or motion are parts of their own."""
        if len(raw) > LARGEST_UNKNOWN_FRAME and isinstance(value, NotUnderstood | Unclear | Undecodable):
            return self._replace_by_fingerprint(raw.encode() if isinstance(raw, str) else raw, value)
        if isinstance(raw, str):
            raw = self._names.hide_in_json(raw) if self._names is not None else raw
            return self._clean_text(raw, value)
        if isinstance(value, MotionResponse):
            return {"raw": Content(text=False, parts=(TapedPiece(raw),))}
        if self._keep_speech:
            kept_pieces = [(blob, TapedPiece(blob)) for blob in _audio_or_motion_in(value)]
            return {"raw": Content(text=False, parts=tuple(_split_frame(raw, kept_pieces)))}
        if lane is Lane.UPSTREAM and not isinstance(value, Undecodable):
            return {"raw": self._clean_message(raw, value)}
        # Any other binary frame, such as a relay's to its client: its speech must be hidden.
        hidden_pieces = [
            (blob, self._hide_speech_in_piece(blob, value)) for blob in _audio_or_motion_in(value)
        ]
        parts = _split_frame(raw, hidden_pieces)
        return self._keep_or_take_out(raw, is_text=False, parts=parts, value=value)

    def _clean_message(self, raw: bytes, value: Value) -> Content:
        """Return a binary message to or from Motion Server (not motion) as a tape may hold it. Short speech
        becomes noise. Long speech becomes its fingerprint, and the few bytes of the frame before and after it
        are kept. Any other message is encoded anew from the decoded `value`, without the bytes of unknown
        fields."""
        match value:
            case AudioInput(audio=audio) if len(audio) < SMALLEST_BLOB:
                noise = make_noise(compute_fingerprint(audio))
                return Content(text=False, parts=(encode(replace(value, audio=noise)),))
            case AudioInput(audio=audio):
                # Too many other bytes might hide speech: then only the known fields are kept.
                frame = raw if len(raw) - len(audio) <= _MAX_FRAMING else encode(value)
                if frame.endswith(audio):
                    return Content(text=False, parts=(frame[: -len(audio)], self._speech_piece(audio)))
                bytes_before, _, bytes_after = frame.partition(audio)
                return Content(text=False, parts=(bytes_before, self._speech_piece(audio), bytes_after))
            case UnknownMessage():
                return Content(text=False, parts=(encode(value),))
        message = value if isinstance(value, Message) else UnknownMessage(0)
        return Content(
            text=False, parts=(encode(self._names.hide_in_message(message) if self._names else message),)
        )

    def _clean_text(self, raw: str, value: Value) -> dict[str, Any]:
        """Return a text frame, decoded as `value`, as the fields that a tape may hold. If speech is kept,
        only split the frame at its base64. If not, a transcript is rewritten without its words, and in any
        other frame speech in base64 is replaced by its fingerprint."""
        if self._keep_speech:
            kept_pieces = [
                (b64encode(blob), TapedPiece(blob, base64=True)) for blob in _decode_long_base64(raw)
            ]
            return {
                "raw": Content(text=True, parts=tuple(_split_frame(raw.encode(), kept_pieces, is_text=True)))
            }
        if isinstance(value, Note | Say) and self._wire is not None:
            # Transcripts hold what people said, too.
            wordless_event: Note | Say = value if isinstance(value, Note) else Say("")
            frames = self._wire.write_relay_event(wordless_event) if isinstance(wordless_event, Note) else ()
            wordless_frame = "".join(map(str, frames or self._wire.write_client_action(wordless_event)))
            return {"raw": Content(text=True, parts=(wordless_frame,))}
        hidden_pieces = [
            (b64encode(blob), self._hide_speech_in_piece(blob, value, base64=True))
            for blob in _decode_long_base64(raw)
        ]
        short_blobs = [blob for blob in _audio_or_motion_in(value) if 0 < len(blob) < SMALLEST_BLOB]
        for blob in short_blobs:
            # Searched with its quotes: short base64 could stand anywhere by chance.
            quoted_base64 = b'"' + b64encode(blob) + b'"'
            hidden_pieces.append((quoted_base64, self._hide_speech_in_piece(blob, value, base64=True)))
        parts = _split_frame(raw.encode(), hidden_pieces, is_text=True)
        return self._keep_or_take_out(raw.encode(), is_text=True, parts=parts, value=value)

    def _keep_or_take_out(
        self, raw: bytes, is_text: bool, parts: list[ContentPart], value: Value
    ) -> dict[str, Any]:
        """Return the fields of a taped event for a frame that was decoded as `value`; `parts` is the frame
        after its names and speech were hidden. Its framing (the parts that are neither speech nor motion)
        might hide speech that was not recognised. The whole frame is taken out if its framing is too large,
        or if it is binary and was not understood."""
        framing_bytes = sum(len(part) for part in parts if not isinstance(part, TapedPiece))
        understood = not isinstance(value, NotUnderstood | Unclear | Undecodable)
        may_be_kept = is_text or understood
        max_framing_bytes = _MAX_TEXT_FRAMING if understood and is_text else _MAX_FRAMING
        if framing_bytes <= max_framing_bytes and may_be_kept:
            return {"raw": Content(is_text, tuple(parts))}
        return self._replace_by_fingerprint(raw, value)

    def _replace_by_fingerprint(self, raw: bytes, value: Value) -> dict[str, Any]:
        """Return the fields of a taped event whose frame is taken out: a fingerprint in place of the whole
        frame, as if it were speech, and the reason. `value` is the decoded frame, or says why it was not
        understood."""
        reason = value.reason if isinstance(value, NotUnderstood | Unclear | Undecodable) else "taken out"
        return {
            "raw": Content(text=False, parts=(TapedPiece(compute_fingerprint(raw)),)),
            "reason": self._hide_names(reason),
        }

    def _hide_speech_in_piece(self, blob: bytes, value: Value, *, base64: bool = False) -> TapedPiece:
        """Return `blob`, audio or motion in a frame, as the piece that a tape may hold. Motion is kept if it
        can be decoded. Everything else is treated as speech, because it may be a person's voice. `base64`:
        the frame holds the bytes in base64."""
        is_motion = isinstance(value, Motion) and blob in value.payloads
        if is_motion and isinstance(read_upstream(blob), MotionResponse):
            return TapedPiece(blob, base64)
        return self._speech_piece(blob, base64=base64)


def _find_trailing_speech(event: Event) -> bytes:
    """Return the speech at the end of an event's frame, if the event is the usual message to Motion Server: a
    few bytes, then audio. Return b"" for any other event: a slower way must find the names and the speech in
    it."""
    content = event.content
    if type(content) is Received and event.lane is _UPSTREAM and not content.part:
        raw, value = content.raw, content.value
        if type(value) is AudioInput and type(raw) is bytes:
            audio, audio_length = value.audio, len(value.audio)
            if (
                audio_length >= SMALLEST_BLOB
                and len(raw) - audio_length <= _MAX_FRAMING
                and raw.endswith(audio)
            ):
                return audio
    return b""


def _audio_or_motion_in(value: Value) -> tuple[bytes, ...]:
    """Return the audio or the motion payloads in a frame that was decoded as `value`; an empty tuple if it
    has neither. For a tape, these bytes are cleaned apart from the rest of the frame."""
    match value:
        case AudioInput(audio=pcm) | Audio(pcm) | Speak(pcm):
            return (pcm,) if pcm else ()
        case Motion(payloads):
            return payloads
    return ()


def _decode_long_base64(raw: str) -> list[bytes]:
    """Return the bytes behind each long piece of base64 (86 characters or more) in a text frame; they may be
    speech. A piece is left out if encoding its bytes would give other text: a tape could not restore the
    frame exactly."""
    blobs = []
    for encoded in _LONG_BASE64.findall(raw.encode()):
        try:
            blob = b64decode(encoded, validate=True)
        except ValueError:
            continue
        if b64encode(blob) == encoded:
            blobs.append(blob)
    return blobs


def _split_frame(
    raw: bytes, pieces: list[tuple[bytes, TapedPiece]], *, is_text: bool = False
) -> list[ContentPart]:
    """Split a frame into parts for a tape, so that the audio and the motion in it (`pieces`) stand apart from
    the rest: speech can then be hidden without a change of the bytes around it. Return the parts in the order
    of the frame.

    Each of `pieces` is a pair: the bytes of the frame that are replaced, and what stands on the tape in their
    place. A piece whose bytes do not occur is ignored. If there would be more than MAX_PARTS parts, the rest
    of the frame stays in one."""
    parts: list[ContentPart] = []
    occurring = [(piece_bytes, piece) for piece_bytes, piece in pieces if piece_bytes and piece_bytes in raw]
    for piece_bytes, piece in sorted(occurring, key=lambda pair: raw.index(pair[0])):
        bytes_before, found_bytes, bytes_after = raw.partition(piece_bytes)
        # Still to come at least: the bytes before the piece, the piece, and the rest; one part is spare.
        if not found_bytes or len(parts) + 4 > MAX_PARTS:
            continue
        # Short base64 was searched together with the quotes around it. They are no speech, so one is added to
        # the part before it, and one to the part after it.
        quote = b'"' if is_text and piece_bytes[:1] == b'"' else b""
        parts += [_restore_literal(bytes_before + quote, is_text), piece]
        raw = quote + bytes_after
    parts.append(_restore_literal(raw, is_text))
    return [part for part in parts if part]


def _restore_literal(raw: bytes, text: bool) -> str | bytes:
    """Return bytes of a frame as a str if the frame was text, else as they are."""
    return raw.decode() if text else raw
