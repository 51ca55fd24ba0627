"""Keeps length, loudness and hash of speech instead of the speech itself, and makes noise in place of it."""

import hashlib
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import xxhash

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE

WINDOW_SAMPLES = 640
"""The samples of one window; each window has one level. At 16 kHz a window is 40 ms long."""

_FULL_LEVEL = 255
_LEVEL_OF_ROOT = _FULL_LEVEL / 32768 / WINDOW_SAMPLES**0.5
"""Factor from the square root of a window's energy to its level. A short last window counts as if silence
filled it up."""

_OGG = b"OggS"


class SpeechMark(NamedTuple):
    """What is kept of speech. `length` is in bytes, and `digest` is its XXH3 of 128 bits. `levels` has a byte
    for each window, 0 to 255 for an RMS of 0 to full scale; it is empty for Ogg Opus."""

    length: int
    digest: bytes
    levels: bytes


def speech_mark(audio: bytes) -> SpeechMark:
    """Return the fingerprint of speech (mono s16le or Ogg Opus): its length, hash and levels, which may be
    kept instead of the speech. Ogg Opus has no levels."""
    digest = xxhash.xxh3_128_digest(audio)
    if audio.startswith(_OGG):
        return SpeechMark(len(audio), digest, b"")
    # Whole numbers below 2 to the 53rd: their sum is exact in whatever order a machine adds them.
    samples = np.frombuffer(audio, "<i2", len(audio) // BYTES_PER_SAMPLE).astype(np.float64)
    windows = [samples[start : start + WINDOW_SAMPLES] for start in range(0, len(samples), WINDOW_SAMPLES)]
    levels = [ceil(sqrt(window.dot(window)) * _LEVEL_OF_ROOT) for window in windows]
    return SpeechMark(len(audio), digest, bytes(levels))


def make_noise(mark: SpeechMark) -> bytes:
    """Return noise (mono s16le) as long and as loud as the speech of this fingerprint, to stand in its place.
    The same mark always gives the same noise."""
    noise = hashlib.shake_128(mark.digest).digest(mark.length)
    whole_samples = mark.length // BYTES_PER_SAMPLE
    count = min(whole_samples, len(mark.levels) * WINDOW_SAMPLES)
    samples = np.frombuffer(noise, "<i2", whole_samples).astype(np.float32)
    loudness = np.frombuffer(mark.levels, np.uint8).repeat(WINDOW_SAMPLES)[:count] / np.float32(_FULL_LEVEL)
    samples[:count] *= loudness
    return samples.astype("<i2").tobytes() + noise[len(samples) * BYTES_PER_SAMPLE :]
