"""Sees at once that a frame holds none of many byte strings: the words of the frame are looked up in a table,
all together. It imports NumPy, so it is imported when the first secret is learnt."""

from dataclasses import dataclass, field

import numpy as np

SHORTEST_STRING = 16
"""The fewest bytes of a string that can be marked: the first whole word within it, wherever it stands in a
frame, ends before the sixteenth byte."""

_WORD_BYTES = 8
_TABLE_BITS = 20
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(64 - _TABLE_BITS)
"""Multiplied by a large odd number, a word differs from most others in its highest bits."""


@dataclass(slots=True)
class MarkedWords:
    """The words of all marked strings. A frame is read in words of eight bytes."""

    _marks: np.ndarray[tuple[int], np.dtype[np.bool_]] = field(
        default_factory=lambda: np.zeros(1 << _TABLE_BITS, np.bool_), compare=False, repr=False
    )

    def mark(self, string: bytes) -> None:
        """Mark the words that a frame can hold if this string stands in it: the first word within it begins
        at one of its first eight bytes. The string has at least SHORTEST_STRING bytes."""
        words = b"".join(string[offset : offset + _WORD_BYTES] for offset in range(_WORD_BYTES))
        self._marks[_places_of_marks(words)] = True

    def may_be_in(self, raw: bytes) -> bool:
        """Return whether a marked string may stand in a frame. Words that have the same mark by chance make
        this true, too."""
        return bool(np.count_nonzero(self._marks.take(_places_of_marks(raw))))


def _places_of_marks(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return where the mark of each whole word of these bytes stands in the table."""
    words = np.frombuffer(raw, np.uint64, len(raw) // _WORD_BYTES)
    # NumPy 1 takes no unsigned numbers as places.
    return ((words * _MIX) >> _SHIFT).view(np.int64)
