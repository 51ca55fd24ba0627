"""How many bytes a message takes on each layer: its wire, WebSocket (RFC 6455), TLS 1.3 (RFC 8446)."""

from enum import Enum

TLS_RECORD_BYTES = 16384
"""The most bytes of data in one TLS record."""

TLS_OVERHEAD = 22
"""Bytes that TLS adds to a record: 5 of header, 1 of content type, 16 of authentication."""

_AUDIO_JSON = len('{"type": "avatar_audio", "audio": "", "isLast": false, "turnId": "c1-turn-0"}')
_MOTION_JSON = len('{"type": "avatar_frames", "frames": [], "isLast": false, "turnId": "c1-turn-0"}')
_QUOTES, _COMMA = 2, 2

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


def audio_message(wire: WireKind, size: int) -> int:
    """Return how many bytes a message has on this wire that brings a client `size` bytes of audio."""
    return 2 + size if wire is WireKind.BINARY else _AUDIO_JSON + base64_length(size)


def motion_message(wire: WireKind, sizes: list[int]) -> int:
    """Return the size in bytes of one message on this wire that brings a client motion payloads of these
    sizes: the payloads, in base64 if the wire needs it, and what the wire adds."""
    if wire is WireKind.BINARY:
        return 6 + sum(4 + size for size in sizes)
    texts = sum(_QUOTES + base64_length(size) for size in sizes)
    return _MOTION_JSON + texts + _COMMA * (len(sizes) - 1)


def bytes_on_tcp(size: int, *, masked: bool = False) -> int:
    """Return how many bytes TCP carries for a WebSocket message of `size` bytes, with the overhead of
    WebSocket and TLS. A client masks its messages (`masked`), which takes four bytes more."""
    header = 2 if size < 126 else 4 if size < 65536 else 10
    frame = size + header + (4 if masked else 0)
    return frame + TLS_OVERHEAD * -(-frame // TLS_RECORD_BYTES)
