"""Reads and writes the packets that carry motion in a room: `flags u8 · length u32le · payload`.

The payload is escaped (`00 FF` stands for `00`, `FF FF` for `FF`), deflated by zlib if the flag ZLIB is set,
and then holds `frameSeq u32le · protobuf`; packets of idle time and of transitions hold no frameSeq (ios-rtc,
sure for Agora). That the protobuf is an envelope with one keyframe is ASSUMED.
"""

import zlib
from dataclasses import dataclass
from enum import IntFlag

from spatius_sim.protocol.errors import RemoteProtocolError


class PacketFlag(IntFlag):
    """What a packet is (ios-rtc). A packet without a flag is a keyframe within a conversation."""

    IDLE = 0x01
    START = 0x02
    END = 0x04
    ZLIB = 0x08
    TRANSITION = 0x10
    """From idle to speech."""
    TRANSITION_END = 0x20
    """From speech back to idle."""


_KNOWN_FLAGS = 0x3F

WITHOUT_FRAME_SEQ = PacketFlag.IDLE | PacketFlag.TRANSITION | PacketFlag.TRANSITION_END

MAX_PACKET_BYTES = 65_536
"""The most bytes of a packet, and of its payload when inflated. ASSUMED: a hundred times one keyframe."""

HEADER_BYTES = 5
FRAME_SEQ_BYTES = 4
MAX_FRAME_SEQ = 2**32 - 1


@dataclass(frozen=True, slots=True)
class RoomPacket:
    """One packet that carries motion in a room. `frame_seq` counts the keyframes of a conversation from 0;
    None in idle time and in transitions. `message` is the protobuf, b"" if the packet has none."""

    flags: PacketFlag
    frame_seq: int | None = None
    message: bytes = b""


def write_packet(packet: RoomPacket, *, compress: bool = False) -> bytes:
    """Return a room packet as bytes: its flags, the length of its payload, and the payload, which is deflated
    if `compress`, and escaped. Raises ValueError if the packet lacks a frame_seq that its flags ask for, has
    one that they do not allow, or has one that is not a u32."""
    needs_frame_seq = not packet.flags & WITHOUT_FRAME_SEQ
    if needs_frame_seq != (packet.frame_seq is not None):
        raise ValueError("a packet of a conversation has a frame_seq, and no other packet has one")
    content = packet.message
    if packet.frame_seq is not None:
        if not 0 <= packet.frame_seq <= MAX_FRAME_SEQ:
            raise ValueError("frame_seq must lie between 0 and 2**32 - 1")
        content = packet.frame_seq.to_bytes(FRAME_SEQ_BYTES, "little") + content
    flags = packet.flags & ~PacketFlag.ZLIB
    if compress:
        flags |= PacketFlag.ZLIB
        content = zlib.compress(content)
    payload = escape(content)
    return bytes([flags]) + len(payload).to_bytes(4, "little") + payload


def read_packet(raw: bytes) -> RoomPacket:
    """Return the room packet in these bytes. All bytes after the header are the payload, whatever length the
    header names; only a length of 0 means no payload, as the vendor's iOS adapter reads it (ios-rtc). Raises
    RemoteProtocolError for bytes that are no packet, and for a payload that inflates to more than
    MAX_PACKET_BYTES."""
    if len(raw) < HEADER_BYTES:
        raise RemoteProtocolError(f"a packet has {HEADER_BYTES} bytes at least, this has {len(raw)}")
    if len(raw) > MAX_PACKET_BYTES:
        raise RemoteProtocolError(f"a packet of {len(raw)} bytes is larger than {MAX_PACKET_BYTES}")
    if raw[0] & ~_KNOWN_FLAGS:
        raise RemoteProtocolError(f"a packet has unknown flags: 0x{raw[0]:02x}")
    flags = PacketFlag(raw[0])
    has_payload = any(raw[1:HEADER_BYTES])
    content = unescape(raw[HEADER_BYTES:]) if has_payload else b""
    if flags & PacketFlag.ZLIB and content:
        content = _inflate(content)
    if flags & WITHOUT_FRAME_SEQ:
        return RoomPacket(flags, None, content)
    if len(content) < FRAME_SEQ_BYTES:
        raise RemoteProtocolError("a packet of a conversation has no frameSeq")
    return RoomPacket(flags, int.from_bytes(content[:FRAME_SEQ_BYTES], "little"), content[FRAME_SEQ_BYTES:])


def escape(content: bytes) -> bytes:
    """Return the payload of a room packet, escaped: `00 FF` stands for `00`, and `FF FF` for `FF`."""
    return content.replace(b"\xff", b"\xff\xff").replace(b"\x00", b"\x00\xff")


def unescape(escaped: bytes) -> bytes:
    """Undo `escape`: return the payload of a room packet with `00` instead of `00 FF`, and `FF` instead of
    `FF FF`. Raises RemoteProtocolError if a `00` or `FF` is not followed by `FF`."""
    unescaped = bytearray()
    index = 0
    while index < len(escaped):
        byte = escaped[index]
        unescaped.append(byte)
        if byte in (0x00, 0xFF):
            if escaped[index + 1 : index + 2] != b"\xff":
                raise RemoteProtocolError(f"the escape at byte {index} of a packet's payload is cut off")
            index += 1
        index += 1
    return bytes(unescaped)


def _inflate(content: bytes) -> bytes:
    """Return the inflated payload of a room packet. Raises RemoteProtocolError if it has more than
    MAX_PACKET_BYTES, if the deflated stream is cut off, or if the bytes are no such stream."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(content, MAX_PACKET_BYTES)
    except zlib.error as error:
        raise RemoteProtocolError(f"the payload of a packet cannot be inflated: {error}") from error
    if inflater.unconsumed_tail:
        raise RemoteProtocolError(f"the payload of a packet inflates to more than {MAX_PACKET_BYTES} bytes")
    if not inflater.eof:
        raise RemoteProtocolError("the deflated payload of a packet is cut off")
    return inflated
