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


class AudioDecoder(Protocol):
    """Turns the audio of one request into PCM, piece by piece."""

    def feed(self, piece: bytes) -> bytes:
        """Return the PCM that this piece of a request's audio brings. Raises RemoteProtocolError if the audio
        is damaged."""

    def finish(self) -> bytes:
        """Return the PCM that is left at the end."""


class PcmDecoder:
    """Passes on audio that is PCM already."""

    def feed(self, piece: bytes) -> bytes:
        """Return this piece of a request's audio as it is, because it is PCM already."""
        return piece

    def finish(self) -> bytes:
        """Return b"": nothing is left."""
        return b""


class OggOpusDecoder:
    """Decodes one Ogg Opus stream to mono s16le at 48 kHz.

    The pre-skip is left out, and the padding of the last packet if the last page marks it. So the audio has
    as many keyframes as the PCM that was encoded (RFC 7845 section 4)."""

    def __init__(self, make_packet_decoder: OpusCodec) -> None:
        """Begin to decode the audio of one request, an Ogg Opus stream. `make_packet_decoder` makes the
        decoder for its packets from the header of the stream."""
        self._make_packet_decoder = make_packet_decoder
        self._reader = OggOpusReader()
        self._packet_decoder: PacketDecoder | None = None
        self._bytes_to_skip = 0
        self._returned_samples = 0
        self._newest_pcm = b""

    def feed(self, piece: bytes) -> bytes:
        """Decode the next bytes of a request's audio, an Ogg Opus stream, and return the PCM of all complete
        packets except the newest. The PCM of the newest packet waits for the next call, because it may end in
        padding. The pre-skip is left out: the samples at the beginning of the stream that the encoder added.

        Raises RemoteProtocolError if the audio is damaged."""
        pcm_before_newest = b""
        for packet in self._reader.feed(piece):
            if self._packet_decoder is None:
                head = self._reader.head
                assert head is not None, "the reader gives packets after the header only"
                self._packet_decoder = self._make_packet_decoder(head)
                self._bytes_to_skip = head.pre_skip * BYTES_PER_SAMPLE
            pcm_before_newest += self._newest_pcm
            pcm = self._packet_decoder.decode(packet)
            skipped = min(self._bytes_to_skip, len(pcm))
            self._bytes_to_skip -= skipped
            self._newest_pcm = pcm[skipped:]
        self._returned_samples += len(pcm_before_newest) // BYTES_PER_SAMPLE
        return pcm_before_newest

    def finish(self) -> bytes:
        """Return the PCM of the newest packet, now that the Ogg Opus audio of a request is complete. `feed`
        has kept it back, because only the last packet may end in padding. If the stream's last page has come,
        the padding is left out."""
        head, newest_pcm = self._reader.head, self._newest_pcm
        self._newest_pcm = b""
        if head is not None and self._reader.ended:
            samples_left = self._reader.granule - head.pre_skip - self._returned_samples
            return newest_pcm[: max(samples_left, 0) * BYTES_PER_SAMPLE]
        return newest_pcm


def find_audio_fault(configuration: ConfigureSession, *, has_opus: bool) -> str:
    """Return the text of the error with which Motion Server refuses the audio format or the sample rate that
    a session configures; "" if it accepts both. Ogg Opus is accepted only if an Opus codec is installed
    (`has_opus`)."""
    match configuration.audio_format:
        case AudioFormat.PCM_S16LE:
            rates: tuple[int, ...] = PCM_SAMPLE_RATES
        case AudioFormat.OGG_OPUS if has_opus:
            rates = OPUS_SAMPLE_RATES
        case AudioFormat.OGG_OPUS:
            reason = "Ogg Opus is not available here: pip install 'av>=14,<19'"
            return f"unsupported audio format: {reason}"
        case unknown:
            return f"unsupported audio format: {unknown}"
    return (
        "" if configuration.sample_rate in rates else f"unsupported sample rate: {configuration.sample_rate}"
    )
