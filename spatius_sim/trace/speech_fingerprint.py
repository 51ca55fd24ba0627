"""Keeps length, loudness and hash of speech instead of the speech itself, and makes noise in place of it."""

import hashlib
from collections.abc import Sequence
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

_SAMPLES_AT_ONCE = 32 * 1024
"""Audios of one length are looked at together up to about so many samples: their energies (8 bytes each)
stay in the cache of a processor."""


class SpeechMark(NamedTuple):
    """What is kept of speech. `length` is in bytes, and `digest` is its XXH3 of 128 bits. `levels` has a byte
    for each window, 0 to 255 for an RMS of 0 to full scale; it is empty for Ogg Opus."""

    length: int
    digest: bytes
    levels: bytes


def speech_mark(audio: bytes) -> SpeechMark:
    """Return the fingerprint of speech (mono s16le or Ogg Opus): its length, hash and levels, which may be
    kept instead of the speech. Ogg Opus has no levels."""
    return speech_marks([audio])[0]


def speech_marks(audios: Sequence[bytes]) -> list[SpeechMark]:
    """Return the fingerprint of each of these pieces of speech, in order. Pieces of the same length are
    computed together, which is ten times as fast as one after the other."""
    by_length: dict[int, list[int]] = {}
    for index, audio in enumerate(audios):
        samples = 0 if audio.startswith(_OGG) else len(audio) // BYTES_PER_SAMPLE
        by_length.setdefault(samples, []).append(index)
    levels = [b""] * len(audios)
    for samples, alike in by_length.items():
        at_once = max(1, _SAMPLES_AT_ONCE // max(1, samples))
        for first in range(0, len(alike) if samples else 0, at_once):
            indices = alike[first : first + at_once]
            cut = [audios[index][: samples * BYTES_PER_SAMPLE] for index in indices]
            for index, row in zip(indices, _levels_of(cut, samples), strict=True):
                levels[index] = row
    return [
        SpeechMark(len(audio), xxhash.xxh3_128_digest(audio), row)
        for audio, row in zip(audios, levels, strict=True)
    ]


def _levels_of(audios: list[bytes], samples: int) -> list[bytes]:
    """Return how loud each of these pieces of speech is from window to window, as one byte a window, for
    their fingerprints. All pieces have `samples` samples, at least one."""
    # Whole numbers below 2 to the 53rd: their sum is exact in whatever order a machine adds them.
    values = np.frombuffer(b"".join(audios), "<i2").astype(np.float64).reshape(len(audios), samples)
    np.square(values, out=values)
    energies = np.add.reduceat(values, np.arange(0, samples, WINDOW_SAMPLES), axis=1)
    return [row.tobytes() for row in np.ceil(np.sqrt(energies) * _LEVEL_OF_ROOT).astype(np.uint8)]


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
