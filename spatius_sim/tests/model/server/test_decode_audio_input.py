"""Ogg Opus: pages to packets, and samples without pre-skip and padding, however the bytes were cut."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spatius_sim.model.server.decode_audio_input import OggOpusDecoder, PcmDecoder
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.ogg import OggOpusReader, OpusHead

HEAD = b"OpusHead\x01\x01" + (3).to_bytes(2, "little") + bytes(7)
TAGS = b"OpusTags"


def page(*packets: bytes, granule: int = 0, last: bool = False, open_end: bool = False) -> bytes:
    lacing = b""
    for packet in packets:
        lacing += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    if open_end:
        lacing = lacing[:-1]
    head = b"OggS\0" + bytes([4 * last]) + (granule % 2**64).to_bytes(8, "little") + bytes(12)
    return head + bytes([len(lacing)]) + lacing + b"".join(packets)


class Codec:
    """Ten samples for each packet, all of them the packet's first byte."""

    def __init__(self, head: OpusHead) -> None:
        assert head.pre_skip == 3

    def decode(self, packet: bytes) -> bytes:
        return packet[:1] * 20


def decoded(stream: bytes, cut: int) -> bytes:
    audio = OggOpusDecoder(Codec)
    pcm = b"".join(audio.feed(stream[start : start + cut]) for start in range(0, len(stream), cut))
    return pcm + audio.finish()


STREAM = page(HEAD) + page(TAGS) + page(b"a", b"b" * 300, granule=20) + page(b"c", granule=25, last=True)


@given(st.integers(1, len(STREAM)))
@example(1)
def test_samples_are_counted_however_the_stream_was_cut(cut: int) -> None:
    assert decoded(STREAM, cut) == b"a" * 14 + b"b" * 20 + b"c" * 10


def test_without_a_last_page_nothing_is_cut_off() -> None:
    assert decoded(page(HEAD) + page(TAGS) + page(b"a", b"", granule=-1), 50) == b"a" * 14


def test_a_stream_that_ends_before_its_pre_skip_is_empty() -> None:
    assert decoded(page(HEAD) + page(TAGS) + page(b"a", granule=1, last=True), 50) == b""
    assert OggOpusDecoder(Codec).finish() == b""


def test_a_packet_may_go_on_in_the_next_page() -> None:
    reader = OggOpusReader()
    packets = reader.feed(page(HEAD) + page(TAGS) + page(b"x" * 255, open_end=True) + page(b"yz"))
    assert packets == [b"x" * 255 + b"yz"]


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b"RIFF", "not an Ogg stream"),
        (page(b"OpusHead"), "not an OpusHead"),
        (page(b"x" * 30), "not an OpusHead"),
        (page(HEAD[:8] + b"\x10" + HEAD[9:]), "not an OpusHead"),
        (page(HEAD[:9] + b"\x02" + HEAD[10:]), "2 channels"),
        (page(HEAD) + page(b"Vorbis"), "not an OpusTags"),
        (page(HEAD) + page(TAGS) + page(b"x" * 255 * 235, open_end=True) * 2, "more than 61440 bytes"),
    ],
)
def test_what_is_no_ogg_opus_is_refused(stream: bytes, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told):
        OggOpusReader().feed(stream)


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(junk: bytes) -> None:
    for start in (b"", page(HEAD) + page(TAGS)):
        try:
            OggOpusReader().feed(start + junk)
        except RemoteProtocolError:
            continue


def test_pcm_passes() -> None:
    assert PcmDecoder().feed(b"12") + PcmDecoder().finish() == b"12"
