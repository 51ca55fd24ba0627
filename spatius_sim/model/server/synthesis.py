"""Makes motion from PCM, in segments of keyframes that are shaped like the motion of the recording.

Every keyframe is one row of drivers (slow waves, loudness, hiss ...) times one mixing matrix. Waves make
head and face sway, silence or not; loudness opens the jaw; every segment starts with a small jump of the
expression, as the recorded segments do. The figures are those of protocol.md, "Motion as recorded"; which
wave moves which coefficient is our own invention, drawn from the seed.
"""

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from spatius_sim.protocol.audio import (
    BYTES_PER_SAMPLE,
    KEYFRAMES_PER_SECOND,
    SEGMENT_KEYFRAMES,
    keyframe_count,
    segment_end,
)
from spatius_sim.protocol.keyframes import (
    EXPRESSION,
    EYE_POSE,
    JAW_POSE,
    NECK_POSE,
    TRANSLATION,
    WIDTH,
    Keyframes,
)

# The drivers: columns of a segment's drive, and rows of the mixing matrix.
_WAVES = slice(0, 12)
_REST, _JUMP, _LOUDNESS, _HISS = range(12, 16)
_DRIVERS = 16

_MOVING = slice(EXPRESSION.start, EXPRESSION.start + 50)
"""The expression coefficients that move, 0..49; the others are zero (recording)."""

_REST_POSE = (
    (TRANSLATION, (-0.0007, 0.0037, -0.0008)),
    (NECK_POSE, (0.125, -0.011, 0.022)),
    (JAW_POSE, (0.005, -0.005, 0.0105)),
    (EYE_POSE, (0.0003,) * 6),
)
"""Metres or radians: round numbers near the recorded constants and means. The jaw is closed."""

_JAW_OPENING = 0.064
"""Radians of jaw_pose x from silence to the loudest sound; speech reaches 0.005 to 0.063 (recording)."""

_NECK_WAVES = {0: ((3, 0.032), (6, 0.022)), 1: ((2, 0.009), (5, 0.006)), 2: ((1, 0.010), (4, 0.007))}
"""For neck x, y, z: which waves move it, by how many radians; x stays within 0.07..0.18 (recording)."""

_DEVIATIONS = np.linspace(0.13, 0.78, 50)
"""Standard deviations of the moving coefficients, before shuffling: 0.12 to 0.8 (recording)."""

_WAVE_SHARE, _LOUDNESS_SHARE, _HISS_SHARE, _JUMP_SHARE = 0.85, 1.1, 0.7, 0.9
"""How far each driver moves a coefficient, in the coefficient's standard deviations. Chosen so that the steps
from keyframe to keyframe are as large as the recorded steps."""

_RADIANS_PER_KEYFRAME = 2 * np.pi * np.geomspace(0.5, 2.6, 12) / KEYFRAMES_PER_SECOND
"""The waves, 0.5 to 2.6 Hz: in steps of an irrational factor, so that the sway never repeats."""

_TURNS = np.outer(np.arange(SEGMENT_KEYFRAMES), _RADIANS_PER_KEYFRAME).astype(np.float32)
"""Radians that each wave has advanced by each keyframe of a segment: shape (100, 12)."""

_FADING = np.exp(np.arange(SEGMENT_KEYFRAMES) / -12).astype(np.float32)
"""How much of a segment's jump is left at each keyframe: shape (100,), about half a second."""

_SMOOTHING = np.array([0.5, 0.35, 0.15], np.float32)
"""Weights of the sound of a keyframe and of the two keyframes before. No later keyframe counts, so that a
segment needs no audio after its end."""

_BLOCK_KEYFRAMES = segment_end(0)
"""How many keyframes of audio are analysed at once: a block. Every segment has whole blocks. A whole long
segment at once would be too large for the caches of the processor, and would take a third longer."""

_HALF_OPEN_RMS = 900.0
"""The RMS, in units of s16le, at which the jaw is half open; ordinary speech has 400..5000."""

_HISS_LAG_HZ = 8000
"""Hiss is the difference between samples about 1/8000 s apart, so that it is nearly the same at every sample
rate."""

_SPEECH_LOUDNESS = 0.55
"""The mean loudness of speech, where 0.5 opens the jaw by half."""

_NUMBERS_PER_DIGEST = 16
"""A BLAKE2b digest has 64 bytes: 16 numbers of 4 bytes."""


@lru_cache(maxsize=512)
def _draw_numbers(seed: int, purpose: str, count: int) -> NDArray[np.float64]:
    """Return `count` random numbers in [-1, 1) for the synthesis of motion, always the same for this seed and
    purpose. The array is read-only."""
    digests = -(-count // _NUMBERS_PER_DIGEST)
    noise = b"".join(blake2b(f"{seed} {purpose} {index}".encode()).digest() for index in range(digests))
    draws = np.frombuffer(noise, "<u4", count) / 2.0**31 - 1.0
    draws.flags.writeable = False
    return draws


@lru_cache(maxsize=16)
def _draw_deviations(seed: int) -> NDArray[np.float64]:
    """Return the standard deviation of each moving coefficient, shape (50,); the seed decides the order."""
    return _DEVIATIONS[np.argsort(_draw_numbers(seed, "deviations", len(_DEVIATIONS)))]


@lru_cache(maxsize=16)
def _draw_mixing_matrix(seed: int) -> NDArray[np.float32]:
    """Return how far each driver of the motion moves each column of a keyframe, drawn from the seed: shape
    (16, 120). The row of the jump is still zero."""
    deviations = _draw_deviations(seed)
    mix = np.zeros((_DRIVERS, WIDTH))
    for columns, pose in _REST_POSE:
        mix[_REST, columns] = pose
    mix[_LOUDNESS, JAW_POSE.start] = _JAW_OPENING
    for axis, waves in _NECK_WAVES.items():
        for wave, radians in waves:
            mix[wave, NECK_POSE.start + axis] = radians
    moving = len(deviations)
    shares = _draw_numbers(seed, "waves", moving * _WAVES.stop).reshape(_WAVES.stop, moving)
    # A sine of amplitude 1 has the variance 1/2.
    mix[_WAVES, _MOVING] = _WAVE_SHARE * deviations * shares / np.sqrt((shares**2).sum(axis=0) / 2)
    mix[_LOUDNESS, _MOVING] = _LOUDNESS_SHARE * deviations * _draw_numbers(seed, "loudness", moving)
    mix[_HISS, _MOVING] = _HISS_SHARE * deviations * _draw_numbers(seed, "hiss", moving)
    # The offsets are those of speech; during speech the jaw is a good half open.
    mix[_REST, _MOVING] = _draw_numbers(seed, "offsets", moving) - _SPEECH_LOUDNESS * mix[_LOUDNESS, _MOVING]
    return mix.astype(np.float32)


class MotionSynthesizer:
    """Makes the motion of one request, segment by segment, from its PCM (mono s16le).

    The same audio and seed give the same keyframes and segments, in whatever pieces the audio comes. It is
    always analysed in the same blocks, so even the rounding is the same."""

    def __init__(self, sample_rate: int, seed: int) -> None:
        """Begin to make the motion of one request, whose PCM has this sample rate in Hz."""
        self._sample_rate = sample_rate
        self._seed = seed
        self._window = sample_rate // KEYFRAMES_PER_SECOND
        self._block_bytes = _BLOCK_KEYFRAMES * self._window * BYTES_PER_SAMPLE
        self._pieces: list[bytes] = []
        self._pending = 0
        self._segment = 0
        self._windows_done = 0
        self._keyframes_done = 0
        # For each window since the last segment: its energy, and its correlation with itself one lag before.
        self._sums = np.empty((2, SEGMENT_KEYFRAMES), np.float32)
        # Loudness and hiss of the two keyframes before, for the smoothing; at first these are silence.
        self._before = np.zeros((2, len(_SMOOTHING) - 1), np.float32)
        self._phases = np.pi * _draw_numbers(seed, "phases", _WAVES.stop)
        self._deviations = _draw_deviations(seed)
        self._mix = _draw_mixing_matrix(seed).copy()

    def feed(self, pcm: bytes) -> list[Keyframes]:
        """Take the next bytes of PCM, any number of them; return the segments of motion that are complete
        now, each of shape (n, 120).

        A segment is complete when a sample beyond its end has arrived. So if the audio ends exactly with a
        segment, `finish` returns that segment, and the last response has motion in it."""
        self._pieces.append(pcm)
        self._pending += len(pcm)
        needed = self._block_bytes + BYTES_PER_SAMPLE
        if self._pending < needed:
            return []
        complete: list[Keyframes] = []
        pending = b"".join(self._pieces)
        start = 0
        while len(pending) - start >= needed:
            self._analyse(pending, start, _BLOCK_KEYFRAMES)
            start += self._block_bytes
            if self._windows_done == segment_end(self._segment):
                complete.append(self._synthesize())
        self._pieces = [pending[start:]]
        self._pending -= start
        return complete

    def finish(self) -> Keyframes:
        """Return the last segment of the motion that is synthesized for a request, shape (n, 120), where n
        may be 0. All segments together have floor(duration * 25) keyframes (recording).

        Call this once, after the last audio. Samples that fill no whole keyframe are dropped."""
        keyframes = keyframe_count(self._pending // BYTES_PER_SAMPLE, self._sample_rate)
        if keyframes:
            self._analyse(b"".join(self._pieces), 0, keyframes)
        return self._synthesize()

    def _synthesize(self) -> Keyframes:
        """Make the motion for the PCM that was analysed since the last segment, shape (n, 120), float32, and
        return it as the next segment."""
        keyframes = self._windows_done - self._keyframes_done
        if not keyframes:
            return np.empty((0, WIDTH), np.float32)
        drive = np.empty((keyframes, _DRIVERS), np.float32)
        phases = (self._phases + self._keyframes_done * _RADIANS_PER_KEYFRAME) % (2 * np.pi)
        np.sin(_TURNS[:keyframes] + phases.astype(np.float32), out=drive[:, _WAVES])
        drive[:, _REST] = 1
        drive[:, _JUMP] = _FADING[:keyframes]
        for column, sound in zip((_LOUDNESS, _HISS), self._measure_sound(keyframes), strict=True):
            drive[:, column] = np.convolve(sound, _SMOOTHING, "valid")
        jumps = _draw_numbers(self._seed, f"jump {self._segment}", len(self._deviations))
        self._mix[_JUMP, _MOVING] = _JUMP_SHARE * self._deviations * jumps
        self._segment += 1
        self._keyframes_done = self._windows_done
        return drive @ self._mix

    def _analyse(self, pcm: bytes, start: int, keyframes: int) -> None:
        """Measure energy and correlation of the PCM of `keyframes` keyframes, from byte `start` on, and keep
        both for the motion of this segment."""
        samples = np.frombuffer(pcm, "<i2", keyframes * self._window, start).astype(np.float32)
        windows = samples.reshape(keyframes, self._window)
        lag = round(self._sample_rate / _HISS_LAG_HZ)
        energy, correlation = self._sums[:, self._windows_done - self._keyframes_done :][:, :keyframes]
        np.einsum("ij,ij->i", windows, windows, out=energy)
        np.einsum("ij,ij->i", windows[:, lag:], windows[:, :-lag], out=correlation)
        self._windows_done += keyframes

    def _measure_sound(self, keyframes: int) -> NDArray[np.float32]:
        """Measure how the PCM sounds from which motion is synthesised, and return two rows: loudness (0..1)
        and hiss (0..2). The columns are the two keyframes before this segment and all keyframes in it.

        The last two columns are kept for the next segment."""
        energy, correlation = self._sums[:, :keyframes]
        past = self._before.shape[1]
        sound_levels = np.empty((2, past + keyframes), np.float32)
        sound_levels[:, :past] = self._before
        rms = np.sqrt(energy / self._window)
        loudness = np.divide(rms, rms + _HALF_OPEN_RMS, out=sound_levels[0, past:])
        # Silence has no energy to divide by; one unit of it is beyond hearing.
        np.multiply(loudness, 1 - correlation / (energy + 1), out=sound_levels[1, past:])
        self._before = sound_levels[:, -past:]
        return sound_levels
