"""Frames that no relay has a use for, made from one that its wire knows."""

import json
from hashlib import shake_128
from typing import Any

from spatius_sim.plans.behaviour import Rubbish
from spatius_sim.wires import Dialect
from spatius_sim.wires.events import Frame, InterruptTurn, Speak, SpeakEnd

_DEPTH = 3000
_LARGE_BYTES = 256 * 1024
_NO_TYPE = "no-such-type"
_OTHER_VALUES: tuple[Any, ...] = (None, 7, -1.5, True, [], {}, "?")


def rubbish_frames(rubbish: Rubbish, dialect: Dialect, pcm: bytes) -> list[Frame]:
    """The frames of one kind of rubbish; none for a broken WebSocket frame, which is no message."""
    frames = dialect.write_client(Speak(pcm))
    spoken = frames[0] if frames else ""
    match rubbish:
        case Rubbish.TEXT:
            return ["hello", '{"type":', "\x00\ufeff\u202e", "null", "[]", "7"]
        case Rubbish.BINARY:
            return [shake_128(b"rubbish").digest(512), bytes(64), b"\xff" * 64]
        case Rubbish.EMPTY:
            return ["", b""]
        case Rubbish.HALF:
            return [spoken[: len(spoken) // 2]]
        case Rubbish.OTHER_TYPES:
            return _of_other_types(spoken)
        case Rubbish.UNKNOWN:
            return [json.dumps({"type": _NO_TYPE}), json.dumps({_NO_TYPE: 1}), json.dumps({})]
        case Rubbish.DEEP:
            return ["[" * _DEPTH + "]" * _DEPTH, '{"type":' * _DEPTH + "1" + "}" * _DEPTH]
        case Rubbish.LARGE:
            return ["x" * _LARGE_BYTES if isinstance(spoken, str) else bytes(_LARGE_BYTES)]
        case Rubbish.OUT_OF_PLACE:
            return [*dialect.write_client(SpeakEnd()), *dialect.write_client(InterruptTurn())]
        case Rubbish.BROKEN_FRAME:
            return []


def _of_other_types(frame: Frame) -> list[Frame]:
    """The same message with every value of another type; bytes inverted where it is no JSON object."""
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
