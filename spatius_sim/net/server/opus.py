"""Opus packets to PCM through PyAV, which ships its codec: the `opus` extra."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from spatius_sim.model.server.audio_input import OpusCodec
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.ogg import OpusHead

if TYPE_CHECKING:
    import av


def installed_codec() -> OpusCodec | None:
    """The codec, or None where the extra is not installed. It is imported when the first stream comes."""
    return _Decoder if find_spec("av") is not None else None


class _Decoder:
    """One stream, as mono s16le at 48 kHz."""

    def __init__(self, head: OpusHead) -> None:
        import av

        # Pre-skip is cut off by whoever counts the samples: the codec is told that there is none.
        self._context = av.CodecContext.create("libopus", "r")
        self._context.extradata = head.raw[:10] + b"\0\0" + head.raw[12:]
        self._resampler = av.AudioResampler("s16", "mono", 48_000)
        self._errors = (av.FFmpegError, ValueError)
        self._packet = av.Packet

    def decode(self, packet: bytes) -> bytes:
        """The PCM of one packet; raises RemoteProtocolError for one that is damaged."""
        try:
            frames = self._context.decode(self._packet(packet))
            return b"".join(_samples(out) for frame in frames for out in self._resampler.resample(frame))
        except self._errors as error:
            raise RemoteProtocolError(f"an Opus packet cannot be decoded: {error}") from error


def _samples(frame: "av.AudioFrame") -> bytes:
    return frame.to_ndarray().astype("<i2").tobytes()
