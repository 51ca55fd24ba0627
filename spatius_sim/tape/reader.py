"""Reads a tape record by record, in constant memory. Every input is hostile until it is checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.pack_records import read_header, read_record, unpack_body
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

READABLE = (VERSION,)
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
        self._blobs = BlobWindow(self._read_blobs_again)
        self._counts = {"runs": 0, "events": 0, "blobs": 0, "blob_bytes": 0}
        self._last_ns = 0
        self.footer: Footer | None = None
        kind, body = self._sections.read_section()
        try:
            if kind != HEADER:
                raise MalformedError("the first section is not a header")
            self.header: TapeHeader = read_header(body, READABLE)
        except MalformedError as error:
            raise self._error_here(str(error)) from error

    def __iter__(self) -> Iterator[Record]:
        """Yield the records of the tape. Raises TapeError if the tape is damaged."""
        for values in self.stored_records():
            yield self._read_record(values)

    def stored_records(self) -> Iterator[Any]:
        """Read the sections of the tape and yield its records as MessagePack values; only their checksums are
        checked. Blobs are kept for the records that refer to them, and the footer is read at the end."""
        while True:
            kind, body = self._sections.read_section()
            if kind in (BLOB, RECORDS):
                first, blobs, records = self._split_section(kind, body)
                self._store_blobs(first, blobs)
                yield from records
            elif kind == FOOTER:
                self._read_footer(body)
                return
            else:
                raise self._error_here("a second header")

    def whole_records(self) -> Iterator[Record | TapeError]:
        """Read a damaged tape, and yield what can be read, in its order: whole records, and an error for each
        damaged record. If the next section cannot be found, the last value is that error."""
        while True:
            try:
                for values in self.stored_records():
                    yield self._read_or_fail(values)
                return
            except BodyError as error:
                yield error
            except TapeError as error:
                yield error
                return

    def _read_or_fail(self, values: Any) -> Record | TapeError:
        """Read one record of the tape. Return the record, or the TapeError that says why the record is
        malformed."""
        try:
            return self._read_record(values)
        except TapeError as error:
            return error

    def _split_section(self, kind: bytes, body: memoryview) -> tuple[int, list[bytes], list[Any]]:
        """Split a section that was read from the tape into the number of its first blob, its blobs and its
        records. Raises TapeError if the section is malformed."""
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

    def _read_blobs_again(self, place: SectionPlace) -> list[bytes]:
        """Return the blobs of a section of the tape that was read before."""
        return self._split_section(*self._sections.read_again(place))[1]

    def _store_blobs(self, first: int, blobs: list[bytes]) -> None:
        """Keep the blobs (long texts and bytes) of a section that was just read from the tape, and count
        them. Raises TapeError if they are malformed."""
        try:
            size = self._blobs.add(first, blobs, self._sections.place)
        except MalformedError as error:
            raise self._error_here(str(error)) from error
        self._counts["blobs"] += len(blobs)
        self._counts["blob_bytes"] += size

    def _read_record(self, values: Any) -> Record:
        """Read one record of the tape, count it, and return it. Raises TapeError if the record is malformed
        or refers to a missing blob."""
        try:
            record = read_record(values, self._blobs)
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
        """Read the footer of the tape into `footer`. Raises TapeError if it is malformed, or if anything
        follows it."""
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
    """Open the file of a tape, so that a TapeReader can read it, and return the file. Raises UsageError if
    there is no such file, or if it cannot be opened."""
    try:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file")
        return path.open("rb", buffering=0)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def records_of(path: Path) -> Iterator[Record]:
    """Open a tape, read it to its end, and yield its records one by one; then check that the footer counts as
    many. Raises UsageError if the file is not a tape, or if it is damaged."""
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        yield from reader
        reader.check_counts()


def header_of(path: Path) -> TapeHeader:
    """Read the header of a tape, and return it; the records are not read. Raises UsageError if the file is
    not a tape."""
    with open_tape(path) as file:
        return TapeReader(file, str(path)).header
