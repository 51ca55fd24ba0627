"""Puts a packet of motion into an encoded video frame, and takes it out again.

H.264: an SEI NAL unit with the payload type 101, without a UUID, in an Annex B stream (ios-rtc, sure).
Readers accept the payload type 5 too. VP8: after the frame, before the packet's length and a mark. That place
is ASSUMED: it is not public; a VP8 decoder never looks there.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.room_packet import MAX_PACKET_BYTES


class Container(StrEnum):
    """How a packet travels in a video frame. The documents contradict each other (docs:livekit says VP8,
    demo-rtc says SEI), so there are both."""

    H264_SEI = "h264-sei"
    VP8 = "vp8"


MOTION_SEI = 101
UNREGISTERED_SEI = 5
"""The payload types of SEI messages that may hold a packet. x264 signs its first frame with one of type 5."""

_SEI_UNIT = 6
_SLICES = (1, 5)
_KEY_SLICE = 5
_UNIT_TYPE_BITS = 0x1F
_START_CODE = b"\x00\x00\x00\x01"
_ANY_START_CODE = re.compile(b"\x00\x00\x00?\x01")
_STOP_BIT = 0x80
_MAX_BYTE = 255
_MAX_ESCAPED_BYTES = 2 * MAX_PACKET_BYTES

_VP8_MARK = b"SPTM"
_VP8_TAIL_BYTES = 8


def put_packet(container: Container, frame: bytes, packet: bytes) -> bytes:
    """Return the video frame with this packet of motion put into it, in the given container. Raises
    RemoteProtocolError for an H.264 frame without a slice (the part that holds the picture)."""
    return _put_into_h264(frame, packet) if container is Container.H264_SEI else _put_into_vp8(frame, packet)


def take_packets(container: Container, frame: bytes) -> list[bytes]:
    """Return the packets of motion in a video frame, in order; an empty list if it holds none. They are SEI
    messages of an H.264 frame, or the one packet after a VP8 frame. Raises RemoteProtocolError for an SEI
    message that is cut off or too large, and for a VP8 packet with an impossible length."""
    if container is Container.H264_SEI:
        return [
            payload
            for payload_type, payload in _read_sei_messages(frame)
            if payload_type in (MOTION_SEI, UNREGISTERED_SEI)
        ]
    if frame[-4:] != _VP8_MARK or len(frame) < _VP8_TAIL_BYTES:
        return []
    length = int.from_bytes(frame[-_VP8_TAIL_BYTES:-4], "little")
    if length > min(MAX_PACKET_BYTES, len(frame) - _VP8_TAIL_BYTES):
        raise RemoteProtocolError(f"a VP8 frame of {len(frame)} bytes names a packet of {length} bytes")
    return [frame[-_VP8_TAIL_BYTES - length : -_VP8_TAIL_BYTES]]


def remove_sei_units(frame: bytes) -> bytes:
    """Return an H.264 video frame without its SEI units: the encoder's signature in them could be taken for a
    packet of motion."""
    units = [unit for unit in _split_into_units(frame) if unit[0] & _UNIT_TYPE_BITS != _SEI_UNIT]
    return b"".join(_START_CODE + unit for unit in units)


def is_key_frame(container: Container, frame: bytes) -> bool:
    """Return whether this video frame is a key frame: one that a viewer can decode without earlier frames."""
    if container is Container.H264_SEI:
        return any(unit[0] & _UNIT_TYPE_BITS == _KEY_SLICE for unit in _split_into_units(frame))
    # The lowest bit of a VP8 frame is 0 for a key frame (RFC 6386 section 9.1).
    return frame[:1] != b"" and not frame[0] & 1


def _put_into_vp8(frame: bytes, packet: bytes) -> bytes:
    """Return a VP8 video frame with a packet of motion after it, then the packet's length and the mark."""
    return frame + packet + len(packet).to_bytes(4, "little") + _VP8_MARK


def _put_into_h264(frame: bytes, packet: bytes) -> bytes:
    """Return an H.264 video frame with this packet of motion in an SEI unit before its first slice, the first
    part that holds the picture (H.264, 7.4.1.2.3). Raises RemoteProtocolError if the frame has no slice."""
    units = _split_into_units(frame)
    for index, unit in enumerate(units):
        if unit[0] & _UNIT_TYPE_BITS in _SLICES:
            units.insert(index, _make_sei_unit(packet))
            return b"".join(_START_CODE + unit for unit in units)
    raise RemoteProtocolError("an H.264 frame without a slice takes no packet")


def _make_sei_unit(packet: bytes) -> bytes:
    """Return an SEI unit (the part of an H.264 video frame for extra data) that holds this packet of motion.
    Start codes in the packet are escaped, so that no reader takes its bytes for the next unit (H.264, 7.3.1
    and 7.3.2.3)."""
    full_byte_count, last_byte = divmod(len(packet), _MAX_BYTE)
    message = (
        bytes([MOTION_SEI]) + b"\xff" * full_byte_count + bytes([last_byte]) + packet + bytes([_STOP_BIT])
    )
    return bytes([_SEI_UNIT]) + _escape_start_codes(message)


def _escape_start_codes(content: bytes) -> bytes:
    """Return the content of a unit of an encoded H.264 video frame, changed so that no start code (00 00 01)
    can be found in it: a byte 03 is put after two zeros if a byte up to 03 follows. (H.264 names this
    emulation prevention.)"""
    escaped, zero_count = bytearray(), 0
    for byte in content:
        if zero_count == 2 and byte <= 3:
            escaped.append(3)
            zero_count = 0
        escaped.append(byte)
        zero_count = zero_count + 1 if byte == 0 else 0
    return bytes(escaped)


def _unescape_start_codes(content: bytes) -> bytes:
    """Return the content of an H.264 unit without the bytes that `_escape_start_codes` put into it."""
    return content.replace(b"\x00\x00\x03", b"\x00\x00")


def _split_into_units(frame: bytes) -> list[bytes]:
    """Return the NAL units of an encoded H.264 video frame (Annex B), without the start codes before them.
    Empty units are left out."""
    start_codes = list(_ANY_START_CODE.finditer(frame))
    unit_ends = [code.start() for code in start_codes] + [len(frame)]
    units = [frame[code.end() : end] for code, end in zip(start_codes, unit_ends[1:], strict=True)]
    return [unit for unit in units if unit]


def _read_sei_messages(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the payload type and the payload of each SEI message (a piece of extra data) in an H.264 video
    frame. Raises RemoteProtocolError for a message that is cut off or too large."""
    for unit in _split_into_units(frame):
        if unit[0] & _UNIT_TYPE_BITS != _SEI_UNIT:
            continue
        if len(unit) > _MAX_ESCAPED_BYTES:
            raise RemoteProtocolError(f"an SEI unit of {len(unit)} bytes is larger than any packet")
        content = _unescape_start_codes(unit[1:]).rstrip(b"\x00")
        index = 0
        while index < len(content) - 1:
            payload_type, index = _read_number(content, index)
            length, index = _read_number(content, index)
            if index + length > len(content):
                raise RemoteProtocolError(
                    f"an SEI message of {length} bytes is cut off after {len(content) - index}"
                )
            yield payload_type, content[index : index + length]
            index += length


def _read_number(content: bytes, index: int) -> tuple[int, int]:
    """Return a number in an SEI message, which begins at `index`, and the index after it. Each byte FF adds
    255, and the first other byte ends the number (H.264, 7.3.2.3.1). Raises RemoteProtocolError if the number
    is cut off."""
    number = 0
    while content[index : index + 1] == b"\xff":
        number += _MAX_BYTE
        index += 1
    if index >= len(content):
        raise RemoteProtocolError("the head of an SEI message is cut off")
    return number + content[index], index + 1
