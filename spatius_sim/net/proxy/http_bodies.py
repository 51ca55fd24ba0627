"""Finds where the body of an HTTP/1.1 message ends, while the body passes. No I/O.

A proxy and its neighbours must see the same end: a message that leaves its end open is refused.
"""

from collections.abc import Callable

from spatius_sim.net.proxy.http_heads import Head, read_field, read_number
from spatius_sim.protocol.errors import RemoteProtocolError

_LONGEST_SIZE_LINE = 4096
"""The most bytes of the line with a chunk's size and its extensions."""
_LARGEST_TRAILERS = 16 * 1024
_CRLF = b"\r\n"


class BodyFraming:
    """Finds the end of the body that follows `head`. For an answer, `answers` is the method of its request;
    for a request it is "". Raises RemoteProtocolError if the head leaves the end open."""

    def __init__(self, head: Head, answers: str = "") -> None:
        chunked, length = _is_chunked(head), _content_length(head)
        if chunked and length is not None:
            raise RemoteProtocolError("both a Content-Length and a Transfer-Encoding")
        bodiless = bool(answers) and (answers == "HEAD" or head.status in (204, 304) or head.status < 200)
        self.until_close = bool(answers) and not bodiless and not chunked and length is None
        self.ended = bodiless or not (chunked or self.until_close or length)
        self._left = length or 0
        self._chunks = _Chunks() if chunked else None

    def feed(self, data: bytes) -> int:
        """Take the next bytes, and return how many of them belong to the body. Raises RemoteProtocolError if
        they break the rules of chunks."""
        if self.until_close:
            return len(data)
        if self._chunks is not None:
            taken = self._chunks.feed(data)
            self.ended = self._chunks.ended
            return taken
        taken = min(self._left, len(data))
        self._left -= taken
        self.ended = self._left == 0
        return taken


def _is_chunked(head: Head) -> bool:
    """Whether the body comes in chunks; raises RemoteProtocolError for any other Transfer-Encoding."""
    codings = head.tokens("transfer-encoding")
    if not head.values("transfer-encoding"):
        return False
    if head.version != b"HTTP/1.1" or codings.count("chunked") != 1 or codings[-1] != "chunked":
        raise RemoteProtocolError("a Transfer-Encoding that does not end in chunked")
    return True


def _content_length(head: Head) -> int | None:
    """Read the Content-Length; None if there is none. Raises RemoteProtocolError for several, or for no
    number."""
    lengths = head.values("content-length")
    if len(lengths) > 1:
        raise RemoteProtocolError("more than one Content-Length")
    try:
        return read_number(lengths[0].encode("latin-1")) if lengths else None
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"a Content-Length that is {error}") from error


class _Chunks:
    """Finds the end of a body in chunks, whose lines and data take turns. `_on_line` reads the next line,
    which may have `_room` bytes."""

    def __init__(self) -> None:
        self.ended = False
        self._number = 1
        self._left = 0
        self._line = bytearray()
        self._on_line: Callable[[bytes], None] = self._read_size
        self._room = _LONGEST_SIZE_LINE

    def feed(self, data: bytes) -> int:
        """Take the next bytes, and return how many of them belong to the body."""
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
        """Take a line, or what there is of it, that goes on at `place`; return where the rest begins."""
        until = min(len(data), place + self._room)
        end = data.find(b"\n", place, until) + 1
        self._line += data[place : end or until]
        self._room -= (end or until) - place
        if not end:
            if self._on_line == self._read_end_of_chunk and self._line != b"\r":
                raise self._chunk_error("has no CRLF after its data")
            if not self._room:
                raise self._chunk_error("has a line without an end")
            return until
        line = bytes(self._line)
        self._line.clear()
        if not line.endswith(_CRLF) or b"\r" in line[:-2]:
            raise self._chunk_error("has a line that does not end in CRLF")
        self._on_line(line[:-2])
        return end

    def _read_size(self, line: bytes) -> None:
        """Read the line with the size of a chunk: its data follow, or the trailers if the size is 0."""
        size, extended, _ = line.partition(b";")
        try:
            self._left = read_number(size.rstrip(b" \t") if extended else size, 16)
        except RemoteProtocolError as error:
            raise self._chunk_error(f"has a size that is {error}") from error
        if self._left:
            self._on_line, self._room = self._read_end_of_chunk, len(_CRLF)
        else:
            self._on_line, self._room = self._read_trailer, _LARGEST_TRAILERS

    def _read_end_of_chunk(self, line: bytes) -> None:
        if line:
            raise self._chunk_error("has no CRLF after its data")
        self._number += 1
        self._on_line, self._room = self._read_size, _LONGEST_SIZE_LINE

    def _read_trailer(self, line: bytes) -> None:
        if line:
            read_field(line)
        else:
            self.ended = True

    def _chunk_error(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"chunk {self._number} of its body {what}")
