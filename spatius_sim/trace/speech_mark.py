"""Keeps length, loudness and hash of speech instead of its words, and makes noise that stands in for it."""

import hashlib
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import xxhash

WINDOW_SAMPLES = 640
"""One level for each so many samples: 40 ms at 16 kHz."""

_LEVEL_OF_ROOT = 255 / 32768 / WINDOW_SAMPLES**0.5
"""From the root of a window's energy to its level; after a short last window silence is assumed."""

_OGG = b"OggS"


class SpeechMark(NamedTuple):
    """`length` in bytes; XXH3 of 128 bits; a level for each window, 0 to 255 for an RMS of 0 to full
    scale (none for Ogg Opus)."""

    length: int
    digest: bytes
    levels: bytes


def speech_mark(audio: bytes) -> SpeechMark:
    """Return what may be kept of speech."""
    digest = xxhash.xxh3_128_digest(audio)
    if audio.startswith(_OGG):
        return SpeechMark(len(audio), digest, b"")
    # Whole numbers below 2 to the 53rd: their sum is exact in whatever order a machine adds them.
    samples = np.frombuffer(audio, "<i2", len(audio) // 2).astype(np.float64)
    windows = [samples[at : at + WINDOW_SAMPLES] for at in range(0, len(samples), WINDOW_SAMPLES)]
    levels = [ceil(sqrt(window.dot(window)) * _LEVEL_OF_ROOT) for window in windows]
    return SpeechMark(len(audio), digest, bytes(levels))


def stand_in(mark: SpeechMark) -> bytes:
    """Return noise as long and as loud as the speech was; the same speech has the same noise."""
    noise = hashlib.shake_128(mark.digest).digest(mark.length)
    count = min(mark.length // 2, len(mark.levels) * WINDOW_SAMPLES)
    samples = np.frombuffer(noise, "<i2", mark.length // 2).astype(np.float32)
    loudness = np.frombuffer(mark.levels, np.uint8).repeat(WINDOW_SAMPLES)[:count] / np.float32(255)
    samples[:count] *= loudness
    return samples.astype("<i2").tobytes() + noise[len(samples) * 2 :]
