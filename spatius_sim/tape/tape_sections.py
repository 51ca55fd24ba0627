"""Writes and reads the sections of a tape, each with its length and a checksum (fixtures/README.md, "The
tape").

A section is a MessagePack array of its name, its checksum and its body, always encoded in the same widths, so
that its head is 20 bytes. Each checksum covers the body and the checksum before it: so the reader finds each
bit that is flipped and each section that is cut, dropped or moved, and tells its offset."""

import struct
from io import FileIO, RawIOBase
from typing import NamedTuple

import xxhash

from spatius_sim.protocol.errors import UsageError

HEADER, RECORDS, BLOB, FOOTER = b"TAPE", b"DATA", b"BLOB", b"DONE"

LARGEST_BODY = 1_048_576
"""Bytes. A body of this size unpacks to at most about 70 MB."""

LARGEST_BLOB = 16 * 1_048_576
"""Bytes of one blob: as many as the largest frame that the kit accepts."""

BLOB_NUMBER_BYTES = 8
"""The length of the blob's number, big-endian, at the start of the section of a single blob."""

HEAD_BYTES = 20
_HEAD = struct.Struct(">2s4sBQBI")
_ARRAY_OF_THREE = b"\x93\xa4"
_UINT64, _BIN32 = 0xCF, 0xC6


class TapeError(UsageError):
    """The tape cannot be read: names the byte at which the damage begins, and the reason."""

    def __init__(self, name: str, offset: int, reason: str) -> None:
        """Make the error from the tape's name, the byte at which the damaged section begins, and the
        reason."""
        super().__init__(f"{name}: byte {offset}: {reason}")
        self.offset, self.reason = offset, reason


class IncompleteError(TapeError):
    """The tape ends before its footer: its recorder was killed, or its disk was full."""


class BodyError(TapeError):
    """The contents of a section are damaged, but its length is known: the next section can still be found."""


def checksum(kind: bytes, body: bytes | memoryview, checksum_before: int) -> int:
    """Return the checksum of a tape's section: XXH3 (64 bits) of its name (`kind`), length and body. The seed
    is the checksum of the section before, so that a missing or moved section is noticed."""
    digest = xxhash.xxh3_64(kind + len(body).to_bytes(4, "big"), checksum_before)
    digest.update(body)
    return digest.intdigest()


class SectionPlace(NamedTuple):
    """The byte at which a section of a tape begins, and the checksum of the section before it."""

    offset: int
    checksum_before: int


class SectionWriter:
    """Writes the sections of a tape one after another, to a file without a buffer of its own."""

    def __init__(self, file: RawIOBase) -> None:
        """Begin to write sections to this file. Each checksum includes the one before it; the first includes
        0."""
        self._file, self._checksum_before = file, 0

    def write(self, kind: bytes, body: bytes) -> None:
        """Write one section of the tape: its head, with its name (`kind`) and checksum, and its body. The
        bytes are handed to the operating system at once."""
        self._checksum_before = checksum(kind, body, self._checksum_before)
        head = _HEAD.pack(_ARRAY_OF_THREE, kind, _UINT64, self._checksum_before, _BIN32, len(body))
        unwritten = memoryview(head + body)
        while unwritten:
            written_count = self._file.write(unwritten) or 0
            unwritten = unwritten[written_count:]


class SectionReader:
    """Reads the sections of a tape. Every failure is a TapeError with the offset of the section."""

    def __init__(self, file: FileIO, name: str) -> None:
        """Begin to read the sections of the tape in `file`; `name` names the tape in errors. Each checksum
        includes the one before it; the first includes 0."""
        self._file, self._name = file, name
        self._buffer = bytearray()
        self._checksum_before = self._next_offset = 0
        self.place = SectionPlace(0, 0)
        """The place of the section that was read last."""

    def read_section(self) -> tuple[bytes, memoryview]:
        """Return the name and the body of the tape's next section; the body is valid until the next call.

        Raises BodyError if the section is damaged, IncompleteError at the end of the file, and TapeError if
        no section is there."""
        offset = self._next_offset
        self.place = SectionPlace(offset, self._checksum_before)
        head = self._read_bytes(HEAD_BYTES)
        if not head and offset:
            raise self._incomplete_error("the tape ends here, without its footer")
        if not head.startswith(_ARRAY_OF_THREE[: len(head)]) or (offset == 0 and not head):
            raise TapeError(self._name, offset, "this is not a tape" if not offset else "no section")
        if len(head) < HEAD_BYTES:
            raise self._incomplete_error("the tape ends within the head of a section")
        _, kind, uint64, stored_checksum, bin32, length = _HEAD.unpack(head)
        if (uint64, bin32) != (_UINT64, _BIN32) or kind not in (HEADER, RECORDS, BLOB, FOOTER):
            raise TapeError(self._name, offset, "this is not a tape" if not offset else "no section")
        if length > (LARGEST_BLOB + BLOB_NUMBER_BYTES if kind == BLOB else LARGEST_BODY):
            raise TapeError(self._name, offset, f"a section of {length} bytes is larger than any is")
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        body = memoryview(self._buffer)[:length]
        try:
            count = self._file.readinto(body)
        except OSError as error:
            raise self._unreadable_error(error) from error
        if count < length:
            raise self._incomplete_error(f"the tape ends after {count} of the {length} bytes of a section")
        self._next_offset = offset + HEAD_BYTES + length
        expected_checksum, self._checksum_before = (
            checksum(kind, body, self._checksum_before),
            stored_checksum,
        )
        if expected_checksum != stored_checksum:
            raise BodyError(self._name, offset, "damaged: a section does not match its checksum")
        return kind, body

    def read_again(self, place: SectionPlace) -> tuple[bytes, memoryview]:
        """Return the name and the body of a section of the tape that was read before, and that begins at
        `place`. The next call of `read_section` goes on as if this call had not been made."""
        saved_position = self.place, self._next_offset, self._checksum_before
        self._next_offset, self._checksum_before = place
        self._file.seek(self._next_offset)
        try:
            return self.read_section()
        finally:
            self.place, self._next_offset, self._checksum_before = saved_position
            self._file.seek(self._next_offset)

    def finish(self) -> None:
        """Raise TapeError if anything follows the footer, the last section of the tape."""
        if self._read_bytes(1):
            raise TapeError(self._name, self._next_offset, "something follows the footer")

    def _read_bytes(self, size: int) -> bytes:
        """Read up to `size` bytes of the tape; fewer only if the file ends. Raises TapeError if the operating
        system reports an error."""
        try:
            return self._file.read(size)
        except OSError as error:
            raise self._unreadable_error(error) from error

    def _unreadable_error(self, error: OSError) -> TapeError:
        """Return the error that says that the operating system cannot read on in the tape."""
        return TapeError(self._name, self._next_offset, f"it cannot be read on: {error.strerror}")

    def _incomplete_error(self, reason: str) -> IncompleteError:
        """Return the error for a tape whose sections end too early: within a section, or without a footer. It
        names the offset of the section that was read last."""
        return IncompleteError(
            self._name,
            self.place.offset,
            f"{reason}: incomplete; `spatius-sim tape repair` saves what is whole",
        )
