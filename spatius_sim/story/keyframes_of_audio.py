"""Says how many keyframes belong to the audio of a request, whatever its format."""

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.protocol.ogg import OPUS_HZ, OggOpusReader
from spatius_sim.story.turn_story import UpstreamRequest

_ROUNDING_SAMPLES = 240
"""Samples at 48 kHz that a decoder may lose when it changes the rate: 5 ms."""


def is_ogg_opus(request: UpstreamRequest) -> bool:
    """Return whether the session of this request was configured for Ogg Opus."""
    return request.configured.audio_format == AudioFormat.OGG_OPUS


def find_keyframes_of_audio(request: UpstreamRequest) -> int | None:
    """Return how many keyframes belong to the audio of a request. Return None if that is not certain, which
    can only be with Ogg Opus: the stream is damaged or incomplete, or it ends so near to a keyframe that the
    count depends on the pre-skip (samples at the start that RFC 7845 does not play). Spatius's documents do
    not name the pre-skip."""
    if not is_ogg_opus(request):
        return keyframe_count(len(request.audio) // BYTES_PER_SAMPLE, request.sample_rate)
    reader = OggOpusReader()
    try:
        reader.feed(bytes(request.audio))
    except RemoteProtocolError:
        return None
    if reader.head is None or not reader.ended:
        return None
    fewest_samples = max(0, reader.granule - reader.head.pre_skip - _ROUNDING_SAMPLES)
    fewest, most = (keyframe_count(samples, OPUS_HZ) for samples in (fewest_samples, reader.granule))
    return most if fewest == most else None


def is_answered_in_full(request: UpstreamRequest) -> bool:
    """Return whether motion came to its end for this request, with as many keyframes as belong to its
    audio."""
    keyframe_total = sum(len(payload.response.keyframes) for payload in request.payloads)
    return request.answered and keyframe_total == find_keyframes_of_audio(request)
