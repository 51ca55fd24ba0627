"""Reads the packets in the pages of Ogg Opus, as far as counting and decoding need it (RFC 3533, RFC 7845).

Checksums are not verified: a test double need not find noise on the line, and TCP leaves none.
"""

from dataclasses import dataclass, field

from spatius_sim.protocol.errors import RemoteProtocolError

OPUS_HZ = 48_000
"""Granule positions and pre-skip count samples at 48 kHz, whatever the session's rate (RFC 7845)."""

MAX_PACKET_BYTES = 61_440
"""The largest Opus packet that a decoder must take (RFC 7845 section 6)."""

_PAGE_HEAD = 27
_NO_GRANULE = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class OpusHead:
    """The identification header. `pre_skip` is in samples at 48 kHz; `raw` is the packet itself."""

    channels: int
    pre_skip: int
    raw: bytes = field(repr=False)


@dataclass(slots=True)
class OggOpusReader:
    """Takes the bytes of one Ogg Opus stream in pieces of any size, and gives its audio packets.

    `granule` is the latest position that a page named, in samples at 48 kHz, pre-skip included. `ended` says
    whether the page marked as last has come.
    """

    head: OpusHead | None = None
    granule: int = 0
    ended: bool = False
    _pending: bytearray = field(default_factory=bytearray)
    _packet: bytearray = field(default_factory=bytearray)
    _packets: int = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes, and return the audio packets that they complete; raises RemoteProtocolError
        for what is no Ogg Opus."""
        self._pending += piece
        packets: list[bytes] = []
        while (page := self._take_page()) is not None:
            packets += self._read_page(page)
        return packets

    def _take_page(self) -> bytes | None:
        """Take a whole page from the pending bytes; None if it is not whole yet."""
        pending = self._pending
        if not b"OggS\0".startswith(pending[:5]):
            raise RemoteProtocolError("the audio is no Ogg stream")
        if len(pending) < _PAGE_HEAD:
            return None
        body = _PAGE_HEAD + pending[26]
        if len(pending) < body:
            return None
        end = body + sum(pending[_PAGE_HEAD:body])
        if len(pending) < end:
            return None
        page = bytes(pending[:end])
        del pending[:end]
        return page

    def _read_page(self, page: bytes) -> list[bytes]:
        """Read the packets that a page completes, and note its position and whether it is the last."""
        granule = int.from_bytes(page[6:14], "little")
        lacing = page[_PAGE_HEAD : _PAGE_HEAD + page[26]]
        start = _PAGE_HEAD + len(lacing)
        packets: list[bytes] = []
        for length in lacing:
            self._packet += page[start : start + length]
            start += length
            if len(self._packet) > MAX_PACKET_BYTES:
                raise RemoteProtocolError(f"an Ogg packet has more than {MAX_PACKET_BYTES} bytes")
            if length < 255:
                packets += self._read_packet(bytes(self._packet))
                self._packet.clear()
        if granule != _NO_GRANULE:
            self.granule = granule
        self.ended = self.ended or bool(page[5] & 4)
        return packets

    def _read_packet(self, packet: bytes) -> list[bytes]:
        """Check a header packet, or return an audio packet as the only one of a list."""
        self._packets += 1
        if self._packets == 1:
            self.head = _read_head(packet)
        elif self._packets == 2:
            if not packet.startswith(b"OpusTags"):
                raise RemoteProtocolError("the second Ogg packet is no OpusTags header")
        elif packet:
            return [packet]
        return []


def _read_head(packet: bytes) -> OpusHead:
    if len(packet) < 19 or not packet.startswith(b"OpusHead") or packet[8] & 0xF0:
        raise RemoteProtocolError("the first Ogg packet is no OpusHead header")
    if packet[9] != 1:
        raise RemoteProtocolError(f"the Ogg Opus stream has {packet[9]} channels: only mono is taken")
    return OpusHead(packet[9], int.from_bytes(packet[10:12], "little"), packet)
