"""Makes malformed frames from a frame of the relay's wire."""

import json
from hashlib import shake_128
from typing import Any

from spatius_sim.plans.turn_behaviour import MalformedInput
from spatius_sim.wires import Wire
from spatius_sim.wires.events import Frame, InterruptTurn, Speak, SpeakEnd

_NESTING_DEPTH = 3000
_LARGE_BYTES = 256 * 1024
_NO_TYPE = "no-such-type"
_VALUES_OF_ALL_TYPES: tuple[Any, ...] = (None, 7, -1.5, True, [], {}, "?")


def make_malformed_frames(kind: MalformedInput, wire: Wire, pcm: bytes) -> list[Frame]:
    """Return the frames that a client sends to a relay as malformed input of this kind. Some kinds change a
    valid frame, which carries the audio `pcm` in the message format `wire`. A broken WebSocket frame is not a
    message: for this kind, return []."""
    valid_frames = wire.write_client_action(Speak(pcm))
    speech_frame = valid_frames[0] if valid_frames else ""
    match kind:
        case MalformedInput.TEXT:
            return ["hello", '{"type":', "\x00\ufeff\u202e", "null", "[]", "7"]
        case MalformedInput.BINARY:
            return [shake_128(b"rubbish").digest(512), bytes(64), b"\xff" * 64]
        case MalformedInput.EMPTY:
            return ["", b""]
        case MalformedInput.HALF:
            return [speech_frame[: len(speech_frame) // 2]]
        case MalformedInput.OTHER_TYPES:
            return _make_frames_with_wrong_types(speech_frame)
        case MalformedInput.UNKNOWN:
            return [json.dumps({"type": _NO_TYPE}), json.dumps({_NO_TYPE: 1}), json.dumps({})]
        case MalformedInput.DEEP:
            return [
                "[" * _NESTING_DEPTH + "]" * _NESTING_DEPTH,
                '{"type":' * _NESTING_DEPTH + "1" + "}" * _NESTING_DEPTH,
            ]
        case MalformedInput.LARGE:
            return ["x" * _LARGE_BYTES if isinstance(speech_frame, str) else bytes(_LARGE_BYTES)]
        case MalformedInput.OUT_OF_PLACE:
            return [*wire.write_client_action(SpeakEnd()), *wire.write_client_action(InterruptTurn())]
        case MalformedInput.BROKEN_FRAME:
            return []


def _make_frames_with_wrong_types(frame: Frame) -> list[Frame]:
    """Return copies of a frame, which holds a JSON object; in each copy, one value has a wrong type. If the
    frame holds no JSON object, return only this frame with all bits inverted."""
    try:
        message = json.loads(frame)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raw = frame.encode() if isinstance(frame, str) else frame
        return [bytes(byte ^ 0xFF for byte in raw)]
    return [
        json.dumps(message | {key: value})
        for key in message
        for value in _VALUES_OF_ALL_TYPES
        if type(value) is not type(message[key]) or key == "type"
    ]
