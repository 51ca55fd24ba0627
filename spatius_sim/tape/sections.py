"""The frame of a tape: sections, each with its length and a checksum (fixtures/README.md, "The tape").

A section is a MessagePack array of its name, its checksum and its body, always encoded in the same widths,
so that its head is 16 bytes. Each checksum covers the body and the checksum before it: what is flipped,
cut, dropped or moved is told with its offset.
"""

import struct
import zlib
from io import RawIOBase
from typing import BinaryIO

from spatius_sim.protocol.errors import UsageError

HEADER, RECORDS, BLOB, FOOTER = b"TAPE", b"DATA", b"BLOB", b"DONE"

LARGEST_BODY = 1_048_576
"""Bytes. So little can unpack to no more than some 70 MB, whatever it holds."""

LARGEST_BLOB = 16 * 1_048_576
"""Bytes of one blob: as many as the largest frame that is taken from a wire."""

BLOB_NUMBER_BYTES = 8
"""The body of a blob's section begins with its number, big-endian."""

HEAD_BYTES = 16
_HEAD = struct.Struct(">2s4sBIBI")
_ARRAY_OF_THREE = b"\x93\xa4"
_UINT32, _BIN32 = 0xCE, 0xC6


class TapeError(UsageError):
    """A tape that cannot be read: the byte where the trouble begins, and what it is."""

    def __init__(self, name: str, offset: int, reason: str) -> None:
        super().__init__(f"{name}: byte {offset}: {reason}")
        self.offset, self.reason = offset, reason


class IncompleteError(TapeError):
    """A tape that ends before its footer: its recorder was killed, or its disk was full."""


class BodyError(TapeError):
    """A section whose length is known and whose contents are damaged: the next one can still be found."""


def checksum(kind: bytes, body: bytes, before: int) -> int:
    """CRC-32 of the section's name, its length and its body, carried on from the section before."""
    return zlib.crc32(body, zlib.crc32(kind + len(body).to_bytes(4, "big"), before))


class SectionWriter:
    """Writes sections behind each other, to a file without a buffer of its own."""

    def __init__(self, file: RawIOBase) -> None:
        self._file, self._before = file, 0

    def write(self, kind: bytes, body: bytes) -> None:
        """Write one section, and hand it to the operating system at once."""
        self._before = checksum(kind, body, self._before)
        head = _HEAD.pack(_ARRAY_OF_THREE, kind, _UINT32, self._before, _BIN32, len(body))
        rest = memoryview(head + body)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


class SectionReader:
    """Reads sections; every failure is a TapeError with the offset of the section that it is in."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._before = 0
        self.offset = 0
        """Where the section that was read last begins."""
        self.end = 0
        """The byte behind it."""

    def next(self) -> tuple[bytes, bytes]:
        """The name and the body of the next section.

        Raises BodyError for damage within a section, IncompleteError at the end of the file and TapeError
        for what is no section.
        """
        self.offset = self.end
        head = self._file.read(HEAD_BYTES)
        if not head and self.offset:
            raise self.incomplete("the tape ends here, without its footer")
        if not head.startswith(_ARRAY_OF_THREE[: len(head)]) or (self.offset == 0 and not head):
            raise TapeError(self._name, self.offset, "this is no tape" if not self.offset else "no section")
        if len(head) < HEAD_BYTES:
            raise self.incomplete("the tape ends within the head of a section")
        _, kind, uint32, stored, bin32, length = _HEAD.unpack(head)
        if (uint32, bin32) != (_UINT32, _BIN32) or kind not in (HEADER, RECORDS, BLOB, FOOTER):
            raise TapeError(self._name, self.offset, "this is no tape" if not self.offset else "no section")
        if length > (LARGEST_BLOB + BLOB_NUMBER_BYTES if kind == BLOB else LARGEST_BODY):
            raise TapeError(self._name, self.offset, f"a section of {length} bytes is larger than any is")
        body = self._file.read(length)
        if len(body) < length:
            raise self.incomplete(f"the tape ends after {len(body)} of the {length} bytes of a section")
        self.end = self.offset + HEAD_BYTES + length
        expected, self._before = checksum(kind, body, self._before), stored
        if expected != stored:
            raise BodyError(self._name, self.offset, "damaged: a section does not match its checksum")
        return kind, body

    def finish(self) -> None:
        """Raises TapeError where anything follows the footer."""
        if self._file.read(1):
            raise TapeError(self._name, self.end, "something follows the footer")

    def incomplete(self, reason: str) -> IncompleteError:
        """The error of a tape that broke off."""
        return IncompleteError(
            self._name, self.offset, f"{reason}: incomplete; `spatius-sim tape repair` saves what is whole"
        )
