"""Keeps what a face needs of each keyframe in few bytes, and each payload once."""

import numpy as np
from numpy.typing import NDArray

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

_MOVING = 50
"""The coefficients of the expression that move; the others are zero (recording)."""
_FULL = 255


class Payloads:
    """All payloads of a page, each stored once. A payload is known by its bytes."""

    def __init__(self) -> None:
        """Begin with no payloads, and so with no curves of keyframes."""
        self._numbers: dict[bytes, int] = {}
        self._rows: list[NDArray[np.uint8]] = []
        self.starts: list[int] = []
        """The number of the first keyframe of each payload, counted over all payloads."""
        self.counts: list[int] = []
        """How many keyframes each payload holds."""
        self.total = 0

    def add(self, raw: bytes, keyframes: Keyframes) -> int:
        """Store a payload for the page, with the curves that the face needs of its keyframes, and return its
        number. A payload that is stored already is not stored again."""
        known = self._numbers.get(raw)
        if known is not None:
            return known
        self._numbers[raw] = len(self.starts)
        self.starts.append(self.total)
        self.counts.append(len(keyframes))
        self._rows.append(_make_curves(keyframes))
        self.total += len(keyframes)
        return len(self.starts) - 1

    def number_of(self, raw: bytes) -> int:
        """Return the number of a payload on the page; -1 if it was never added."""
        return self._numbers.get(raw, -1)

    def curves(self) -> bytes:
        """Return the curves: all bytes of the first channel, then of the second, and so on."""
        if not self._rows:
            return b""
        return np.ascontiguousarray(np.concatenate(self._rows).T).tobytes()


def _make_curves(keyframes: Keyframes) -> NDArray[np.uint8]:
    """Squeeze keyframes into the curves that a player page needs of a face: one byte for each channel of each
    keyframe, shape (n, 8). A value that is not a number becomes zero."""
    clean = np.nan_to_num(keyframes, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
    expression = clean[:, EXPRESSION][:, :_MOVING]
    values = np.column_stack(
        [
            clean[:, JAW_POSE.start],
            clean[:, EYE_LID],
            clean[:, EYE_POSE.start + 1],
            clean[:, EYE_POSE.start],
            clean[:, NECK_POSE.start],
            clean[:, NECK_POSE.start + 1],
            np.sqrt(np.minimum(expression**2, _FULL).mean(axis=1)) if len(clean) else np.zeros(0),
        ]
    )
    least, most = np.array(RANGES).T
    return np.asarray(np.round((np.clip(values, least, most) - least) / (most - least) * _FULL), np.uint8)
