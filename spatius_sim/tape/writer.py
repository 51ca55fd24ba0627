"""Writes a tape while things happen, in constant memory. A tape that was not closed says so to its reader."""

import hashlib
from collections import OrderedDict
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

import msgpack

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.contents import VERSION, Record, Run, TapedEvent, TapeHeader
from spatius_sim.tape.packing import WINDOW_BYTES, pack_header, pack_record
from spatius_sim.tape.sections import (
    BLOB,
    FOOTER,
    HEADER,
    LARGEST_BLOB,
    LARGEST_BODY,
    RECORDS,
    SectionWriter,
)

_REMEMBERED_BYTES = WINDOW_BYTES // 2
"""Half of what a reader keeps: so nothing that is still to be written refers to a blob that is gone."""
_FULL_BYTES = 256 * 1024
_OWN_SECTION_BYTES = 128 * 1024


class TapeWriter:
    """`with TapeWriter(path, header) as tape:` writes the footer at the end of the block; an exception
    leaves a tape without it. Raises UsageError where the file cannot be written."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        self.path = path
        self._file = self._open()
        self._sections = SectionWriter(self._file)
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._numbers: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._remembered_bytes = 0
        self._counts = {"runs": 0, "events": 0, "blobs": 0, "blob_bytes": 0}
        self._last_ns = 0
        self._write(HEADER, pack_header(header, VERSION))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def write(self, record: Record) -> None:
        """Add a record; it reaches the file with its neighbours, or with `flush`."""
        match record:
            case Run():
                self._counts["runs"] += 1
            case TapedEvent(at_ns):
                self._counts["events"] += 1
                self._last_ns = max(self._last_ns, at_ns)
        self._add(msgpack.packb(pack_record(record, self._number_of)))

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._pending:
            head = msgpack.Packer().pack_array_header(len(self._pending))
            self._write(RECORDS, head + b"".join(self._pending))
            self._pending, self._pending_bytes = [], 0

    def close(self) -> None:
        """Write the footer, and close."""
        self.flush()
        self._write(FOOTER, msgpack.packb(self._counts | {"last_ns": self._last_ns}))
        self._file.close()

    def _open(self) -> FileIO:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("wb", buffering=0)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error

    def _add(self, packed: bytes) -> None:
        if self._pending_bytes + len(packed) > LARGEST_BODY - 16:
            self.flush()
        self._pending.append(packed)
        self._pending_bytes += len(packed)
        if self._pending_bytes >= _FULL_BYTES:
            self.flush()

    def _number_of(self, blob: bytes) -> int:
        if len(blob) > LARGEST_BLOB:
            raise UsageError(f"{self.path}: a frame of {len(blob)} bytes is too large for a tape")
        digest = hashlib.blake2b(blob, digest_size=16).digest()
        known = self._numbers.get(digest)
        if known is not None:
            return known[0]
        number = self._counts["blobs"]
        self._numbers[digest] = (number, len(blob))
        self._remembered_bytes += len(blob)
        while self._remembered_bytes > _REMEMBERED_BYTES:
            _, (_, forgotten) = self._numbers.popitem(last=False)
            self._remembered_bytes -= forgotten
        self._counts["blobs"] += 1
        self._counts["blob_bytes"] += len(blob)
        if len(blob) >= _OWN_SECTION_BYTES:
            self.flush()
            self._write(BLOB, number.to_bytes(8, "big") + blob)
        else:
            self._add(msgpack.packb(["blob", number, blob]))
        return number

    def _write(self, kind: bytes, body: bytes) -> None:
        try:
            self._sections.write(kind, body)
        except OSError as error:
            self._file.close()
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error
