"""Facts about audio: its rates, and how many keyframes belong to it."""

KEYFRAMES_PER_SECOND = 25
"""Keyframes for each second of audio (recording)."""

PCM_SAMPLE_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Rates in Hz that Motion Server takes as mono s16le (docs:audio). All are multiples of 25."""

OPUS_SAMPLE_RATES = (8000, 12000, 16000, 24000, 48000)
"""Rates in Hz that Motion Server takes as Ogg Opus (docs:audio)."""

BYTES_PER_SAMPLE = 2

FIRST_SEGMENT_KEYFRAMES = 50
"""Keyframes in the first response of a request: 2 s of motion (recording)."""

SEGMENT_KEYFRAMES = 100
"""Keyframes in every later response but the last: 4 s of motion (recording)."""


def keyframe_count(samples: int, sample_rate: int) -> int:
    """Return how many keyframes belong to `samples` samples of audio: floor(duration * 25) (recording). Only
    integers are used, so that nothing is rounded."""
    return samples * KEYFRAMES_PER_SECOND // sample_rate


def is_same_speech(first: bytes, second: bytes, sample_rate: int) -> bool:
    """Return whether two pieces of audio (PCM, mono s16le) hold the same speech. One of them may be longer by
    less than 40 ms of silence at its end, because a relay may fill up its last packet of audio."""
    shorter, longer = sorted((first, second), key=len)
    padding = longer[len(shorter) :]
    is_short = len(padding) * KEYFRAMES_PER_SECOND < BYTES_PER_SAMPLE * sample_rate or not padding
    is_silent = not any(padding)
    return is_short and is_silent and longer.startswith(shorter)


def segment_end(segment: int) -> int:
    """Return how many keyframes have come for a request's audio when segment number `segment` (0, 1, ...)
    ends: 50, 150, 250, ... (recording)."""
    return FIRST_SEGMENT_KEYFRAMES + segment * SEGMENT_KEYFRAMES
