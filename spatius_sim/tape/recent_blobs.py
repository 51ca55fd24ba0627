"""Keeps the newest blobs of a tape, which are audio and motion payloads: some in memory, the others by the
place of their section."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from spatius_sim.tape.tape_sections import SectionPlace

SMALLEST_BLOB = 64
"""Bytes. Shorter contents are no blobs: the record that uses them contains them."""

WINDOW_BYTES = 64 * 1_048_576
"""Records refer only to the newest blobs, whose sizes sum up to at most this; each blob counts SMALLEST_BLOB
bytes more."""

_MEMORY_BYTES = 4 * 1_048_576
"""The bytes of blobs that stay in memory."""


class MalformedError(ValueError):
    """The bytes of a tape are not as any writer writes them."""


class _BlobSection(NamedTuple):
    """A section of a tape with blobs: how many there are, how many bytes they count for, and the place of the
    section."""

    blob_count: int
    counted_bytes: int
    place: SectionPlace


class _LoadedSection(NamedTuple):
    """The blobs of a tape's section in memory, and the sum of their sizes in bytes."""

    blobs: list[bytes]
    blob_bytes: int


class BlobWindow:
    """Holds the newest blobs of a tape by number. The blobs of the sections loaded last are in memory;
    `read_again` reads another section from the tape and returns its blobs."""

    def __init__(self, read_again: Callable[[SectionPlace], list[bytes]]) -> None:
        """Begin without blobs. `read_again` takes the place of a section on the tape, reads this section
        again, and returns its blobs."""
        self._read_again = read_again
        self._first_numbers: list[int] = []
        self._sections: list[_BlobSection] = []
        """The section of each number in `_first_numbers`, which is the number of its first blob."""
        self._counted_bytes = 0
        self._next_number = 0
        self._loaded_sections: OrderedDict[int, _LoadedSection] = OrderedDict()
        """The sections in memory, by the number of their first blob."""
        self._bytes_in_memory = 0

    def add(self, first_number: int, blobs: list[bytes], place: SectionPlace) -> int:
        """Add the blobs (long bytes) of one section of the tape, and return how many bytes they have.
        `first_number` is the number of the first blob, and `place` is where the section is on the tape. If
        all blobs together exceed WINDOW_BYTES, forget the oldest sections; each blob counts SMALLEST_BLOB
        bytes more than it has.

        Raises MalformedError if the numbers do not rise, or if a blob is not binary."""
        if not blobs:
            return 0
        if not set(map(type, blobs)) <= {bytes}:
            raise MalformedError("a blob is not binary")
        if first_number < self._next_number:
            raise MalformedError(f"blob {first_number} comes after blob {self._next_number - 1}")
        blob_bytes = sum(map(len, blobs))
        counted_bytes = blob_bytes + SMALLEST_BLOB * len(blobs)
        self._next_number = first_number + len(blobs)
        self._first_numbers.append(first_number)
        self._sections.append(_BlobSection(len(blobs), counted_bytes, place))
        self._counted_bytes += counted_bytes
        old_section_count = 0
        while self._counted_bytes - self._sections[old_section_count].counted_bytes > WINDOW_BYTES:
            self._counted_bytes -= self._sections[old_section_count].counted_bytes
            old_section_count += 1
        del self._first_numbers[:old_section_count], self._sections[:old_section_count]
        self._keep_in_memory(first_number, blobs, blob_bytes)
        return blob_bytes

    def __getitem__(self, number: int) -> bytes:
        """Return the blob with this number. If it is no longer in memory, read its section of the tape again.
        Raises KeyError if no blob has this number, or if the blob was so old that it was forgotten."""
        index = bisect_right(self._first_numbers, number) - 1
        if index < 0 or number - self._first_numbers[index] >= self._sections[index].blob_count:
            raise KeyError(number)
        first_number = self._first_numbers[index]
        loaded = self._loaded_sections.get(first_number)
        if loaded is not None:
            return loaded.blobs[number - first_number]
        blobs = self._read_again(self._sections[index].place)
        self._keep_in_memory(first_number, blobs, sum(map(len, blobs)))
        return blobs[number - first_number]

    def _keep_in_memory(self, first_number: int, blobs: list[bytes], blob_bytes: int) -> None:
        """Keep the blobs of a section of the tape in memory; `first_number` is the number of the first blob.
        If all together take too much memory, drop the sections that were loaded longest ago, but never the
        newest."""
        self._loaded_sections[first_number] = _LoadedSection(blobs, blob_bytes)
        self._bytes_in_memory += blob_bytes
        while self._bytes_in_memory > _MEMORY_BYTES and len(self._loaded_sections) > 1:
            _, oldest = self._loaded_sections.popitem(last=False)
            self._bytes_in_memory -= oldest.blob_bytes
