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
from spatius_sim.wires.read_frames_once import remember_results

_NAME = "typed-json"


class TypedJson:
    """The typed-json wire."""

    name = _NAME
    lacks = frozenset({MOTION_END, TURN_IDS, INTERRUPTS, ERRORS})
    greets = False
    speech_pause = 0.0
    http_paths = ()
    declaration = ""

    def read_relay_frame(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Decode a frame that a relay sent in the typed-json format, and return its event in a tuple. A bad
        frame gives NotUnderstood, with the reason; no error is raised."""
        try:
            return (_read_event(json_object(frame, _NAME)),)
        except NotUnderstoodError as error:
            return (NotUnderstood(str(error)),)

    def write_relay_event(self, event: RelayEvent) -> tuple[str, ...]:
        """Encode an event of a relay in the typed-json format, and return the frame in a tuple. Return an
        empty tuple if this format has no message for the event: it has only audio and motion, and no message
        that only marks the end of motion. For NotUnderstood, the frame is the text of its `reason`."""
        match event:
            case Audio(pcm, last):
                return (_write_audio_frame(pcm, last),)
            case Motion((), last=True):
                return ()
            case Motion(payloads):
                return (json.dumps({"type": "motion", "data": list(map(base64_text, payloads))}),)
            case NotUnderstood(reason):
                return (reason,)
        return ()

    def read_client_frame(self, frame: Frame) -> ClientAction:
        """Decode a frame that a client sent in the typed-json format, and return the action that the client
        asks for. A bad frame gives Unclear, with the reason; no error is raised."""
        return _read_action(frame)

    def write_client_action(self, action: ClientAction) -> tuple[str, ...]:
        """Encode an action of a client in the typed-json format, and return the frame in a tuple. Return an
        empty tuple if this format has no message for the action; it has only audio. For Unclear, which no
        relay understands, the frame is the text of its `reason`."""
        match action:
            case Speak(pcm, last):
                return (_write_audio_frame(pcm, last),)
            case SpeakEnd():
                return (_write_audio_frame(b"", is_end=True),)
            case Unclear(reason):
                return (reason,)
        return ()


def _write_audio_frame(pcm: bytes, is_end: bool) -> str:
    """Return the typed-json text frame with this audio and end mark."""
    return json.dumps({"type": "audio", "data": base64_text(pcm), "end": is_end})


@remember_results
def _read_action(frame: Frame) -> ClientAction:
    """Decode a frame of a typed-json client, and return the client's action: Speak, because clients send only
    audio. A bad frame gives Unclear, with the reason."""
    try:
        message = json_object(frame, _NAME)
        if message.get("type") != "audio":
            raise NotUnderstoodError(f"type {message.get('type')!r} is not one of a {_NAME} client's")
        return Speak(base64_bytes(message.get("data"), "data"), optional_flag(message, "end"))
    except NotUnderstoodError as error:
        return Unclear(str(error))


def _read_event(message: dict[str, Any]) -> RelayEvent:
    """Return the event (Audio or Motion) in a typed-json message of a relay. Raises NotUnderstoodError if the
    message has another type or a bad field."""
    match message.get("type"):
        case "audio":
            return Audio(base64_bytes(message.get("data"), "data"), optional_flag(message, "end"))
        case "motion":
            payloads = message.get("data")
            if not isinstance(payloads, list):
                raise NotUnderstoodError("motion.data is not a list")
            return Motion(tuple(base64_bytes(payload, "data") for payload in payloads))
        case other_type:
            raise NotUnderstoodError(f"type {other_type!r} is not one of a {_NAME} relay's")
