"""typed-json: the wire of third-party apps (protocol.md section 4).

Frames are JSON texts, with binary as base64: `{"type":"audio","data":...,"end":...}` and
`{"type":"motion","data":[...]}`. Nobody has seen what a client sends: we take it to be the same audio message
(ASSUMED).
"""

import json
from typing import Any

from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Frame,
    Motion,
    NotUnderstood,
    RelayEvent,
    Speak,
    SpeakEnd,
    Unclear,
)
from spatius_sim.wires.json_fields import (
    NotUnderstoodError,
    base64_bytes,
    base64_text,
    json_object,
    optional_flag,
)
from spatius_sim.wires.optional_features import ERRORS, INTERRUPTS, MOTION_END, TURN_IDS
from spatius_sim.wires.read_frames_once import remember_frames

_NAME = "typed-json"


class TypedJson:
    """The typed-json wire."""

    name = _NAME
    lacks = frozenset({MOTION_END, TURN_IDS, INTERRUPTS, ERRORS})
    greets = False
    speech_pause = 0.0
    http_paths = ()
    declaration = ""

    def read_relay(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Return what a frame of a typed-json relay says, as one event. A bad frame becomes NotUnderstood; no
        error is raised."""
        try:
            return (_relay_event(json_object(frame, _NAME)),)
        except NotUnderstoodError as fault:
            return (NotUnderstood(str(fault)),)

    def write_relay(self, event: RelayEvent) -> tuple[str, ...]:
        """Return the text frame by which a typed-json relay says `event`; an empty tuple if this wire has no
        message for the event."""
        match event:
            case Audio(pcm, last):
                return (_audio_frame(pcm, last),)
            case Motion((), last=True):
                return ()
            case Motion(payloads):
                return (json.dumps({"type": "motion", "data": list(map(base64_text, payloads))}),)
            case NotUnderstood(reason):
                return (reason,)
        return ()

    def read_client(self, frame: Frame) -> ClientAction:
        """Return what a frame of a typed-json client asks for. A bad frame becomes Unclear; no error is
        raised."""
        return _read_client(frame)

    def write_client(self, action: ClientAction) -> tuple[str, ...]:
        """Return the text frame by which a typed-json client asks for `action`; an empty tuple if this wire
        has no message for the action."""
        match action:
            case Speak(pcm, last):
                return (_audio_frame(pcm, last),)
            case SpeakEnd():
                return (_audio_frame(b"", end=True),)
            case Unclear(reason):
                return (reason,)
        return ()


def _audio_frame(pcm: bytes, end: bool) -> str:
    """Return the typed-json text frame with this audio and end mark."""
    return json.dumps({"type": "audio", "data": base64_text(pcm), "end": end})


@remember_frames
def _read_client(frame: Frame) -> ClientAction:
    """Return what a frame of a typed-json client asks for; Unclear for a bad frame."""
    try:
        message = json_object(frame, _NAME)
        if message.get("type") != "audio":
            raise NotUnderstoodError(f"type {message.get('type')!r} is not one of a {_NAME} client's")
        return Speak(base64_bytes(message.get("data"), "data"), optional_flag(message, "end"))
    except NotUnderstoodError as fault:
        return Unclear(str(fault))


def _relay_event(message: dict[str, Any]) -> RelayEvent:
    """Return the event that a typed-json message of a relay says. Raises NotUnderstoodError for an unknown
    type or a bad field."""
    match message.get("type"):
        case "audio":
            return Audio(base64_bytes(message.get("data"), "data"), optional_flag(message, "end"))
        case "motion":
            payloads = message.get("data")
            if not isinstance(payloads, list):
                raise NotUnderstoodError("motion.data is not a list")
            return Motion(tuple(base64_bytes(payload, "data") for payload in payloads))
        case other:
            raise NotUnderstoodError(f"type {other!r} is not one of a {_NAME} relay's")
