"""binary-header: the wire of the vendor's host-mode server (protocol.md section 4).

Frames are binary, `[type u8][flags u8][payload]`, and flag bit 0 marks the last of its type. The client opens
with JSON text and brings the audio. The relay answers with metadata, returns only motion, and hangs up after
one request.
"""

import json
from enum import IntEnum
from struct import Struct
from typing import Any

from spatius_sim.wires.events import (
    ClientAction,
    Failed,
    Frame,
    Motion,
    NotUnderstood,
    Ready,
    RelayEvent,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)
from spatius_sim.wires.json_fields import NotUnderstoodError, optional_text, parse_json, read_rate
from spatius_sim.wires.optional_features import AUDIO, INTERRUPTS, SEVERAL_TURNS, TURN_IDS
from spatius_sim.wires.read_frames_once import remember_results


class _FrameType(IntEnum):
    """The first byte of a frame: what the payload is."""

    AUDIO = 1
    MOTION = 2
    METADATA = 3
    ERROR = 4


_LAST_FLAG = 1
_HEADER = Struct(">BB")
_UINT32 = Struct(">I")


class BinaryHeader:
    """The binary-header wire."""

    name = "binary-header"
    lacks = frozenset({AUDIO, SEVERAL_TURNS, TURN_IDS, INTERRUPTS})
    greets = True
    speech_pause = 0.0
    http_paths = ()
    declaration = ""

    def read_relay_frame(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Decode a frame that a relay sent in the binary-header format, and return its event in a tuple. A
        bad frame gives NotUnderstood, with the reason; no error is raised."""
        try:
            return (_read_event(*_split_frame(frame)),)
        except NotUnderstoodError as error:
            return (NotUnderstood(str(error)),)

    def write_relay_event(self, event: RelayEvent) -> tuple[Frame, ...]:
        """Encode an event of a relay in the binary-header format, and return the frame in a tuple. Return an
        empty tuple if this format has no frame for the event, such as Audio. The reason of NotUnderstood is
        sent as it is."""
        match event:
            case Ready(session_id, output_rate):
                metadata = {"sample_rate": output_rate, "channels": 1, "connection_id": session_id}
                return (_write_frame(_FrameType.METADATA, _json_bytes(metadata)),)
            case Motion(payloads, last):
                count = _UINT32.pack(len(payloads))
                payloads_with_lengths = (_UINT32.pack(len(payload)) + payload for payload in payloads)
                return (_write_frame(_FrameType.MOTION, b"".join([count, *payloads_with_lengths]), last),)
            case Failed(message):
                return (_write_frame(_FrameType.ERROR, _json_bytes({"error": message})),)
            case NotUnderstood(reason):
                return (reason,)
        return ()

    def read_client_frame(self, frame: Frame) -> ClientAction:
        """Decode a frame that a client sent in the binary-header format, and return the action that the
        client asks for. A bad frame gives Unclear, with the reason; no error is raised."""
        return _read_action(frame)

    def write_client_action(self, action: ClientAction) -> tuple[Frame, ...]:
        """Encode an action of a client in the binary-header format, and return the frame in a tuple. Return
        an empty tuple if this format has no frame for the action, such as Say. For Unclear, a bad frame that
        the kit sends on purpose, the frame is the text of its `reason`."""
        match action:
            case Start(sample_rate, avatar_id):
                avatar = {"avatar_id": avatar_id} if avatar_id else {}
                return (json.dumps({"action": "start", **avatar, "sample_rate": sample_rate}),)
            case Speak(pcm, last):
                return (_write_frame(_FrameType.AUDIO, pcm, last),)
            case SpeakEnd():
                return (_write_frame(_FrameType.AUDIO, b"", is_last=True),)
            case Unclear(reason):
                return (reason,)
        return ()


@remember_results
def _read_action(frame: Frame) -> ClientAction:
    """Decode a frame of a binary-header client (JSON text to start, then binary audio), and return the
    client's action. A bad frame gives Unclear, with the reason."""
    try:
        if isinstance(frame, str):
            return _read_start(parse_json(frame))
        frame_type, is_last, payload = _split_frame(frame)
        if frame_type != _FrameType.AUDIO:
            raise NotUnderstoodError(f"type {frame_type:#04x} is not one of a binary-header client's")
        return Speak(payload, is_last)
    except NotUnderstoodError as error:
        return Unclear(str(error))


def _write_frame(frame_type: int, payload: bytes, is_last: bool = False) -> bytes:
    """Return a binary-header frame: its header (the type, and whether it is the last frame of this type),
    then the payload."""
    return _HEADER.pack(frame_type, _LAST_FLAG if is_last else 0) + payload


def _json_bytes(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _split_frame(frame: Frame) -> tuple[int, bool, bytes]:
    """Split a binary-header frame, and return its type, whether it is marked as the last, and its payload.
    Raises NotUnderstoodError for a text frame, or for a frame without a whole header."""
    if isinstance(frame, str):
        raise NotUnderstoodError("a text frame; a binary-header relay sends binary frames")
    if len(frame) < _HEADER.size:
        raise NotUnderstoodError(f"{len(frame)} bytes; a header alone has {_HEADER.size}")
    frame_type, flags = _HEADER.unpack_from(frame)
    return frame_type, bool(flags & _LAST_FLAG), frame[_HEADER.size :]


def _read_start(message: dict[str, Any]) -> Start:
    """Return the Start in the JSON text with which a binary-header client begins. Raises NotUnderstoodError
    if this is another message."""
    if message.get("action") != "start":
        raise NotUnderstoodError(f"action {message.get('action')!r} is not start")
    return Start(read_rate(message.get("sample_rate")), optional_text(message, "avatar_id"))


def _read_event(frame_type: int, is_last: bool, payload: bytes) -> RelayEvent:
    """Return the event in a binary-header frame of a relay, given as the three parts of the frame. Raises
    NotUnderstoodError if no relay sends frames of this type, or if the payload cannot be decoded."""
    match frame_type:
        case _FrameType.MOTION:
            return Motion(_read_payloads(payload), is_last)
        case _FrameType.METADATA:
            metadata = parse_json(payload)
            sample_rate = read_rate(metadata.get("sample_rate"))
            return Ready(optional_text(metadata, "connection_id"), sample_rate, sample_rate)
        case _FrameType.ERROR:
            return Failed(optional_text(parse_json(payload), "error"))
    raise NotUnderstoodError(f"type {frame_type:#04x} is not one of a binary-header relay's")


def _read_payloads(body: bytes) -> tuple[bytes, ...]:
    """Return the motion payloads in the body of a binary-header frame. The body holds the number of payloads,
    and then each payload after its length. Raises NotUnderstoodError if the number or a length does not fit
    the body."""
    end = _UINT32.size
    announced_count = _read_uint32(body, 0)
    payloads: list[bytes] = []
    while end < len(body) and len(payloads) < announced_count:
        start = end + _UINT32.size
        end = start + _read_uint32(body, end)
        if end > len(body):
            raise NotUnderstoodError(f"payload {len(payloads) + 1} breaks off")
        payloads.append(body[start:end])
    if len(payloads) != announced_count or end < len(body):
        raise NotUnderstoodError(f"{announced_count} payloads are announced, and not there")
    return tuple(payloads)


def _read_uint32(body: bytes, start: int) -> int:
    """Return the unsigned 32-bit number that starts at byte `start` of the body of a binary-header frame.
    Raises NotUnderstoodError if the body ends before the number does."""
    if start + _UINT32.size > len(body):
        raise NotUnderstoodError("a count or a length breaks off")
    number: int = _UINT32.unpack_from(body, start)[0]
    return number
