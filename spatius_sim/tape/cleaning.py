"""Events to what a tape may hold: no names, and no speech unless it is asked for.

Secrets do not come this far: whoever records takes them out of live bytes before an event exists. What is not
understood is taken for speech.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, Message, MotionResponse, UnknownMessage
from spatius_sim.tape.blobs import SMALLEST_BLOB
from spatius_sim.tape.contents import Content, ContentPart, TapedEvent, TapedPiece
from spatius_sim.tape.names import Names
from spatius_sim.tape.packing import MOST_PARTS
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
from spatius_sim.trace.reading import read_upstream
from spatius_sim.trace.speech_mark import speech_mark, stand_in
from spatius_sim.wires.events import Audio, Motion, Note, NotUnderstood, Say, Speak, Unclear
from spatius_sim.wires.wire import Wire

_LONG_BASE64 = re.compile(rb"[A-Za-z0-9+/]{86,}={0,2}")
_MOST_FRAMING = 256
"""Bytes around speech and motion in a frame. More of them could hold speech that was not recognised."""


class Cleaner:
    """Cleans the events of one run, whose wire is `wire`."""

    def __init__(self, wire: Wire | None, names: Names | None, *, keep_speech: bool) -> None:
        self._wire, self._names, self._keep_speech = wire, names, keep_speech

    def clean(self, event: Event, start_ns: int = 0) -> TapedEvent:
        """The event as a tape may hold it, its time counted from `start_ns`."""
        what = event.what
        if isinstance(what, Sent | Received):
            plain = self._frame(event.lane, what.raw, what.value)
            if isinstance(what, Sent) and what.answers:
                plain["answers"] = self._plain(what.answers)
            elif isinstance(what, Received) and what.part:
                plain["part"] = what.part
        else:
            plain = self._fields(what)
        return TapedEvent(
            max(0, event.at_ns - start_ns), event.lane, event.connection, type(what).__name__, plain
        )

    def _fields(self, what: EventKind) -> dict[str, Any]:
        if isinstance(what, Opened | Refused) and self._names is not None:
            self._names.learn("app", what.app_id)
            self._names.learn("avatar", what.avatar_id)
        values = {field.name: getattr(what, field.name) for field in fields(what)}
        return {
            name: Content(False, (self._speech(value),)) if isinstance(value, bytes) else self._plain(value)
            for name, value in values.items()
            if name != "value"
        }

    def _plain(self, value: Any) -> Any:
        if isinstance(value, StrEnum):
            return str(value)
        if value and isinstance(value, str) and self._names is not None:
            return self._names.hide(value)
        return value

    def _speech(self, audio: bytes, *, base64: bool = False) -> TapedPiece:
        return TapedPiece(audio if self._keep_speech else speech_mark(audio), base64)

    def _frame(self, lane: Lane, raw: str | bytes, value: Value) -> dict[str, Any]:
        if isinstance(raw, str):
            raw = self._names.hide_in_json(raw) if self._names is not None else raw
            return self._text_frame(raw, value)
        if isinstance(value, MotionResponse):
            return {"raw": Content(False, (TapedPiece(raw),))}
        if self._keep_speech:
            known = _blobs_in(value)
            return {"raw": Content(False, tuple(_split(raw, [(blob, TapedPiece(blob)) for blob in known])))}
        if lane is Lane.UPSTREAM and not isinstance(value, Undecodable):
            return {"raw": self._message(raw, value)}
        pieces = [(blob, self._piece(blob, value)) for blob in _blobs_in(value)]
        return self._checked(raw, False, _split(raw, pieces), value)

    def _message(self, raw: bytes, value: Value) -> Content:
        """A message of the protocol that is no motion. What no field of it accounts for is left out."""
        match value:
            case AudioInput(audio=audio) if len(audio) < SMALLEST_BLOB:
                noise = stand_in(speech_mark(audio))
                return Content(False, (encode(replace(value, audio=noise)),))
            case AudioInput(audio=audio):
                usual = raw if len(raw) - len(audio) <= _MOST_FRAMING else encode(value)
                if usual.endswith(audio):
                    return Content(False, (usual[: -len(audio)], self._speech(audio)))
                before, _, rest = usual.partition(audio)
                return Content(False, (before, self._speech(audio), rest))
            case UnknownMessage():
                return Content(False, (encode(value),))
        known = value if isinstance(value, Message) else UnknownMessage(0)
        return Content(False, (encode(self._names.hide_in_message(known) if self._names else known),))

    def _text_frame(self, raw: str, value: Value) -> dict[str, Any]:
        if self._keep_speech:
            pieces = [(b64encode(blob), TapedPiece(blob, True)) for blob in _base64_in(raw)]
            return {"raw": Content(True, tuple(_split(raw.encode(), pieces, text=True)))}
        if isinstance(value, Note | Say) and self._wire is not None:
            # What was said stands in transcripts, too.
            bare: Note | Say = value if isinstance(value, Note) else Say("")
            frames = self._wire.write_relay(bare) if isinstance(bare, Note) else ()
            wordless = "".join(map(str, frames or self._wire.write_client(bare)))
            return {"raw": Content(True, (wordless,))}
        pieces = [(b64encode(blob), self._piece(blob, value, base64=True)) for blob in _base64_in(raw)]
        short = [blob for blob in _blobs_in(value) if 0 < len(blob) < SMALLEST_BLOB]
        for blob in short:
            pieces.append((b'"' + b64encode(blob) + b'"', self._piece(blob, value, base64=True)))
        return self._checked(raw.encode(), True, _split(raw.encode(), pieces, text=True), value)

    def _checked(self, raw: bytes, text: bool, parts: list[ContentPart], value: Value) -> dict[str, Any]:
        """The parts, unless what is around them is more than a frame needs: then speech stands for it."""
        around = sum(len(part) for part in parts if not isinstance(part, TapedPiece))
        understood = not isinstance(value, NotUnderstood | Unclear | Undecodable)
        kept = text or understood
        if around <= (4 * _MOST_FRAMING if understood and text else _MOST_FRAMING) and kept:
            return {"raw": Content(text, tuple(parts))}
        reason = value.reason if isinstance(value, NotUnderstood | Unclear | Undecodable) else "taken out"
        return {"raw": Content(False, (TapedPiece(speech_mark(raw)),)), "reason": self._plain(reason)}

    def _piece(self, blob: bytes, value: Value, *, base64: bool = False) -> TapedPiece:
        """A blob as it may be kept: motion as it is, everything else as speech."""
        said_motion = isinstance(value, Motion) and blob in value.payloads
        if said_motion and isinstance(read_upstream(blob), MotionResponse):
            return TapedPiece(blob, base64)
        return self._speech(blob, base64=base64)


def _blobs_in(value: Value) -> tuple[bytes, ...]:
    match value:
        case AudioInput(audio=pcm) | Audio(pcm) | Speak(pcm):
            return (pcm,) if pcm else ()
        case Motion(payloads):
            return payloads
    return ()


def _base64_in(raw: str) -> list[bytes]:
    """What stands in a text as long base64 in its one canonical form."""
    found = []
    for run in _LONG_BASE64.findall(raw.encode()):
        try:
            blob = b64decode(run, validate=True)
        except ValueError:
            continue
        if b64encode(blob) == run:
            found.append(blob)
    return found


def _split(raw: bytes, pieces: list[tuple[bytes, TapedPiece]], *, text: bool = False) -> list[ContentPart]:
    """The frame cut into what stands around the pieces, and the pieces, in the order in which they occur."""
    parts: list[ContentPart] = []
    occurring = [(wanted, piece) for wanted, piece in pieces if wanted and wanted in raw]
    for wanted, piece in sorted(occurring, key=lambda one: raw.index(one[0])):
        before, found, rest = raw.partition(wanted)
        if not found or len(parts) + 4 > MOST_PARTS:
            continue
        quoted = text and wanted[:1] == b'"'
        parts += [_literal(before + b'"' * quoted, text), piece]
        raw = b'"' * quoted + rest
    parts.append(_literal(raw, text))
    return [part for part in parts if part]


def _literal(raw: bytes, text: bool) -> str | bytes:
    return raw.decode() if text else raw
