"""Makes the curves that a player page draws: how a face moves, in few bytes for each keyframe, and how loud
audio is. Keeps each payload once."""

import numpy as np
from numpy.typing import NDArray

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.keyframes import EXPRESSION, EYE_LID, EYE_POSE, JAW_POSE, NECK_POSE, Keyframes

CHANNELS = ("jaw", "lidLeft", "lidRight", "eyeX", "eyeY", "neckX", "neckY", "energy")
"""What is kept of a keyframe, a byte each."""

RANGES = (
    (0.0, 0.1),
    (-1.0, 1.0),
    (-1.0, 1.0),
    (-0.5, 0.5),
    (-0.5, 0.5),
    (-0.5, 0.5),
    (-0.5, 0.5),
    (0.0, 2.0),
)
"""The least and the largest value of each channel; what lies outside is cut. Radians, but for the energy. The
recording's jaw reaches 0.063 rad, its neck 0.18 rad, and a coefficient of the expression deviates by 0.12 to
0.8; the ranges leave room above (ASSUMED)."""

_MOVING_COEFFICIENT_COUNT = 50
"""The coefficients of the expression that move; the others are zero (recording)."""
_LARGEST_BYTE = 255
_LARGEST_SQUARE = 255
"""A larger square of a coefficient counts as this much in the energy; that is far outside its range."""
_FULL_SCALE = 32768


def loudness_levels(pcm: bytes, sample_rate: int) -> bytes:
    """Return the loudness of audio (mono s16le) as a player page draws it: one byte for each 40 ms. The byte
    is 255 times the square root of the peak (full scale is 1), so that quiet speech can also be seen."""
    samples = np.frombuffer(pcm, "<i2", len(pcm) // BYTES_PER_SAMPLE).astype(np.float32)
    window_samples = max(1, sample_rate // KEYFRAMES_PER_SECOND)
    if not len(samples):
        return b""
    starts = np.arange(0, len(samples), window_samples)
    peaks = np.maximum.reduceat(np.abs(samples), starts) / _FULL_SCALE
    levels: NDArray[np.uint8] = np.minimum(_LARGEST_BYTE, np.sqrt(peaks) * _LARGEST_BYTE).astype(np.uint8)
    return levels.tobytes()


class Payloads:
    """All payloads of a page, each stored once. A payload is known by its bytes."""

    def __init__(self) -> None:
        """Begin with no payloads of motion, and so with no curves. A curve is one channel of the keyframes,
        such as the jaw, over time; from the curves the page draws a face."""
        self._number_by_bytes: dict[bytes, int] = {}
        self._curves_of_payloads: list[NDArray[np.uint8]] = []
        self.starts: list[int] = []
        """The number of the first keyframe of each payload, counted over all payloads."""
        self.counts: list[int] = []
        """How many keyframes each payload holds."""
        self.total = 0

    def add(self, raw_payload: bytes, keyframes: Keyframes) -> int:
        """Store a payload of motion for the page, with the curves of its keyframes, from which the page draws
        a face. Return the number of the payload. A payload that is stored already keeps its number and is not
        stored again."""
        known_number = self._number_by_bytes.get(raw_payload)
        if known_number is not None:
            return known_number
        self._number_by_bytes[raw_payload] = len(self.starts)
        self.starts.append(self.total)
        self.counts.append(len(keyframes))
        self._curves_of_payloads.append(_make_curves(keyframes))
        self.total += len(keyframes)
        return len(self.starts) - 1

    def number_of(self, raw_payload: bytes) -> int:
        """Return the number of a payload on the page; -1 if it was never added."""
        return self._number_by_bytes.get(raw_payload, -1)

    def curves(self) -> bytes:
        """Return the curves: all bytes of the first channel, then of the second, and so on."""
        if not self._curves_of_payloads:
            return b""
        return np.ascontiguousarray(np.concatenate(self._curves_of_payloads).T).tobytes()


def _make_curves(keyframes: Keyframes) -> NDArray[np.uint8]:
    """Turn keyframes into the curves from which the player page draws a face: one byte for each channel of
    each keyframe, shape (n, 8). The last channel, the energy, is how strongly the expression moves: the root
    mean square of its coefficients. A value outside the range of its channel is cut, and one that is not a
    number becomes zero."""
    finite_keyframes = np.nan_to_num(keyframes, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
    expression = finite_keyframes[:, EXPRESSION][:, :_MOVING_COEFFICIENT_COUNT]
    energy = np.zeros(0)
    if len(finite_keyframes):
        energy = np.sqrt(np.minimum(expression**2, _LARGEST_SQUARE).mean(axis=1))
    channel_values = np.column_stack(
        [
            finite_keyframes[:, JAW_POSE.start],
            finite_keyframes[:, EYE_LID],
            finite_keyframes[:, EYE_POSE.start + 1],
            finite_keyframes[:, EYE_POSE.start],
            finite_keyframes[:, NECK_POSE.start],
            finite_keyframes[:, NECK_POSE.start + 1],
            energy,
        ]
    )
    lowest, highest = np.array(RANGES).T
    shares = (np.clip(channel_values, lowest, highest) - lowest) / (highest - lowest)
    return np.asarray(np.round(shares * _LARGEST_BYTE), np.uint8)
