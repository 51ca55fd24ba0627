"""Encodes black video, in whose frames motion travels."""

from functools import lru_cache
from typing import Any

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.video_container import Container, without_sei

WIDTH, HEIGHT = 320, 240
_FRAMES = KEYFRAMES_PER_SECOND
"""Frames from one key frame to the next: a second of them."""

_BLACK_LEVELS = (16, 128, 128)
"""Black, as brightness and the two colour values of YUV."""

_CODECS = {Container.H264_SEI: "libx264", Container.VP8: "libvpx"}
_OPTIONS = {
    Container.H264_SEI: {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"},
    Container.VP8: {"deadline": "realtime", "lag-in-frames": "0", "auto-alt-ref": "0", "cpu-used": "8"},
}


@lru_cache(maxsize=len(Container))
def black_frames(container: Container) -> tuple[bytes, ...]:
    """Return a second of encoded black video frames; only the first is a key frame. H.264 comes as Annex B,
    without the encoder's signature. Raises ImportError if PyAV is not installed."""
    import av

    codec: Any = av.CodecContext.create(_CODECS[container], "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.framerate, codec.gop_size = KEYFRAMES_PER_SECOND, _FRAMES
    codec.options = _OPTIONS[container]
    frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, level in zip(frame.planes, _BLACK_LEVELS, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    packets: list[bytes] = []
    for number in range(_FRAMES):
        frame.pts = number
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    return tuple(without_sei(raw) if container is Container.H264_SEI else raw for raw in packets)
