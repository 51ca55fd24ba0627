"""What is kept of speech: its length and its loudness, and nothing that could be understood."""

import math

import numpy as np
import pytest

from spatius_sim.trace.speech_fingerprint import (
    WINDOW_SAMPLES,
    compute_fingerprint,
    compute_fingerprints,
    make_noise,
)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 1279, 1280, 1281, 5000])
def test_noise_of_the_same_length_stands_in(length: int) -> None:
    audio = bytes(index * 37 % 256 for index in range(length))
    fingerprint = compute_fingerprint(audio)
    assert fingerprint.length == len(make_noise(fingerprint)) == length
    assert len(fingerprint.levels) == -(-(length // 2) // WINDOW_SAMPLES)
    assert make_noise(fingerprint) == make_noise(compute_fingerprint(audio))


def test_it_is_as_loud_as_the_speech_and_not_the_speech() -> None:
    loud = (np.ones(WINDOW_SAMPLES) * 20000).astype("<i2").tobytes()
    silent = bytes(2 * WINDOW_SAMPLES)
    fingerprint = compute_fingerprint(loud + silent)
    assert fingerprint.levels[0] > 150 and fingerprint.levels[1] == 0
    noise = np.frombuffer(make_noise(fingerprint), "<i2").astype(float)
    assert np.sqrt(np.square(noise[:WINDOW_SAMPLES]).mean()) > 8000
    assert not noise[WINDOW_SAMPLES:].any()
    assert loud not in make_noise(fingerprint)
    assert compute_fingerprint(silent).digest != compute_fingerprint(loud).digest


def test_of_ogg_no_levels_can_be_told() -> None:
    fingerprint = compute_fingerprint(b"OggS" + bytes(1000))
    assert fingerprint.levels == b""
    assert len(make_noise(fingerprint)) == fingerprint.length == 1004


def test_many_audios_are_marked_as_each_of_them_alone() -> None:
    audios = [
        bytes((index * 37 + length) % 256 for index in range(length)) for length in (0, 1, 3, 1281, 3200)
    ]
    audios += [bytes([number]) * 3200 for number in range(100)] + [b"OggS" + bytes(3196), bytes(700_000)]
    assert compute_fingerprints(audios) == [compute_fingerprint(audio) for audio in audios]
    assert compute_fingerprints([]) == []


@pytest.mark.parametrize("length", [2, 1278, 1280, 1282, 3200])
def test_a_level_is_the_rms_of_its_window_rounded_up(length: int) -> None:
    samples = np.arange(length // 2) * 7919 % 65536 - 32768
    levels = []
    for start in range(0, length // 2, WINDOW_SAMPLES):
        energy = sum(int(sample) ** 2 for sample in samples[start : start + WINDOW_SAMPLES])
        levels.append(math.ceil(math.sqrt(energy / WINDOW_SAMPLES) * 255 / 32768 - 1e-9))
    assert list(compute_fingerprint(samples.astype("<i2").tobytes()).levels) == levels
