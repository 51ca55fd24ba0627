"""Writes a tape while the events happen, in constant memory. A reader sees if a tape was not closed."""

import os
import stat
from collections import OrderedDict
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import msgpack

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.pack_records import pack_header, pack_record, pack_speech
from spatius_sim.tape.recent_blobs import WINDOW_BYTES
from spatius_sim.tape.tape_sections import (
    BLOB,
    BLOB_NUMBER_BYTES,
    FOOTER,
    HEADER,
    LARGEST_BLOB,
    RECORDS,
    SectionWriter,
)
from spatius_sim.tape.tape_values import VERSION, Record, TapedRun, TapeHeader
from spatius_sim.trace.events import Lane
from spatius_sim.trace.speech_fingerprint import SpeechFingerprint

_REMEMBERED_BYTES = WINDOW_BYTES // 2
"""A blob among the newest blobs, up to this size in sum, is not written twice. Half of the window: so no
record refers to a blob that the reader has forgotten."""
_FULL_SECTION_BYTES = 256 * 1024
"""The size at which a section is written. Far below LARGEST_BODY, so that the heads of the arrays and of
their binaries need not be counted."""
_OWN_SECTION_BYTES = 128 * 1024
"""A blob of at least this size gets a section of its own."""
_DIGEST_KEY_BYTES = 32
_OWNERS_ALONE = 0o600
"""The mode of a tape: it may hold what people said, and messages of a subject that no redaction knows."""


class TapeWriter:
    """Writes a tape. `with TapeWriter(path, header) as tape:` writes a whole tape, or none if an
    exception ends the block. Raises UsageError if the file cannot be written."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        """Create the file of the tape, and write its header. Raises UsageError if the file cannot be
        written."""
        self.path = path
        self._file = self._open_file()
        self._sections = SectionWriter(self._file)
        self._pack_value = msgpack.Packer().pack
        self._digest_key = os.urandom(_DIGEST_KEY_BYTES)
        self._records: list[bytes] = []
        self._blobs: list[bytes] = []
        self._waiting_bytes = 0
        self._blob_numbers: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._remembered_bytes = 0
        self._counts = {"runs": 0, "events": 0, "blobs": 0, "blob_bytes": 0}
        self._last_ns = 0
        try:
            self._write_section(HEADER, pack_header(header, VERSION))
        except UsageError:
            self._delete()
            raise

    def __enter__(self) -> Self:
        """Return this writer of a tape."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the tape: write its footer, and close the file. If an exception ended the block, or if the
        footer cannot be written, delete the file instead."""
        try:
            if error_type is None:
                self.close()
                return
        except UsageError:
            self._delete()
            raise
        self._delete()

    def write(self, record: Record) -> None:
        """Add a record to the tape. It waits in memory until enough records wait, or until `flush`; then they
        are written to the file together."""
        packed = self._pack_value(pack_record(record, self._store_blob))
        self._flush_if_too_large_with(len(packed))
        self._records.append(packed)
        # Only now: the footer counts what is on the tape.
        if isinstance(record, TapedRun):
            self._counts["runs"] += 1
        else:
            self._counts["events"] += 1
            self._last_ns = max(self._last_ns, record.at_ns)

    def write_speech(
        self, at_ns: int, lane: Lane, connection: str, framing: bytes, fingerprint: SpeechFingerprint
    ) -> None:
        """Add a received frame that ends with speech to the tape, as `write` would do, but faster. `framing`
        are the bytes before the speech, at most 256. The tape does not hold the speech, but its
        `fingerprint`: length, hash and loudness."""
        packed = self._pack_value(pack_speech(at_ns, lane, connection, framing, fingerprint))
        self._flush_if_too_large_with(len(packed))
        self._records.append(packed)
        self._counts["events"] += 1
        self._last_ns = max(self._last_ns, at_ns)

    def flush(self) -> None:
        """Write all records and blobs that wait in memory to the file of the tape, as one section. If none
        wait, do nothing."""
        if self._records or self._blobs:
            pack_array_head = msgpack.Packer().pack_array_header
            first_blob_number = self._pack_value(self._counts["blobs"])
            blobs = [pack_array_head(len(self._blobs)), *self._blobs]
            records = [pack_array_head(len(self._records)), *self._records]
            self._write_section(RECORDS, b"".join([pack_array_head(3), first_blob_number, *blobs, *records]))
            self._counts["blobs"] += len(self._blobs)
            self._records, self._blobs, self._waiting_bytes = [], [], 0

    def close(self) -> None:
        """Write the footer of the tape, and close the file."""
        self.flush()
        self._write_section(FOOTER, msgpack.packb(self._counts | {"last_ns": self._last_ns}))
        self._file.close()

    def abandon(self) -> None:
        """Close the file of the tape without a footer: the tape is cut off."""
        self._file.close()

    def _delete(self) -> None:
        """Close the file of the tape and delete it, unless it is a device."""
        self._file.close()
        if self.path.is_file() and not self.path.is_symlink():
            self.path.unlink(missing_ok=True)

    def _open_file(self) -> FileIO:
        """Create or empty the file of the tape, readable by its owner alone, and lock it until it is closed.
        A device is neither emptied nor locked. Raises UsageError if the file cannot be opened, or if another
        process writes it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _OWNERS_ALONE), "wb")
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                flock(file.fileno(), LOCK_EX | LOCK_NB)
                file.truncate(0)  # The file may have existed before.
                os.fchmod(file.fileno(), _OWNERS_ALONE)
            return file
        except BlockingIOError as error:
            raise UsageError(f"{self.path} is being written by another process") from error
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error

    def _flush_if_too_large_with(self, byte_count: int) -> None:
        """Write the section that waits in memory to the tape, if `byte_count` bytes more would make it too
        large; then another section begins. Count these bytes, which the caller adds next."""
        if self._waiting_bytes and self._waiting_bytes + byte_count > _FULL_SECTION_BYTES:
            self.flush()
        self._waiting_bytes += byte_count

    def _store_blob(self, blob: bytes) -> int:
        """Store a blob (long bytes) on the tape, and return its number. A blob that was stored lately is not
        stored again. A large one is written at once, any other waits for the next `flush`. Raises UsageError
        if the blob is too large for a tape."""
        if len(blob) > LARGEST_BLOB:
            raise UsageError(f"{self.path}: a frame of {len(blob)} bytes is too large for a tape")
        # Keyed, so that no peer can make two blobs that are taken for one.
        digest = blake2b(blob, digest_size=16, key=self._digest_key).digest()
        number_and_size = self._blob_numbers.get(digest)
        if number_and_size is not None:
            return number_and_size[0]
        has_own_section = len(blob) >= _OWN_SECTION_BYTES
        if has_own_section:
            self.flush()
        else:
            self._flush_if_too_large_with(len(blob))
        number = self._counts["blobs"] + len(self._blobs)
        self._blob_numbers[digest] = (number, len(blob))
        self._remembered_bytes += len(blob)
        while self._remembered_bytes > _REMEMBERED_BYTES:
            _, (_, forgotten_bytes) = self._blob_numbers.popitem(last=False)
            self._remembered_bytes -= forgotten_bytes
        if has_own_section:
            self._write_section(BLOB, number.to_bytes(BLOB_NUMBER_BYTES, "big") + blob)
            self._counts["blobs"] += 1
        else:
            self._blobs.append(self._pack_value(blob))
        self._counts["blob_bytes"] += len(blob)
        return number

    def _write_section(self, kind: bytes, body: bytes) -> None:
        """Write a section to the file of the tape; `kind` is its name. If that fails, close the file and
        raise UsageError."""
        try:
            self._sections.write(kind, body)
        except OSError as error:
            self._file.close()
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error
