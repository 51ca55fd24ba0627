"""How many bytes a message takes on each layer: its wire, WebSocket (RFC 6455), TLS 1.3 (RFC 8446)."""

from enum import Enum

TLS_RECORD_BYTES = 16384
"""The most bytes of data in one TLS record."""

TLS_OVERHEAD = 22
"""Bytes that TLS adds to a record: 5 of header, 1 of content type, 16 of authentication."""

_AUDIO_JSON = len('{"type": "avatar_audio", "audio": "", "isLast": false, "turnId": "c1-turn-0"}')
_MOTION_JSON = len('{"type": "avatar_frames", "frames": [], "isLast": false, "turnId": "c1-turn-0"}')
_QUOTES, _COMMA = 2, 2
_BINARY_HEADER_BYTES, _LENGTH_BYTES = 6, 4
"""What binary-header adds to a message with motion (its header, the number of payloads), and to a payload."""

KEYFRAME_BYTES = 498
"""Bytes of one keyframe in a payload (recording: a Flame of 495 bytes, and 3 bytes that frame it)."""

PAYLOAD_BYTES = 70
"""Bytes of a payload around its keyframes: the ids, the end mark, lengths (ids of the usual length)."""

AUDIO_UP_BYTES = 48
"""Bytes that the envelope adds to a chunk of audio that goes up to Motion Server."""


class WireKind(Enum):
    """How a wire carries bytes: in base64 within JSON, as json-envelope does, or as binary-header's frames
    do. The published binary relay sends no audio down; here both wires bring audio and motion."""

    JSON = "json"
    BINARY = "binary"


def base64_length(size: int) -> int:
    """Return how many characters `size` bytes take in base64."""
    return -(-size // 3) * 4


def count_audio_message_bytes(wire: WireKind, audio_bytes: int) -> int:
    """Return how many bytes a message has on this wire that carries `audio_bytes` bytes of audio."""
    return 2 + audio_bytes if wire is WireKind.BINARY else _AUDIO_JSON + base64_length(audio_bytes)


def count_motion_message_bytes(wire: WireKind, payload_sizes: list[int]) -> int:
    """Return how many bytes one message with motion has on this wire (the message format between a relay and
    its client). `payload_sizes` are the bytes of each motion payload in it. A JSON wire carries them in
    base64."""
    if wire is WireKind.BINARY:
        return _BINARY_HEADER_BYTES + sum(_LENGTH_BYTES + size for size in payload_sizes)
    text_bytes = sum(_QUOTES + base64_length(size) for size in payload_sizes)
    return _MOTION_JSON + text_bytes + _COMMA * (len(payload_sizes) - 1)


def count_bytes_on_tcp(message_bytes: int, *, masked: bool = False) -> int:
    """Return how many bytes TCP carries for a WebSocket message of `message_bytes` bytes: the message, and
    what WebSocket and TLS add. `masked` is true for a message from a client, because a mask takes 4 bytes
    more."""
    header_bytes = 2 if message_bytes < 126 else 4 if message_bytes < 65536 else 10
    frame_bytes = message_bytes + header_bytes + (4 if masked else 0)
    tls_records = -(-frame_bytes // TLS_RECORD_BYTES)
    return frame_bytes + TLS_OVERHEAD * tls_records
