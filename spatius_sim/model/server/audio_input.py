"""A request's audio as PCM, whatever it went up as."""

from collections.abc import Callable
from typing import Protocol

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.ogg import OggOpusReader, OpusHead


class PacketDecoder(Protocol):
    """A codec: Opus packets to mono s16le at 48 kHz."""

    def decode(self, packet: bytes) -> bytes:
        """The PCM of one packet, pre-skip included; raises RemoteProtocolError for what it cannot read."""


OpusCodec = Callable[[OpusHead], PacketDecoder]
"""From the stream's header."""


class AudioIn(Protocol):
    """The audio of one request."""

    def feed(self, piece: bytes) -> bytes:
        """The PCM that this piece brings; raises RemoteProtocolError for a stream that is damaged."""

    def finish(self) -> bytes:
        """The PCM that is left at the end."""


class PcmIn:
    """Audio that is PCM already."""

    def feed(self, piece: bytes) -> bytes:
        """The same."""
        return piece

    def finish(self) -> bytes:
        """Nothing is left."""
        return b""


class OggOpusIn:
    """Audio that is one Ogg Opus stream: mono s16le at 48 kHz, without its pre-skip and, where the last
    page says so, without the padding of its last packet. So it has as many keyframes as the PCM that was
    encoded (RFC 7845 section 4).
    """

    def __init__(self, codec: OpusCodec) -> None:
        self._codec = codec
        self._reader = OggOpusReader()
        self._decoder: PacketDecoder | None = None
        self._skip = 0
        self._samples = 0
        self._tail = b""

    def feed(self, piece: bytes) -> bytes:
        """The PCM of the packets that are complete; the newest packet waits, for it may end in padding."""
        fresh = b""
        for packet in self._reader.feed(piece):
            if self._decoder is None:
                head = self._reader.head
                assert head is not None, "the reader gives packets after the header only"
                self._decoder = self._codec(head)
                self._skip = head.pre_skip * BYTES_PER_SAMPLE
            fresh += self._tail
            decoded = self._decoder.decode(packet)
            skipped = min(self._skip, len(decoded))
            self._skip -= skipped
            self._tail = decoded[skipped:]
        self._samples += len(fresh) // BYTES_PER_SAMPLE
        return fresh

    def finish(self) -> bytes:
        """What is left of the newest packet."""
        head, tail = self._reader.head, self._tail
        self._tail = b""
        if head is not None and self._reader.ended:
            wanted = self._reader.granule - head.pre_skip - self._samples
            return tail[: max(wanted, 0) * BYTES_PER_SAMPLE]
        return tail
