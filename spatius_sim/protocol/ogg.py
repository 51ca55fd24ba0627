"""Reads the packets in the pages of Ogg Opus, as far as counting and decoding need it, and writes them (RFC
3533, RFC 7845).

Checksums are written, and not verified: a test double need not find noise on the line, and TCP leaves none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from spatius_sim.protocol.errors import RemoteProtocolError

OPUS_HZ = 48_000
"""Granule positions and pre-skip count samples at 48 kHz, whatever the session's rate (RFC 7845)."""

MAX_PACKET_BYTES = 61_440
"""The largest Opus packet that a decoder must take (RFC 7845 section 6)."""

# The head of a page, 27 bytes (RFC 3533 section 6): "OggS", version 0, flags, granule position, ..., and the
# number of lacing values. The lacing values follow: the lengths of the segments in the page's body.
_PAGE_START = b"OggS\0"
_FLAGS_POSITION = 5
_FIRST_PAGE_FLAG, _LAST_PAGE_FLAG = 2, 4
_GRANULE_BYTES = slice(6, 14)
_CHECKSUM_BYTES = slice(22, 26)
_LACING_COUNT_POSITION = 26
_PAGE_HEAD_BYTES = 27
_NO_GRANULE = 0xFFFF_FFFF_FFFF_FFFF
"""The granule position of a page on which no packet ends."""

_FULL_SEGMENT = 255
"""A segment of this length is continued by the next; a shorter segment ends its packet."""

# The identification header of Opus (RFC 7845 section 5.1).
_OPUS_HEAD_BYTES = 19
_VERSION_AT, _CHANNELS_AT, _PRE_SKIP_AT = 8, 9, slice(10, 12)
_MAJOR_VERSION_BITS = 0xF0

# What is written.
SAMPLES_PER_PACKET = 960
"""Samples at 48 kHz in a packet of 20 ms, the usual length."""
_PRE_SKIP = 312
"""Samples at 48 kHz that an encoder needs to begin; those of libopus."""
_PACKETS_PER_PAGE = 5
_CHECKSUM_POLYNOMIAL = 0x04C1_1DB7


@dataclass(frozen=True, slots=True)
class OpusHead:
    """The identification header of an Ogg Opus stream. `pre_skip` is in samples at 48 kHz; `raw` is the
    packet itself."""

    channels: int
    pre_skip: int
    raw: bytes = field(repr=False)


@dataclass(slots=True)
class OggOpusReader:
    """Takes the bytes of one Ogg Opus stream in pieces of any size, and gives its audio packets.

    `granule` is the latest position that a page named, in samples at 48 kHz, pre-skip included. `ended` says
    whether the page marked as last has arrived.
    """

    head: OpusHead | None = None
    granule: int = 0
    ended: bool = False
    _pending: bytearray = field(default_factory=bytearray)
    _packet: bytearray = field(default_factory=bytearray)
    _packet_count: int = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes of the Ogg Opus stream, and return the audio packets that are complete now.
        Raises RemoteProtocolError if the bytes are not Ogg Opus."""
        self._pending += piece
        packets: list[bytes] = []
        while (page := self._take_page()) is not None:
            packets += self._read_page(page)
        return packets

    def _take_page(self) -> bytes | None:
        """Remove the first Ogg page from the pending bytes and return it. Return None if the page is not
        complete yet. Raises RemoteProtocolError if the bytes do not begin as a page."""
        pending = self._pending
        if not _PAGE_START.startswith(pending[: len(_PAGE_START)]):
            raise RemoteProtocolError("the audio is not an Ogg stream")
        if len(pending) < _PAGE_HEAD_BYTES:
            return None
        body_start = _PAGE_HEAD_BYTES + pending[_LACING_COUNT_POSITION]
        if len(pending) < body_start:
            return None
        page_end = body_start + sum(pending[_PAGE_HEAD_BYTES:body_start])
        if len(pending) < page_end:
            return None
        page = bytes(pending[:page_end])
        del pending[:page_end]
        return page

    def _read_page(self, page: bytes) -> list[bytes]:
        """Return the audio packets that this Ogg page completes, and keep the packet that the next page
        continues. Update `granule` (the position of the page's end in the audio) and `ended`. Raises
        RemoteProtocolError if a packet is too large, or is not the header that must come first."""
        granule = int.from_bytes(page[_GRANULE_BYTES], "little")
        segment_lengths = page[_PAGE_HEAD_BYTES : _PAGE_HEAD_BYTES + page[_LACING_COUNT_POSITION]]
        start = _PAGE_HEAD_BYTES + len(segment_lengths)
        packets: list[bytes] = []
        for length in segment_lengths:
            self._packet += page[start : start + length]
            start += length
            if len(self._packet) > MAX_PACKET_BYTES:
                raise RemoteProtocolError(f"an Ogg packet has more than {MAX_PACKET_BYTES} bytes")
            if length < _FULL_SEGMENT:
                packets += self._read_packet(bytes(self._packet))
                self._packet.clear()
        if granule != _NO_GRANULE:
            self.granule = granule
        self.ended = self.ended or bool(page[_FLAGS_POSITION] & _LAST_PAGE_FLAG)
        return packets

    def _read_packet(self, packet: bytes) -> list[bytes]:
        """Return a list with this Ogg packet if it is audio, else an empty list. The first two packets of the
        stream are headers: they are checked, and the first is kept as `head`. Raises RemoteProtocolError if
        one of them is not what it must be."""
        self._packet_count += 1
        if self._packet_count == 1:
            self.head = _read_opus_head(packet)
        elif self._packet_count == 2:
            if not packet.startswith(b"OpusTags"):
                raise RemoteProtocolError("the second Ogg packet is not an OpusTags header")
        elif packet:
            return [packet]
        return []


def _read_opus_head(packet: bytes) -> OpusHead:
    """Return the Opus identification header in this Ogg packet. Raises RemoteProtocolError if the packet is
    no such header, or if the stream is not mono."""
    is_too_short = len(packet) < _OPUS_HEAD_BYTES
    if is_too_short or not packet.startswith(b"OpusHead") or packet[_VERSION_AT] & _MAJOR_VERSION_BITS:
        raise RemoteProtocolError("the first Ogg packet is not an OpusHead header")
    channels = packet[_CHANNELS_AT]
    if channels != 1:
        raise RemoteProtocolError(f"the Ogg Opus stream has {channels} channels: only mono is taken")
    return OpusHead(channels, int.from_bytes(packet[_PRE_SKIP_AT], "little"), packet)


def write_ogg_opus(packets: Sequence[bytes], serial: int) -> bytes:
    """Return an Ogg Opus stream with these packets: mono, each of 20 ms and of less than 255 bytes. `serial`
    is the number of the stream."""
    rate, gain, mapping = (16_000).to_bytes(4, "little"), bytes(2), bytes(1)
    head = b"OpusHead\x01\x01" + _PRE_SKIP.to_bytes(2, "little") + rate + gain + mapping
    pages = [_write_page([head], 0, serial, 0, _FIRST_PAGE_FLAG)]
    pages.append(_write_page([b"OpusTags" + bytes(8)], 0, serial, 1))
    for start in range(0, len(packets), _PACKETS_PER_PAGE):
        end = min(start + _PACKETS_PER_PAGE, len(packets))
        flags = _LAST_PAGE_FLAG if end == len(packets) else 0
        granule = end * SAMPLES_PER_PACKET
        pages.append(_write_page(packets[start:end], granule, serial, len(pages), flags))
    return b"".join(pages)


def _write_page(packets: Sequence[bytes], granule: int, serial: int, number: int, flags: int = 0) -> bytes:
    """Return an Ogg page with these packets of less than 255 bytes each. It is page `number` (from 0) of the
    stream that has the number `serial`. `granule` is the position of its end, in samples at 48 kHz. Its
    lacing values are the lengths of the packets."""
    numbers = granule.to_bytes(8, "little") + serial.to_bytes(4, "little") + number.to_bytes(4, "little")
    lacing = bytes(map(len, packets))
    page = bytearray(_PAGE_START + bytes([flags]) + numbers + bytes(4) + bytes([len(lacing)]) + lacing)
    page += b"".join(packets)
    page[_CHECKSUM_BYTES] = _compute_checksum(page).to_bytes(4, "little")
    return bytes(page)


def _compute_checksum(page: bytearray) -> int:
    """Return the checksum of an Ogg page (RFC 3533 section 6). Its own four bytes are zero in `page`."""
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum <<= 1
            if checksum > 0xFFFF_FFFF:
                checksum ^= 0x1_0000_0000 | _CHECKSUM_POLYNOMIAL
    return checksum
