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
_DRIVER_COUNT = 16

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

_PHASE_STEPS = np.outer(np.arange(SEGMENT_KEYFRAMES), _RADIANS_PER_KEYFRAME).astype(np.float32)
"""Radians that each wave has advanced by each keyframe of a segment: shape (100, 12)."""

_JUMP_LEFT = np.exp(np.arange(SEGMENT_KEYFRAMES) / -12).astype(np.float32)
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
    """Return `count` random numbers in [-1, 1) for the synthesis of motion. The same seed and `purpose` (any
    text) always give the same numbers. The array is read-only, because callers share it."""
    digest_count = -(-count // _NUMBERS_PER_DIGEST)  # Rounded up.
    noise = b"".join(blake2b(f"{seed} {purpose} {index}".encode()).digest() for index in range(digest_count))
    numbers = np.frombuffer(noise, "<u4", count) / 2.0**31 - 1.0
    numbers.flags.writeable = False
    return numbers


@lru_cache(maxsize=16)
def _draw_deviations(seed: int) -> NDArray[np.float64]:
    """Return the standard deviation of each moving coefficient, shape (50,); the seed decides the order."""
    return _DEVIATIONS[np.argsort(_draw_numbers(seed, "deviations", len(_DEVIATIONS)))]


@lru_cache(maxsize=16)
def _draw_mixing_matrix(seed: int) -> NDArray[np.float32]:
    """Return how far each driver of the motion (a wave, loudness, hiss, ...) moves each coefficient of a
    keyframe, drawn from the seed: shape (16 drivers, 120 coefficients). The row of the jump is zero here:
    each segment of motion begins with its own small jump of the expression, which `_make_segment` draws."""
    deviations = _draw_deviations(seed)
    matrix = np.zeros((_DRIVER_COUNT, WIDTH))
    for columns, pose in _REST_POSE:
        matrix[_REST, columns] = pose
    matrix[_LOUDNESS, JAW_POSE.start] = _JAW_OPENING
    for axis, waves in _NECK_WAVES.items():
        for wave, radians in waves:
            matrix[wave, NECK_POSE.start + axis] = radians
    count = len(deviations)
    wave_shares = _draw_numbers(seed, "waves", count * _WAVES.stop).reshape(_WAVES.stop, count)
    # A sine of amplitude 1 has the variance 1/2.
    matrix[_WAVES, _MOVING] = (
        _WAVE_SHARE * deviations * wave_shares / np.sqrt((wave_shares**2).sum(axis=0) / 2)
    )
    matrix[_LOUDNESS, _MOVING] = _LOUDNESS_SHARE * deviations * _draw_numbers(seed, "loudness", count)
    matrix[_HISS, _MOVING] = _HISS_SHARE * deviations * _draw_numbers(seed, "hiss", count)
    # The offsets are those of speech; during speech the jaw is a little more than half open.
    matrix[_REST, _MOVING] = (
        _draw_numbers(seed, "offsets", count) - _SPEECH_LOUDNESS * matrix[_LOUDNESS, _MOVING]
    )
    return matrix.astype(np.float32)


class MotionSynthesizer:
    """Makes the motion of one request, segment by segment, from its PCM (mono s16le).

    The same audio and seed give the same keyframes and segments, in whatever pieces the audio comes. It is
    always analysed in the same blocks, so even the rounding is the same."""

    def __init__(self, sample_rate: int, seed: int) -> None:
        """Begin to make the motion of one request. Its PCM has this sample rate in Hz; the seed decides all
        that is random in the motion."""
        self._sample_rate = sample_rate
        self._seed = seed
        self._samples_per_keyframe = sample_rate // KEYFRAMES_PER_SECOND
        self._block_bytes = _BLOCK_KEYFRAMES * self._samples_per_keyframe * BYTES_PER_SAMPLE
        self._pending_pieces: list[bytes] = []
        self._pending_bytes = 0
        self._segment_number = 0
        self._analysed_keyframes = 0
        self._finished_keyframes = 0
        # The energy of each keyframe's sound since the last segment, and the correlation of this sound with
        # the same sound 1/8000 s earlier (see _HISS_LAG_HZ).
        self._energy_and_correlation = np.empty((2, SEGMENT_KEYFRAMES), np.float32)
        # Loudness and hiss of the two keyframes before, for the smoothing; at first these are silence.
        self._previous_sound = np.zeros((2, len(_SMOOTHING) - 1), np.float32)
        self._phases = np.pi * _draw_numbers(seed, "phases", _WAVES.stop)
        self._deviations = _draw_deviations(seed)
        self._mixing_matrix = _draw_mixing_matrix(seed).copy()

    def feed(self, pcm: bytes) -> list[Keyframes]:
        """Take the next bytes of a request's PCM, any number of them. Return the segments of motion that are
        complete now, each of shape (n, 120).

        A segment is complete when a sample beyond its end has arrived. So if the audio ends exactly at the
        end of a segment, `finish` returns that segment, and the last response has motion in it."""
        self._pending_pieces.append(pcm)
        self._pending_bytes += len(pcm)
        needed_bytes = self._block_bytes + BYTES_PER_SAMPLE
        if self._pending_bytes < needed_bytes:
            return []
        complete_segments: list[Keyframes] = []
        pending = b"".join(self._pending_pieces)
        start_byte = 0
        while len(pending) - start_byte >= needed_bytes:
            self._analyse_pcm(pending, start_byte, _BLOCK_KEYFRAMES)
            start_byte += self._block_bytes
            if self._analysed_keyframes == segment_end(self._segment_number):
                complete_segments.append(self._make_segment())
        self._pending_pieces = [pending[start_byte:]]
        self._pending_bytes -= start_byte
        return complete_segments

    def finish(self) -> Keyframes:
        """Return the last segment of a request's motion, made from the PCM that is left: shape (n, 120),
        where n may be 0. Call this once, after the last audio.

        Samples that fill no whole keyframe are dropped, so that all segments together have floor(duration *
        25) keyframes, as in the vendor's published recording (recording)."""
        count = keyframe_count(self._pending_bytes // BYTES_PER_SAMPLE, self._sample_rate)
        if count:
            self._analyse_pcm(b"".join(self._pending_pieces), 0, count)
        return self._make_segment()

    def _make_segment(self) -> Keyframes:
        """Make the next segment of motion from the PCM that was analysed since the last segment, and return
        it: shape (n, 120), float32. It is empty if nothing was analysed. The segment is the product of two
        matrices: the drivers of each keyframe (waves, rest pose, jump, loudness, hiss), and the mixing
        matrix, which says how far each driver moves each coefficient."""
        count = self._analysed_keyframes - self._finished_keyframes
        if not count:
            return np.empty((0, WIDTH), np.float32)
        drive = np.empty((count, _DRIVER_COUNT), np.float32)
        phases = (self._phases + self._finished_keyframes * _RADIANS_PER_KEYFRAME) % (2 * np.pi)
        np.sin(_PHASE_STEPS[:count] + phases.astype(np.float32), out=drive[:, _WAVES])
        drive[:, _REST] = 1
        drive[:, _JUMP] = _JUMP_LEFT[:count]
        for column, sound in zip((_LOUDNESS, _HISS), self._measure_sound(count), strict=True):
            drive[:, column] = np.convolve(sound, _SMOOTHING, "valid")
        jumps = _draw_numbers(self._seed, f"jump {self._segment_number}", len(self._deviations))
        self._mixing_matrix[_JUMP, _MOVING] = _JUMP_SHARE * self._deviations * jumps
        self._segment_number += 1
        self._finished_keyframes = self._analysed_keyframes
        return drive @ self._mixing_matrix

    def _analyse_pcm(self, pcm: bytes, start_byte: int, count: int) -> None:
        """Measure the PCM of the next `count` keyframes, from byte `start_byte` on: the energy of the sound,
        and its correlation with itself about 1/8000 s earlier, which tells hiss (s, f) from vowels. Both are
        kept for the motion of this segment."""
        samples = np.frombuffer(pcm, "<i2", count * self._samples_per_keyframe, start_byte).astype(np.float32)
        windows = samples.reshape(count, self._samples_per_keyframe)
        lag = round(self._sample_rate / _HISS_LAG_HZ)
        first = self._analysed_keyframes - self._finished_keyframes
        energy, correlation = self._energy_and_correlation[:, first : first + count]
        np.einsum("ij,ij->i", windows, windows, out=energy)
        np.einsum("ij,ij->i", windows[:, lag:], windows[:, :-lag], out=correlation)
        self._analysed_keyframes += count

    def _measure_sound(self, count: int) -> NDArray[np.float32]:
        """Return the loudness (0..1, first row) and the hiss (0..2, second row) of the PCM of this segment's
        `count` keyframes. Hiss is noise like s or f: sound that correlates little with itself about 1/8000 s
        earlier. Before these columns stand those of the two previous keyframes.

        The last two columns are kept for the next segment."""
        energy, correlation = self._energy_and_correlation[:, :count]
        previous_count = self._previous_sound.shape[1]
        sound_levels = np.empty((2, previous_count + count), np.float32)
        sound_levels[:, :previous_count] = self._previous_sound
        rms = np.sqrt(energy / self._samples_per_keyframe)
        loudness = np.divide(rms, rms + _HALF_OPEN_RMS, out=sound_levels[0, previous_count:])
        # Silence has no energy to divide by; one unit of it is beyond hearing.
        np.multiply(loudness, 1 - correlation / (energy + 1), out=sound_levels[1, previous_count:])
        self._previous_sound = sound_levels[:, -previous_count:]
        return sound_levels
