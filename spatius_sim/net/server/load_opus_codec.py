"""Decodes Opus packets to PCM with PyAV, which brings its own codec (the extra `opus`)."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from spatius_sim.model.server.decode_audio_input import OpusCodec
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.ogg import OpusHead

if TYPE_CHECKING:
    import av


def find_opus_codec() -> OpusCodec | None:
    """Return the Opus codec, or None if the extra `opus` is not installed. PyAV itself is imported later, if
    needed."""
    return _OpusDecoder if find_spec("av") is not None else None


class _OpusDecoder:
    """Decodes the packets of one Opus stream to mono s16le at 48 kHz."""

    def __init__(self, head: OpusHead) -> None:
        """Make a decoder for an Opus stream that begins with this identification header. The decoder gets the
        header with a pre-skip of 0, so that it drops no samples at the beginning."""
        import av

        # The caller counts the samples and removes the pre-skip (the first samples, which are not to be
        # played), so the codec must not. The length of the pre-skip stands in bytes 10 and 11 of the head
        # (RFC 7845, 5.1): they become 0.
        self._context = av.CodecContext.create("libopus", "r")
        self._context.extradata = head.raw[:10] + b"\0\0" + head.raw[12:]
        self._resampler = av.AudioResampler("s16", "mono", 48_000)
        self._errors = (av.FFmpegError, ValueError)
        self._packet = av.Packet

    def decode(self, packet: bytes) -> bytes:
        """Decode one Opus packet, and return its PCM: mono, 16 bits, 48 kHz. Raises RemoteProtocolError if
        the packet is damaged."""
        try:
            frames = self._context.decode(self._packet(packet))
            return b"".join(
                _to_pcm(resampled) for frame in frames for resampled in self._resampler.resample(frame)
            )
        except self._errors as error:
            raise RemoteProtocolError(f"an Opus packet cannot be decoded: {error}") from error


def _to_pcm(frame: "av.AudioFrame") -> bytes:
    """Return the samples that were decoded from Opus as s16le."""
    return frame.to_ndarray().astype("<i2").tobytes()
