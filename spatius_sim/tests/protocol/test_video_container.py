"""Packets survive both containers byte for byte, and hostile frames are refused."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.room_packet import MAX_PACKET_BYTES
from spatius_sim.protocol.video_container import (
    Container,
    is_key_frame,
    put_packet,
    remove_sei_units,
    take_packets,
)

SPS, PPS, KEY, DELTA = b"\x67\x42", b"\x68\xce", b"\x65\x88\x84", b"\x41\x9a\x01"
SIGNATURE = b"\x06\x05\x04x264\x80"


def annex_b(*units: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


KEY_FRAME = annex_b(SPS, PPS, KEY)
DELTA_FRAME = b"\x00\x00\x01" + DELTA
tricky = st.lists(st.sampled_from([0, 1, 2, 3, 4, 0x80, 0xFF]), max_size=700).map(bytes)


@given(packet=st.binary(max_size=700) | tricky, frame=st.sampled_from([KEY_FRAME, DELTA_FRAME]))
@example(packet=b"\0\0\1 two start codes \0\0\0\1", frame=KEY_FRAME)
def test_a_packet_survives_h264_and_the_slices_stay(packet: bytes, frame: bytes) -> None:
    with_packet = put_packet(Container.H264_SEI, frame, packet)
    assert take_packets(Container.H264_SEI, with_packet) == [packet]
    assert remove_sei_units(with_packet) == remove_sei_units(frame)
    assert is_key_frame(Container.H264_SEI, with_packet) is (frame == KEY_FRAME)


@given(packet=st.binary(max_size=700), frame=st.binary(max_size=60))
@example(packet=b"packet", frame=b"frame")
def test_a_packet_survives_vp8_and_the_frame_stays_in_front(packet: bytes, frame: bytes) -> None:
    with_packet = put_packet(Container.VP8, frame, packet)
    assert take_packets(Container.VP8, with_packet) == [packet]
    assert with_packet.startswith(frame)


@pytest.mark.parametrize("container", Container)
@given(frame=st.binary(max_size=300) | tricky.map(lambda content: annex_b(b"\x06" + content)))
def test_any_bytes_are_a_frame_or_refused(container: Container, frame: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert all(isinstance(packet, bytes) for packet in take_packets(container, frame))
    assert is_key_frame(container, frame) in (True, False)


def test_the_signature_of_an_encoder_passes_for_a_packet_unless_it_is_taken_out() -> None:
    signed = annex_b(SPS, PPS, SIGNATURE, KEY)
    assert take_packets(Container.H264_SEI, signed) == [b"x264"]
    assert take_packets(Container.H264_SEI, remove_sei_units(signed)) == []


def test_the_sei_stands_before_the_slice() -> None:
    assert put_packet(Container.H264_SEI, KEY_FRAME, b"ab") == annex_b(SPS, PPS, b"\x06\x65\x02ab\x80", KEY)


def test_other_messages_of_an_sei_unit_are_no_packets() -> None:
    both = annex_b(b"\x06\x01\x01z\x65\x02ab\x80", KEY)
    assert take_packets(Container.H264_SEI, both) == [b"ab"]


def test_a_frame_without_a_slice_takes_no_packet() -> None:
    with pytest.raises(RemoteProtocolError, match="slice"):
        put_packet(Container.H264_SEI, annex_b(SPS), b"ab")


@pytest.mark.parametrize(
    ("container", "frame", "text"),
    [
        (Container.H264_SEI, annex_b(b"\x06\x65\x09ab\x80"), "9 bytes is cut off after 3"),
        (Container.H264_SEI, annex_b(b"\x06\x65\xff\xff"), "head of an SEI message"),
        (Container.H264_SEI, annex_b(b"\x06" + b"a" * (2 * MAX_PACKET_BYTES)), "larger than any"),
        (Container.VP8, b"abcd\x09\x00\x00\x00SPTM", "12 bytes names a packet of 9"),
    ],
)
def test_what_is_cut_off_is_told(container: Container, frame: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        take_packets(container, frame)


def test_a_vp8_frame_without_a_packet_has_none() -> None:
    assert take_packets(Container.VP8, b"frame") == take_packets(Container.VP8, b"SPTM") == []
    assert not is_key_frame(Container.VP8, b"")
    assert is_key_frame(Container.VP8, b"\x10")
    assert not is_key_frame(Container.VP8, b"\x11")
