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
from spatius_sim.wires.read_frames_once import remember_frames


class _Type(IntEnum):
    """The first byte of a frame: what the payload is."""

    AUDIO = 1
    MOTION = 2
    METADATA = 3
    ERROR = 4


_LAST_FLAG = 1
_HEADER = Struct(">BB")
_U32 = Struct(">I")


class BinaryHeader:
    """The binary-header wire."""

    name = "binary-header"
    lacks = frozenset({AUDIO, SEVERAL_TURNS, TURN_IDS, INTERRUPTS})
    greets = True
    speech_pause = 0.0
    http_paths = ()
    declaration = ""

    def read_relay(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Return what a frame of a binary-header relay says, as one event. A bad frame becomes NotUnderstood;
        no error is raised."""
        try:
            return (_relay_event(*_split_frame(frame)),)
        except NotUnderstoodError as fault:
            return (NotUnderstood(str(fault)),)

    def write_relay(self, event: RelayEvent) -> tuple[Frame, ...]:
        """Write an event of a relay as a frame of the binary-header wire, and return the frame in a tuple.
        Return an empty tuple if the wire has no frame for the event (it has none for audio)."""
        match event:
            case Ready(session_id, output_rate):
                metadata = {"sample_rate": output_rate, "channels": 1, "connection_id": session_id}
                return (_write_frame(_Type.METADATA, _json_bytes(metadata)),)
            case Motion(payloads, last):
                count = _U32.pack(len(payloads))
                payloads_with_lengths = (_U32.pack(len(payload)) + payload for payload in payloads)
                return (_write_frame(_Type.MOTION, b"".join([count, *payloads_with_lengths]), last),)
            case Failed(message):
                return (_write_frame(_Type.ERROR, _json_bytes({"error": message})),)
            case NotUnderstood(reason):
                return (reason,)
        return ()

    def read_client(self, frame: Frame) -> ClientAction:
        """Return what a frame of a binary-header client asks for. A bad frame becomes Unclear; no error is
        raised."""
        return _read_client(frame)

    def write_client(self, action: ClientAction) -> tuple[Frame, ...]:
        """Write an action of a client as a frame of the binary-header wire, and return the frame in a tuple.
        An `Unclear` action is rubbish that the client sends as it is. Return an empty tuple if the wire has
        no frame for the action."""
        match action:
            case Start(sample_rate, avatar_id):
                avatar = {"avatar_id": avatar_id} if avatar_id else {}
                return (json.dumps({"action": "start", **avatar, "sample_rate": sample_rate}),)
            case Speak(pcm, last):
                return (_write_frame(_Type.AUDIO, pcm, last),)
            case SpeakEnd():
                return (_write_frame(_Type.AUDIO, b"", last=True),)
            case Unclear(reason):
                return (reason,)
        return ()


@remember_frames
def _read_client(frame: Frame) -> ClientAction:
    """Return what a frame of a binary-header client asks for; Unclear for a bad frame."""
    try:
        if isinstance(frame, str):
            return _read_start(parse_json(frame))
        kind, last, payload = _split_frame(frame)
        if kind != _Type.AUDIO:
            raise NotUnderstoodError(f"type {kind:#04x} is not one of a binary-header client's")
        return Speak(payload, last)
    except NotUnderstoodError as fault:
        return Unclear(str(fault))


def _write_frame(kind: int, payload: bytes, last: bool = False) -> bytes:
    """Return a frame of type `kind`: its header, then the payload."""
    return _HEADER.pack(kind, _LAST_FLAG if last else 0) + payload


def _json_bytes(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _split_frame(frame: Frame) -> tuple[int, bool, bytes]:
    """Return a binary-header frame's type, whether the frame is marked as the last, and its payload. Raises
    NotUnderstoodError for a text frame, or for a frame without a whole header."""
    if isinstance(frame, str):
        raise NotUnderstoodError("a text frame; a binary-header relay sends binary frames")
    if len(frame) < _HEADER.size:
        raise NotUnderstoodError(f"{len(frame)} bytes; a header alone has {_HEADER.size}")
    kind, flags = _HEADER.unpack_from(frame)
    return kind, bool(flags & _LAST_FLAG), frame[_HEADER.size :]


def _read_start(message: dict[str, Any]) -> Start:
    """Return the start message in a client's JSON; raises NotUnderstoodError for any other message."""
    if message.get("action") != "start":
        raise NotUnderstoodError(f"action {message.get('action')!r} is not start")
    return Start(read_rate(message.get("sample_rate")), optional_text(message, "avatar_id"))


def _relay_event(kind: int, last: bool, payload: bytes) -> RelayEvent:
    """Return what a binary-header relay says by a frame with this type, end mark and payload. Raises
    NotUnderstoodError for a type that no relay sends, and for a payload that cannot be read."""
    match kind:
        case _Type.MOTION:
            return Motion(_read_payloads(payload), last)
        case _Type.METADATA:
            metadata = parse_json(payload)
            sample_rate = read_rate(metadata.get("sample_rate"))
            return Ready(optional_text(metadata, "connection_id"), sample_rate, sample_rate)
        case _Type.ERROR:
            return Failed(optional_text(parse_json(payload), "error"))
    raise NotUnderstoodError(f"type {kind:#04x} is not one of a binary-header relay's")


def _read_payloads(body: bytes) -> tuple[bytes, ...]:
    """Return the motion payloads in the body of a binary-header frame. In the body, first comes the number of
    payloads, then each payload after its length. Raises NotUnderstoodError if the number or a length does not
    fit the body."""
    end = _U32.size
    count = _read_number(body, 0)
    payloads: list[bytes] = []
    while end < len(body) and len(payloads) < count:
        start = end + _U32.size
        end = start + _read_number(body, end)
        if end > len(body):
            raise NotUnderstoodError(f"payload {len(payloads) + 1} breaks off")
        payloads.append(body[start:end])
    if len(payloads) != count or end < len(body):
        raise NotUnderstoodError(f"{count} payloads are announced, and not there")
    return tuple(payloads)


def _read_number(data: bytes, start: int) -> int:
    """Return the u32 at byte `start` of a binary-header frame's body. Raises NotUnderstoodError if the body
    ends within this number."""
    if start + _U32.size > len(data):
        raise NotUnderstoodError("a count or a length breaks off")
    number: int = _U32.unpack_from(data, start)[0]
    return number
