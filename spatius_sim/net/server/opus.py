"""Decodes Opus packets to PCM with PyAV, which ships its codec: the `opus` extra."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from spatius_sim.model.server.audio_input import OpusCodec
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.ogg import OpusHead

if TYPE_CHECKING:
    import av


def installed_codec() -> OpusCodec | None:
    """Return the codec, or None if the extra is not installed. PyAV is imported when the first stream
    comes."""
    return _OpusDecoder if find_spec("av") is not None else None


class _OpusDecoder:
    """Decodes one stream to mono s16le at 48 kHz."""

    def __init__(self, head: OpusHead) -> None:
        import av

        # The caller, which counts the samples, cuts the pre-skip off: the codec is told that there is none.
        self._context = av.CodecContext.create("libopus", "r")
        self._context.extradata = head.raw[:10] + b"\0\0" + head.raw[12:]
        self._resampler = av.AudioResampler("s16", "mono", 48_000)
        self._errors = (av.FFmpegError, ValueError)
        self._packet = av.Packet

    def decode(self, packet: bytes) -> bytes:
        """Decode one packet to PCM; raises RemoteProtocolError if the packet is damaged."""
        try:
            frames = self._context.decode(self._packet(packet))
            return b"".join(
                _bytes_of_frame(out) for frame in frames for out in self._resampler.resample(frame)
            )
        except self._errors as error:
            raise RemoteProtocolError(f"an Opus packet cannot be decoded: {error}") from error


def _bytes_of_frame(frame: "av.AudioFrame") -> bytes:
    return frame.to_ndarray().astype("<i2").tobytes()
