"""Keeps the newest blobs of a tape: some in memory, the others by the place of their section."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from spatius_sim.tape.sections import SectionPlace

SMALLEST_BLOB = 64
"""Bytes. Shorter contents are no blobs: the record that uses them contains them."""

WINDOW_BYTES = 64 * 1_048_576
"""Records refer only to the newest blobs, whose sizes sum up to at most this; each blob counts SMALLEST_BLOB
bytes more."""

_AT_HAND_BYTES = 4 * 1_048_576
"""The bytes of blobs that stay in memory."""


class MalformedError(ValueError):
    """The bytes of a tape are not as any writer writes them."""


class _BlobSection(NamedTuple):
    """A section with blobs: how many there are, how many bytes they count for, and the place of the
    section."""

    blob_count: int
    counted_bytes: int
    place: SectionPlace


class _LoadedSection(NamedTuple):
    """The blobs of a section in memory, and the sum of their sizes in bytes."""

    blobs: list[bytes]
    length: int


class BlobWindow:
    """Holds the newest blobs by number. Those of the sections loaded last are in memory; `read_again` reads
    another section from the tape and returns its blobs."""

    def __init__(self, read_again: Callable[[SectionPlace], list[bytes]]) -> None:
        """Begin without blobs."""
        self._read_again = read_again
        self._firsts: list[int] = []
        self._sections: list[_BlobSection] = []
        """The section of each number in `_firsts`, which is the number of its first blob."""
        self._bytes = 0
        self._next = 0
        self._at_hand: OrderedDict[int, _LoadedSection] = OrderedDict()
        """The sections in memory, by the number of their first blob."""
        self._bytes_at_hand = 0

    def add(self, first: int, blobs: list[bytes], place: SectionPlace) -> int:
        """Take the blobs of a section, numbered from `first` on, and return how many bytes they have. Raises
        MalformedError if the numbers do not rise, or if a blob is not binary."""
        if not blobs:
            return 0
        if not set(map(type, blobs)) <= {bytes}:
            raise MalformedError("a blob is not binary")
        if first < self._next:
            raise MalformedError(f"blob {first} comes after blob {self._next - 1}")
        length = sum(map(len, blobs))
        counted = length + SMALLEST_BLOB * len(blobs)
        self._next = first + len(blobs)
        self._firsts.append(first)
        self._sections.append(_BlobSection(len(blobs), counted, place))
        self._bytes += counted
        too_old = 0
        while self._bytes - self._sections[too_old].counted_bytes > WINDOW_BYTES:
            self._bytes -= self._sections[too_old].counted_bytes
            too_old += 1
        del self._firsts[:too_old], self._sections[:too_old]
        self._keep_at_hand(first, blobs, length)
        return length

    def __getitem__(self, number: int) -> bytes:
        """Return blob `number`. Raises KeyError if it is unknown or too old."""
        index = bisect_right(self._firsts, number) - 1
        if index < 0 or number - self._firsts[index] >= self._sections[index].blob_count:
            raise KeyError(number)
        first = self._firsts[index]
        at_hand = self._at_hand.get(first)
        if at_hand is not None:
            return at_hand.blobs[number - first]
        blobs = self._read_again(self._sections[index].place)
        self._keep_at_hand(first, blobs, sum(map(len, blobs)))
        return blobs[number - first]

    def _keep_at_hand(self, first: int, blobs: list[bytes], length: int) -> None:
        """Keep the blobs of a section in memory; drop older sections if these take too much."""
        self._at_hand[first] = _LoadedSection(blobs, length)
        self._bytes_at_hand += length
        while self._bytes_at_hand > _AT_HAND_BYTES and len(self._at_hand) > 1:
            _, oldest = self._at_hand.popitem(last=False)
            self._bytes_at_hand -= oldest.length
