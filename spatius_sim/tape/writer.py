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
from spatius_sim.trace.speech_fingerprint import SpeechMark

_REMEMBERED_BYTES = WINDOW_BYTES // 2
"""A blob among the newest blobs, up to this size in sum, is not written twice. Half of the window: so no
record refers to a blob that the reader has forgotten."""
_FULL_BYTES = 256 * 1024
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
        """Create the file of the tape and write its header."""
        self.path = path
        self._file = self._open_file()
        self._sections = SectionWriter(self._file)
        self._pack_value = msgpack.Packer().pack
        self._digest_key = os.urandom(_DIGEST_KEY_BYTES)
        self._records: list[bytes] = []
        self._blobs: list[bytes] = []
        self._pending_bytes = 0
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
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the footer of the tape and close the file, or delete it if an exception ended the block."""
        try:
            if kind is None:
                self.close()
                return
        except UsageError:
            self._delete()
            raise
        self._delete()

    def write(self, record: Record) -> None:
        """Write a record onto the tape. The record waits in memory, and reaches the file together with later
        records, or by `flush`."""
        packed = self._pack_value(pack_record(record, self._number_of))
        self._count_pending(len(packed))
        self._records.append(packed)
        # Only now: the footer counts what is on the tape.
        if isinstance(record, TapedRun):
            self._counts["runs"] += 1
        else:
            self._counts["events"] += 1
            self._last_ns = max(self._last_ns, record.at_ns)

    def write_speech(self, at_ns: int, lane: Lane, connection: str, framing: bytes, mark: SpeechMark) -> None:
        """Write a received frame with speech as an event on the tape, as `write` does, but faster. The frame
        is `framing`, at most 256 bytes, and then speech, which the tape does not keep: it keeps the `mark` of
        the speech."""
        packed = self._pack_value(pack_speech(at_ns, lane, connection, framing, mark))
        self._count_pending(len(packed))
        self._records.append(packed)
        self._counts["events"] += 1
        self._last_ns = max(self._last_ns, at_ns)

    def flush(self) -> None:
        """Write all records and blobs that wait onto the tape, as one section, and hand them to the operating
        system."""
        if self._records or self._blobs:
            array = msgpack.Packer().pack_array_header
            first = self._pack_value(self._counts["blobs"])
            blobs = [array(len(self._blobs)), *self._blobs]
            records = [array(len(self._records)), *self._records]
            self._write_section(RECORDS, b"".join([array(3), first, *blobs, *records]))
            self._counts["blobs"] += len(self._blobs)
            self._records, self._blobs, self._pending_bytes = [], [], 0

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
        """Create the file of the tape, readable by its owner alone, and lock it until it is closed. Raises
        UsageError if that fails, and if another process writes the same tape."""
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

    def _count_pending(self, size: int) -> None:
        """Count `size` bytes that wait to be written onto the tape. Before that, flush the bytes that wait
        already if both together would make the next section too large."""
        if self._pending_bytes and self._pending_bytes + size > _FULL_BYTES:
            self.flush()
        self._pending_bytes += size

    def _number_of(self, blob: bytes) -> int:
        """Return the number of a blob on the tape that is written; if the blob is new, write or queue the
        blob first. Raises UsageError if the blob is too large."""
        if len(blob) > LARGEST_BLOB:
            raise UsageError(f"{self.path}: a frame of {len(blob)} bytes is too large for a tape")
        # Keyed, so that no peer can make two blobs that are taken for one.
        digest = blake2b(blob, digest_size=16, key=self._digest_key).digest()
        number_and_size = self._blob_numbers.get(digest)
        if number_and_size is not None:
            return number_and_size[0]
        own_section = len(blob) >= _OWN_SECTION_BYTES
        if own_section:
            self.flush()
        else:
            self._count_pending(len(blob))
        number = self._counts["blobs"] + len(self._blobs)
        self._blob_numbers[digest] = (number, len(blob))
        self._remembered_bytes += len(blob)
        while self._remembered_bytes > _REMEMBERED_BYTES:
            _, (_, forgotten_bytes) = self._blob_numbers.popitem(last=False)
            self._remembered_bytes -= forgotten_bytes
        if own_section:
            self._write_section(BLOB, number.to_bytes(BLOB_NUMBER_BYTES, "big") + blob)
            self._counts["blobs"] += 1
        else:
            self._blobs.append(self._pack_value(blob))
        self._counts["blob_bytes"] += len(blob)
        return number

    def _write_section(self, kind: bytes, body: bytes) -> None:
        """Write a section of the tape. If that fails, close the file and raise UsageError."""
        try:
            self._sections.write(kind, body)
        except OSError as error:
            self._file.close()
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error
