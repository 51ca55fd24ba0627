"""Packets of motion survive their trip, and hostile bytes are refused with bounded memory."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.room_packet import (
    MAX_PACKET_BYTES,
    WITHOUT_FRAME_SEQ,
    PacketFlag,
    RoomPacket,
    escape,
    read_packet,
    unescape,
    write_packet,
)

in_conversations = st.builds(
    RoomPacket,
    st.sampled_from([PacketFlag(0), PacketFlag.START, PacketFlag.END, PacketFlag.START | PacketFlag.END]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=600),
)
beside_them = st.builds(
    RoomPacket, st.sampled_from(list(WITHOUT_FRAME_SEQ)), st.none(), st.binary(max_size=600)
)


@given(packet=in_conversations | beside_them, compress=st.booleans())
def test_a_packet_survives_its_trip(packet: RoomPacket, compress: bool) -> None:
    read = read_packet(write_packet(packet, compress=compress))
    assert (read.frame_seq, read.message) == (packet.frame_seq, packet.message)
    assert read.flags & ~PacketFlag.ZLIB == packet.flags
    assert bool(read.flags & PacketFlag.ZLIB) is compress


@given(st.binary(max_size=300))
def test_an_escape_survives_its_trip_and_no_zero_stands_alone(content: bytes) -> None:
    escaped = escape(content)
    assert unescape(escaped) == content
    assert b"\x00\x00" not in escaped


@given(st.binary(max_size=300))
def test_any_bytes_are_a_packet_or_refused(raw: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert isinstance(read_packet(raw), RoomPacket)


def test_the_layout_is_the_published_one() -> None:
    raw = write_packet(RoomPacket(PacketFlag.START, 1, b"\xff\x07"))
    assert raw == b"\x02" + b"\x0a\x00\x00\x00" + b"\x01\x00\xff\x00\xff\x00\xff" + b"\xff\xff\x07"


def test_the_length_is_ignored_unless_it_is_zero() -> None:
    raw = write_packet(RoomPacket(PacketFlag.IDLE, None, b"abc"))
    assert read_packet(raw[:1] + b"\x01\x00\x00\x00" + raw[5:]).message == b"abc"
    assert read_packet(raw[:1] + b"\x00\x00\x00\x00" + raw[5:]).message == b""


def bomb() -> bytes:
    return escape(zlib.compress(b"\x01" * (MAX_PACKET_BYTES + 1)))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x01\x00\x00", "5 bytes at least"),
        (bytes(MAX_PACKET_BYTES + 1), "larger than"),
        (b"\x80\x00\x00\x00\x00", "unknown flags: 0x80"),
        (b"\x01\x01\x00\x00\x00\x00", "escape at byte 0"),
        (b"\x01\x02\x00\x00\x00\x07\xff", "escape at byte 1"),
        (b"\x01\x02\x00\x00\x00\xff\x07", "escape at byte 0"),
        (b"\x09\x02\x00\x00\x00no", "cannot be inflated"),
        (b"\x09\x02\x00\x00\x00" + bomb(), "inflates to more"),
        (b"\x09\x02\x00\x00\x00" + escape(zlib.compress(b"abc")[:-2]), "cut off"),
        (b"\x02\x03\x00\x00\x00abc", "no frameSeq"),
        (b"\x02\x00\x00\x00\x00abcd", "no frameSeq"),
    ],
)
def test_what_is_no_packet_is_told(raw: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        read_packet(raw)


@pytest.mark.parametrize(
    "packet",
    [
        RoomPacket(PacketFlag.START),
        RoomPacket(PacketFlag.IDLE, 0),
        RoomPacket(PacketFlag(0), -1),
        RoomPacket(PacketFlag(0), 2**32),
    ],
)
def test_a_packet_that_nobody_could_read_is_not_written(packet: RoomPacket) -> None:
    with pytest.raises(ValueError, match="frame_seq"):
        write_packet(packet)
