"""What a hostile publisher shows is recorded within bounds, and told as what it is."""

import zlib

import pytest

from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.room_packet import MAX_PACKET_BYTES, PacketFlag, escape, read_packet
from spatius_sim.protocol.video_container import Container, put_packet

FRAME = {
    Container.H264_SEI: b"\x00\x00\x00\x01\x65" + b"\x88" * 20,
    Container.VP8: b"\x10\x02\x00" + b"v" * 20,
}
BOMB = bytes([PacketFlag.IDLE | PacketFlag.ZLIB]) + b"\x01\0\0\0" + escape(zlib.compress(b"\1" * 10_000_000))
HOSTILE = {
    "huge": (b"\x01\x01\0\0\0" + b"\x01" * 900_000, "unknown flags: 0xff"),
    "bomb": (BOMB, "inflates to more than"),
    "wrong length, escape cut off": (b"\x01\xff\xff\xff\xff" + b"abc\x00", "is cut off"),
    "header cut off": (b"\x01\x05", "5 bytes at least"),
}


@pytest.mark.parametrize("container", Container)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_packet_is_recorded_within_bounds(container: Container, name: str) -> None:
    pytest.importorskip("aiortc", reason="the extra livekit is not installed")
    pytest.importorskip("livekit.rtc", reason="the extra livekit is not installed")
    from spatius_sim.net.room.room_watcher import packets_to_record

    packet, told = HOSTILE[name]
    (recorded,) = packets_to_record(container, put_packet(container, FRAME[container], packet))
    assert len(recorded) <= MAX_PACKET_BYTES + 1
    with pytest.raises(RemoteProtocolError, match=told):
        read_packet(recorded)


def test_a_frame_full_of_packets_is_recorded_within_bounds() -> None:
    pytest.importorskip("aiortc", reason="the extra livekit is not installed")
    pytest.importorskip("livekit.rtc", reason="the extra livekit is not installed")
    from spatius_sim.net.room.room_watcher import MAX_PACKETS, packets_to_record

    frame = FRAME[Container.H264_SEI]
    for number in range(50):
        frame = put_packet(Container.H264_SEI, frame, b"\x01\x01\0\0\0" + bytes([number + 1]))
    assert len(packets_to_record(Container.H264_SEI, frame)) == MAX_PACKETS


def test_a_frame_that_cannot_be_read_is_recorded_by_its_beginning() -> None:
    pytest.importorskip("aiortc", reason="the extra livekit is not installed")
    pytest.importorskip("livekit.rtc", reason="the extra livekit is not installed")
    from spatius_sim.net.room.room_watcher import MAX_PAYLOAD, UNREADABLE, packets_to_record

    unreadable = b"\x00\x00\x00\x01\x06\x65" + b"\xff" * 100_000
    assert packets_to_record(Container.H264_SEI, unreadable) == [UNREADABLE + unreadable[:MAX_PAYLOAD]]
