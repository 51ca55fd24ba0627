"""Turns the audio of a request into PCM, whatever its format."""

from collections.abc import Callable
from typing import Protocol

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES
from spatius_sim.protocol.messages import AudioFormat, ConfigureSession
from spatius_sim.protocol.ogg import OggOpusReader, OpusHead


class PacketDecoder(Protocol):
    """Decodes Opus packets to mono s16le at 48 kHz."""

    def decode(self, packet: bytes) -> bytes:
        """Return the PCM of one packet, pre-skip included. Raises RemoteProtocolError if the packet is
        damaged."""


OpusCodec = Callable[[OpusHead], PacketDecoder]
"""A function that makes a decoder from the header of the stream."""


class AudioIn(Protocol):
    """Turns the audio of one request into PCM, piece by piece."""

    def feed(self, piece: bytes) -> bytes:
        """Return the PCM that this piece of a request's audio brings. Raises RemoteProtocolError if the audio
        is damaged."""

    def finish(self) -> bytes:
        """Return the PCM that is left at the end."""


class PcmIn:
    """Passes on audio that is PCM already."""

    def feed(self, piece: bytes) -> bytes:
        """Return this piece of a request's audio as it is, because it is PCM already."""
        return piece

    def finish(self) -> bytes:
        """Return b"": nothing is left."""
        return b""


class OggOpusIn:
    """Decodes one Ogg Opus stream to mono s16le at 48 kHz.

    The pre-skip is left out, and the padding of the last packet if the last page marks it. So the audio has
    as many keyframes as the PCM that was encoded (RFC 7845 section 4)."""

    def __init__(self, codec: OpusCodec) -> None:
        """Begin to decode the audio of one request to Motion Server that comes as Ogg Opus; `codec` makes the
        decoder of the packets in it."""
        self._codec = codec
        self._reader = OggOpusReader()
        self._decoder: PacketDecoder | None = None
        self._skip = 0
        self._samples = 0
        self._tail = b""

    def feed(self, piece: bytes) -> bytes:
        """Turn the next piece of a request's audio, which is Ogg Opus, into PCM, and return the PCM of all
        packets that are complete now but the newest: that may end in padding. Raises RemoteProtocolError if
        the audio is damaged."""
        pcm_before_newest = b""
        for packet in self._reader.feed(piece):
            if self._decoder is None:
                head = self._reader.head
                assert head is not None, "the reader gives packets after the header only"
                self._decoder = self._codec(head)
                self._skip = head.pre_skip * BYTES_PER_SAMPLE
            pcm_before_newest += self._tail
            pcm = self._decoder.decode(packet)
            skipped = min(self._skip, len(pcm))
            self._skip -= skipped
            self._tail = pcm[skipped:]
        self._samples += len(pcm_before_newest) // BYTES_PER_SAMPLE
        return pcm_before_newest

    def finish(self) -> bytes:
        """Return the rest of the PCM when the audio that came as Ogg Opus is over: that of the newest packet,
        without its padding."""
        head, tail = self._reader.head, self._tail
        self._tail = b""
        if head is not None and self._reader.ended:
            samples_left = self._reader.granule - head.pre_skip - self._samples
            return tail[: max(samples_left, 0) * BYTES_PER_SAMPLE]
        return tail


def find_audio_fault(configuration: ConfigureSession, *, has_opus: bool) -> str:
    """Return the text of the error if Motion Server does not accept audio in the format or with the sample
    rate that this session configures; "" if it accepts both. `has_opus`: whether an Opus codec is
    installed."""
    match configuration.audio_format:
        case AudioFormat.PCM_S16LE:
            rates: tuple[int, ...] = PCM_SAMPLE_RATES
        case AudioFormat.OGG_OPUS if has_opus:
            rates = OPUS_SAMPLE_RATES
        case AudioFormat.OGG_OPUS:
            text = "Ogg Opus is not available here: pip install 'av>=14,<19'"
            return f"unsupported audio format: {text}"
        case unknown:
            return f"unsupported audio format: {unknown}"
    return (
        "" if configuration.sample_rate in rates else f"unsupported sample rate: {configuration.sample_rate}"
    )
