"""Finds where the body of an HTTP/1.1 message ends, while it passes. No I/O.

A proxy and its neighbours must see one end: what leaves it open is refused.
"""

from collections.abc import Callable

from spatius_sim.net.proxy.http_heads import Head, read_field, read_number
from spatius_sim.protocol.errors import RemoteProtocolError

_LONGEST_SIZE_LINE = 4096
"""Bytes of a chunk's size and its extensions."""
_LARGEST_TRAILERS = 16 * 1024
_CRLF = b"\r\n"


class BodyFraming:
    """Finds the end of the body of `head`; `answers` is the method of the request that an answer answers.
    Raises RemoteProtocolError if the head leaves the end open."""

    def __init__(self, head: Head, answers: str = "") -> None:
        chunked, length = _is_chunked(head), _length(head)
        if chunked and length is not None:
            raise RemoteProtocolError("both a Content-Length and a Transfer-Encoding")
        bodiless = bool(answers) and (answers == "HEAD" or head.status in (204, 304) or head.status < 200)
        self.until_close = bool(answers) and not bodiless and not chunked and length is None
        self.ended = bodiless or not (chunked or self.until_close or length)
        self._left = length or 0
        self._chunks = _Chunks() if chunked else None

    def take(self, data: bytes) -> int:
        """How many of these bytes belong to the body; raises RemoteProtocolError for what is no chunk."""
        if self.until_close:
            return len(data)
        if self._chunks is not None:
            taken = self._chunks.take(data)
            self.ended = self._chunks.ended
            return taken
        taken = min(self._left, len(data))
        self._left -= taken
        self.ended = self._left == 0
        return taken


def _is_chunked(head: Head) -> bool:
    codings = head.tokens("transfer-encoding")
    if not head.values("transfer-encoding"):
        return False
    if head.version != b"HTTP/1.1" or codings.count("chunked") != 1 or codings[-1] != "chunked":
        raise RemoteProtocolError("a Transfer-Encoding that does not end in chunked")
    return True


def _length(head: Head) -> int | None:
    lengths = head.values("content-length")
    if len(lengths) > 1:
        raise RemoteProtocolError("more than one Content-Length")
    try:
        return read_number(lengths[0].encode("latin-1")) if lengths else None
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"a Content-Length that is {error}") from error


class _Chunks:
    """Lines and data take turns: what the next line means is `_on_line`, and `_room` bytes it may have."""

    def __init__(self) -> None:
        self.ended = False
        self._number = 1
        self._left = 0
        self._line = bytearray()
        self._on_line: Callable[[bytes], None] = self._size
        self._room = _LONGEST_SIZE_LINE

    def take(self, data: bytes) -> int:
        place = 0
        while place < len(data) and not self.ended:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
            else:
                place = self._take_line(data, place)
        return place

    def _take_line(self, data: bytes, place: int) -> int:
        until = min(len(data), place + self._room)
        end = data.find(b"\n", place, until) + 1
        self._line += data[place : end or until]
        self._room -= (end or until) - place
        if not end:
            if self._on_line == self._end and self._line != b"\r":
                raise self._fault("has no CRLF after its data")
            if not self._room:
                raise self._fault("has a line without an end")
            return until
        line = bytes(self._line)
        self._line.clear()
        if not line.endswith(_CRLF) or b"\r" in line[:-2]:
            raise self._fault("has a line that does not end in CRLF")
        self._on_line(line[:-2])
        return end

    def _size(self, line: bytes) -> None:
        size, extended, _ = line.partition(b";")
        try:
            self._left = read_number(size.rstrip(b" \t") if extended else size, 16)
        except RemoteProtocolError as error:
            raise self._fault(f"has a size that is {error}") from error
        if self._left:
            self._on_line, self._room = self._end, len(_CRLF)
        else:
            self._on_line, self._room = self._trailer, _LARGEST_TRAILERS

    def _end(self, line: bytes) -> None:
        if line:
            raise self._fault("has no CRLF after its data")
        self._number += 1
        self._on_line, self._room = self._size, _LONGEST_SIZE_LINE

    def _trailer(self, line: bytes) -> None:
        if line:
            read_field(line)
        else:
            self.ended = True

    def _fault(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"chunk {self._number} of its body {what}")
