"""Keeps length, loudness and hash of speech instead of the speech itself, and makes noise in place of it."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xxhash

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE

WINDOW_SAMPLES = 640
"""The samples of one window; each window has one level. At 16 kHz a window is 40 ms long."""

_HIGHEST_LEVEL = 255
_LEVEL_PER_ROOT_ENERGY = _HIGHEST_LEVEL / 32768 / WINDOW_SAMPLES**0.5
"""Factor from the square root of a window's energy to its level. A short last window counts as if silence
filled it up."""

_OGG_START = b"OggS"

_MAX_SAMPLES_AT_ONCE = 32 * 1024
"""Audios of one length are looked at together up to about so many samples: their energies (8 bytes each)
stay in the cache of a processor."""


class SpeechFingerprint(NamedTuple):
    """What is kept of speech. `length` is in bytes, and `digest` is its XXH3 of 128 bits. `levels` (of
    loudness) has a byte for each window, 0 to 255 for an RMS of 0 to full scale; it is empty for Ogg Opus."""

    length: int
    digest: bytes
    levels: bytes


def compute_fingerprint(audio: bytes) -> SpeechFingerprint:
    """Return the fingerprint of one piece of speech, mono s16le or Ogg Opus. It is kept instead of the
    speech: length, hash, and the loudness from moment to moment (empty for Ogg Opus)."""
    return compute_fingerprints([audio])[0]


def compute_fingerprints(audios: Sequence[bytes]) -> list[SpeechFingerprint]:
    """Return the fingerprint (length, hash and levels of loudness) of each of these pieces of speech, in
    their order. Pieces of the same length are computed together, which is ten times as fast as one after the
    other."""
    indices_by_sample_count: dict[int, list[int]] = {}
    for index, audio in enumerate(audios):
        sample_count = 0 if audio.startswith(_OGG_START) else len(audio) // BYTES_PER_SAMPLE
        indices_by_sample_count.setdefault(sample_count, []).append(index)
    levels_of_audios = [b""] * len(audios)
    for sample_count, indices in indices_by_sample_count.items():
        batch_size = max(1, _MAX_SAMPLES_AT_ONCE // max(1, sample_count))
        for start in range(0, len(indices) if sample_count else 0, batch_size):
            batch = indices[start : start + batch_size]
            whole_samples = [audios[index][: sample_count * BYTES_PER_SAMPLE] for index in batch]
            for index, levels in zip(batch, _compute_levels(whole_samples, sample_count), strict=True):
                levels_of_audios[index] = levels
    return [
        SpeechFingerprint(len(audio), xxhash.xxh3_128_digest(audio), levels)
        for audio, levels in zip(audios, levels_of_audios, strict=True)
    ]


def _compute_levels(audios: list[bytes], sample_count: int) -> list[bytes]:
    """Return how loud each piece of speech (mono s16le) is: one byte for each window of WINDOW_SAMPLES
    samples, 0 for silence and 255 for the greatest loudness. All pieces have `sample_count` samples, at least
    one."""
    # Whole numbers below 2 to the 53rd: their sum is exact in whatever order a machine adds them.
    values = np.frombuffer(b"".join(audios), "<i2").astype(np.float64).reshape(len(audios), sample_count)
    np.square(values, out=values)
    energies = np.add.reduceat(values, np.arange(0, sample_count, WINDOW_SAMPLES), axis=1)
    levels = np.ceil(np.sqrt(energies) * _LEVEL_PER_ROOT_ENERGY).astype(np.uint8)
    return [levels_of_audio.tobytes() for levels_of_audio in levels]


def make_noise(fingerprint: SpeechFingerprint) -> bytes:
    """Return noise (mono s16le) that is as long and as loud as the speech of this fingerprint, to be used in
    its place. The same fingerprint always gives the same noise."""
    noise = hashlib.shake_128(fingerprint.digest).digest(fingerprint.length)
    whole_samples = fingerprint.length // BYTES_PER_SAMPLE
    levelled_samples = min(whole_samples, len(fingerprint.levels) * WINDOW_SAMPLES)
    samples = np.frombuffer(noise, "<i2", whole_samples).astype(np.float32)
    levels = np.frombuffer(fingerprint.levels, np.uint8).repeat(WINDOW_SAMPLES)[:levelled_samples]
    samples[:levelled_samples] *= levels / np.float32(_HIGHEST_LEVEL)
    return samples.astype("<i2").tobytes() + noise[len(samples) * BYTES_PER_SAMPLE :]
