"""Makes malformed frames from a frame of the relay's wire."""

import json
from hashlib import shake_128
from typing import Any

from spatius_sim.plans.behaviour import MalformedInput
from spatius_sim.wires import Wire
from spatius_sim.wires.events import Frame, InterruptTurn, Speak, SpeakEnd

_DEPTH = 3000
_LARGE_BYTES = 256 * 1024
_NO_TYPE = "no-such-type"
_OTHER_VALUES: tuple[Any, ...] = (None, 7, -1.5, True, [], {}, "?")


def malformed_frames(rubbish: MalformedInput, wire: Wire, pcm: bytes) -> list[Frame]:
    """Return the frames of one kind of rubbish; none for a broken WebSocket frame, because it is no
    message."""
    frames = wire.write_client(Speak(pcm))
    spoken = frames[0] if frames else ""
    match rubbish:
        case MalformedInput.TEXT:
            return ["hello", '{"type":', "\x00\ufeff\u202e", "null", "[]", "7"]
        case MalformedInput.BINARY:
            return [shake_128(b"rubbish").digest(512), bytes(64), b"\xff" * 64]
        case MalformedInput.EMPTY:
            return ["", b""]
        case MalformedInput.HALF:
            return [spoken[: len(spoken) // 2]]
        case MalformedInput.OTHER_TYPES:
            return _change_types(spoken)
        case MalformedInput.UNKNOWN:
            return [json.dumps({"type": _NO_TYPE}), json.dumps({_NO_TYPE: 1}), json.dumps({})]
        case MalformedInput.DEEP:
            return ["[" * _DEPTH + "]" * _DEPTH, '{"type":' * _DEPTH + "1" + "}" * _DEPTH]
        case MalformedInput.LARGE:
            return ["x" * _LARGE_BYTES if isinstance(spoken, str) else bytes(_LARGE_BYTES)]
        case MalformedInput.OUT_OF_PLACE:
            return [*wire.write_client(SpeakEnd()), *wire.write_client(InterruptTurn())]
        case MalformedInput.BROKEN_FRAME:
            return []


def _change_types(frame: Frame) -> list[Frame]:
    """Return the message again and again, each time with one value of another type. If the frame is no JSON
    object, return its bytes inverted."""
    try:
        message = json.loads(frame)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raw = frame.encode() if isinstance(frame, str) else frame
        return [bytes(byte ^ 0xFF for byte in raw)]
    return [
        json.dumps(message | {name: value})
        for name in message
        for value in _OTHER_VALUES
        if type(value) is not type(message[name]) or name == "type"
    ]
