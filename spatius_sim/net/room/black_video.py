"""Encodes black video, in whose frames motion travels."""

from functools import lru_cache
from typing import Any

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.video_container import Container, remove_sei_units

WIDTH, HEIGHT = 320, 240
_FRAMES_PER_SECOND = KEYFRAMES_PER_SECOND
"""How many frames a second has, and how many come from one key frame to the next."""

_BLACK_LEVELS = (16, 128, 128)
"""Black, as brightness and the two colour values of YUV."""

_ENCODER_NAMES = {Container.H264_SEI: "libx264", Container.VP8: "libvpx"}
_ENCODER_OPTIONS = {
    Container.H264_SEI: {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"},
    Container.VP8: {"deadline": "realtime", "lag-in-frames": "0", "auto-alt-ref": "0", "cpu-used": "8"},
}


@lru_cache(maxsize=len(Container))
def encode_black_frames(container: Container) -> tuple[bytes, ...]:
    """Encode one second of black video, and return its frames; only the first is a key frame. `container`
    chooses the codec, H.264 (in Annex B format, without SEI units) or VP8. Raises ImportError if PyAV is not
    installed."""
    import av

    encoder: Any = av.CodecContext.create(_ENCODER_NAMES[container], "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate = encoder.gop_size = _FRAMES_PER_SECOND
    encoder.options = _ENCODER_OPTIONS[container]
    frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, level in zip(frame.planes, _BLACK_LEVELS, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    packets: list[bytes] = []
    for frame_number in range(_FRAMES_PER_SECOND):
        frame.pts = frame_number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return tuple(
        remove_sei_units(packet) if container is Container.H264_SEI else packet for packet in packets
    )
