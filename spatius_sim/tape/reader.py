"""Reads a tape record by record, in constant memory. Every input is hostile until it is checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.pack_records import unpack_body, unpack_header, unpack_record
from spatius_sim.tape.recent_blobs import BlobWindow, MalformedError
from spatius_sim.tape.tape_sections import (
    BLOB,
    BLOB_NUMBER_BYTES,
    FOOTER,
    HEADER,
    RECORDS,
    BodyError,
    SectionPlace,
    SectionReader,
    TapeError,
)
from spatius_sim.tape.tape_values import VERSION, Record, TapedRun, TapeHeader

READABLE_VERSIONS = (VERSION,)
"""Every format version that a release has written."""


@dataclass(frozen=True, slots=True)
class Footer:
    """What the footer of a tape says of its contents. `last_ns`: the largest time of its events."""

    runs: int
    events: int
    blobs: int
    blob_bytes: int
    last_ns: int


class TapeReader:
    """Reads a tape: the `header` at once, the records while they are iterated (once), then the `footer`.

    Raises TapeError, with offset and reason, if the tape is damaged or cut off, or if the file is not a tape.
    """

    def __init__(self, file: FileIO, name: str) -> None:
        """Begin to read the tape in `file`: read its header. `name` names the tape in errors. Raises
        TapeError if the file is not a tape."""
        self._name = name
        self._sections = SectionReader(file, name)
        self._blobs = BlobWindow(self._reload_blobs)
        self._counts = {"runs": 0, "events": 0, "blobs": 0, "blob_bytes": 0}
        self._last_ns = 0
        self.footer: Footer | None = None
        kind, body = self._sections.read_section()
        try:
            if kind != HEADER:
                raise MalformedError("the first section is not a header")
            self.header: TapeHeader = unpack_header(body, READABLE_VERSIONS)
        except MalformedError as error:
            raise self._error_here(str(error)) from error

    def __iter__(self) -> Iterator[Record]:
        """Yield the records of the tape. Raises TapeError if the tape is damaged."""
        for values in self.read_packed_records():
            yield self._read_record(values)

    def read_packed_records(self) -> Iterator[Any]:
        """Read the tape section by section, and yield each record as unpacked MessagePack values, not yet
        checked. Blobs (long bytes) are kept for the records that refer to them. The footer is read at the
        end. Raises TapeError if a section is damaged."""
        while True:
            section_kind, body = self._sections.read_section()
            if section_kind in (BLOB, RECORDS):
                first_number, blobs, records = self._split_section(section_kind, body)
                self._store_blobs(first_number, blobs)
                yield from records
            elif section_kind == FOOTER:
                self._read_footer(body)
                return
            else:
                raise self._error_here("a second header")

    def read_undamaged_records(self) -> Iterator[Record | TapeError]:
        """Read a damaged tape, and yield in order each record that can still be read, and an error for each
        piece of damage. Stop after an error if the next section cannot be found."""
        while True:
            try:
                for values in self.read_packed_records():
                    yield self._read_record_or_error(values)
                return
            except BodyError as error:
                yield error
            except TapeError as error:
                yield error
                return

    def _read_record_or_error(self, values: Any) -> Record | TapeError:
        """Read one record of the tape from its unpacked values, and return it. If the record is malformed,
        return the TapeError that says why; nothing is raised."""
        try:
            return self._read_record(values)
        except TapeError as error:
            return error

    def _split_section(self, kind: bytes, body: memoryview) -> tuple[int, list[bytes], list[Any]]:
        """Split a section of the tape into three things: the number of its first blob, its blobs, and its
        unpacked records. A section that holds a single blob has no records. Raises TapeError if the section
        is malformed."""
        if kind == BLOB:
            number = int.from_bytes(body[:BLOB_NUMBER_BYTES], "big")
            return number, [bytes(body[BLOB_NUMBER_BYTES:])], []
        try:
            contents = unpack_body(body)
        except MalformedError as error:
            raise self._error_here(str(error)) from error
        match contents:
            case [int(first_number), list(blobs), list(records)] if type(first_number) is int:
                return first_number, blobs, records
        raise self._error_here("a section of records is not an array of a number, blobs and records")

    def _reload_blobs(self, place: SectionPlace) -> list[bytes]:
        """Return the blobs of a section of the tape that was read before."""
        return self._split_section(*self._sections.read_again(place))[1]

    def _store_blobs(self, first_number: int, blobs: list[bytes]) -> None:
        """Keep the blobs (long bytes) of a section of the tape, numbered from `first_number` on, for the
        records that refer to them. Count the blobs and their bytes. Raises TapeError if they are
        malformed."""
        try:
            blob_bytes = self._blobs.add(first_number, blobs, self._sections.place)
        except MalformedError as error:
            raise self._error_here(str(error)) from error
        self._counts["blobs"] += len(blobs)
        self._counts["blob_bytes"] += blob_bytes

    def _read_record(self, values: Any) -> Record:
        """Make a record of the tape from its unpacked values, count it, and return it. Raises TapeError if
        the values are malformed, or if they refer to a blob (long bytes, stored apart) that is missing."""
        try:
            record = unpack_record(values, self._blobs)
        except MalformedError as error:
            raise self._error_here(str(error)) from error
        except KeyError as error:
            raise self._error_here(f"blob {error} is referred to, and is not there") from error
        if isinstance(record, TapedRun):
            self._counts["runs"] += 1
        else:
            self._counts["events"] += 1
            self._last_ns = max(self._last_ns, record.at_ns)
        return record

    def _read_footer(self, body: memoryview) -> None:
        """Read the footer of the tape, with its counts, into `self.footer`. Raises TapeError if the footer is
        malformed, or if anything follows it."""
        try:
            values = unpack_body(body)
            if not isinstance(values, dict) or not all(isinstance(value, int) for value in values.values()):
                raise MalformedError("the footer is not a map of numbers")
            self.footer = Footer(**values)
        except (MalformedError, TypeError) as error:
            raise self._error_here(f"no footer: {error}") from error
        self._sections.finish()

    def check_counts(self) -> None:
        """Raise TapeError if the footer of the tape has other counts than the records that were read."""
        counted = Footer(**self._counts, last_ns=self._last_ns)
        if self.footer != counted:
            raise self._error_here(f"the footer says {self.footer}, the tape holds {counted}")

    def _error_here(self, reason: str) -> TapeError:
        """Return an error that names the tape and the section that was read last."""
        return TapeError(self._name, self._sections.place.offset, reason)


def open_tape(path: Path) -> FileIO:
    """Open the file of a tape for reading, and return it. Raises UsageError if there is no such file, or if
    it cannot be opened."""
    try:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file")
        return path.open("rb", buffering=0)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def read_records(path: Path) -> Iterator[Record]:
    """Read a tape to its end, and yield its records one by one. Then check that its footer has counted as
    many. Raises UsageError if the file is no tape, or if the tape is damaged or has other counts."""
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        yield from reader
        reader.check_counts()


def read_header(path: Path) -> TapeHeader:
    """Read the header of a tape, and return it; the records are not read. Raises UsageError if the file is
    not a tape."""
    with open_tape(path) as file:
        return TapeReader(file, str(path)).header
