"""Ogg Opus as it is written: what is read again, page by page, with the checksums of RFC 3533."""

import pytest

from spatius_sim.protocol.ogg import SAMPLES_PER_PACKET, OggOpusReader, write_ogg_opus

PACKETS = [bytes([number]) * (10 + number) for number in range(12)]


def checksum(page: bytes) -> int:
    """What is left when the page, without its checksum, is divided by the polynomial of Ogg."""
    left = int.from_bytes(page[:22] + bytes(4) + page[26:]) << 32
    while left.bit_length() > 32:
        left ^= 0x1_04C1_1DB7 << (left.bit_length() - 33)
    return left


@pytest.mark.parametrize("count", [1, 5, 12])
def test_what_is_written_is_read_again(count: int) -> None:
    reader = OggOpusReader()
    assert reader.feed(write_ogg_opus(PACKETS[:count], 7)) == PACKETS[:count]
    assert reader.head is not None
    assert (reader.head.channels, reader.head.pre_skip) == (1, 312)
    assert reader.granule == count * SAMPLES_PER_PACKET
    assert reader.ended


def test_each_page_has_its_number_its_stream_and_its_checksum() -> None:
    first, *pages = write_ogg_opus(PACKETS, 7).split(b"OggS")
    assert first == b""
    assert [page[1] for page in pages] == [2, 0, 0, 0, 4]
    assert [int.from_bytes(page[10:14], "little") for page in pages] == [7] * 5
    assert [int.from_bytes(page[14:18], "little") for page in pages] == [0, 1, 2, 3, 4]
    for page in pages:
        assert int.from_bytes(page[18:22], "little") == checksum(b"OggS" + page)
