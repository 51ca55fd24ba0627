"""Audio facts: rates, sample arithmetic and how many keyframes belong to it."""

KEYFRAMES_PER_SECOND = 25
"""Keyframes a second (recording)."""

PCM_SAMPLE_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Rates in Hz that Motion Server takes as mono s16le (docs:audio). All are multiples of 25."""

OPUS_SAMPLE_RATES = (8000, 12000, 16000, 24000, 48000)
"""Rates in Hz that Motion Server takes as Ogg Opus (docs:audio)."""

BYTES_PER_SAMPLE = 2

FIRST_SEGMENT_KEYFRAMES = 50
"""The first response of a request carries 2 s of motion (recording)."""

SEGMENT_KEYFRAMES = 100
"""Every later response but the last carries 4 s of motion (recording)."""


def keyframe_count(samples: int, sample_rate: int) -> int:
    """How many keyframes belong to that much audio: floor(duration * 25), in integers (recording)."""
    return samples * KEYFRAMES_PER_SECOND // sample_rate


def segment_end(segment: int) -> int:
    """The keyframe at which segment number `segment` (0, 1, ...) ends: 50, 150, 250, ... (recording)."""
    return FIRST_SEGMENT_KEYFRAMES + segment * SEGMENT_KEYFRAMES
