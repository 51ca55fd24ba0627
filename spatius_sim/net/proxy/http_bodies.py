"""Finds where the body of an HTTP/1.1 message ends, while the body passes through the proxy. No I/O.

All readers of a message must find the same end. So a message is refused if readers could find different ends.
"""

from collections.abc import Callable

from spatius_sim.net.proxy.http_heads import Head, read_field, read_number
from spatius_sim.protocol.errors import RemoteProtocolError

_LONGEST_SIZE_LINE = 4096
"""How many bytes the line with a chunk's size and its extensions may have."""
_LARGEST_TRAILERS = 16 * 1024
_CRLF = b"\r\n"


class BodyFraming:
    """Finds the end of the body that follows `head`.

    `ended` says whether the end was found, and `until_close` whether the body lasts until the connection is
    closed. For an answer, `answers` is the method of its request; for a request it is "". Raises
    RemoteProtocolError if the head does not say clearly how the body ends."""

    def __init__(self, head: Head, answers: str = "") -> None:
        """Decide by the head of an HTTP message how the body of the message ends. If the message answers a
        request, `answers` is the method of that request. Raises RemoteProtocolError if the head does not say
        clearly where the body ends."""
        chunked, length = _is_chunked(head), _content_length(head)
        if chunked and length is not None:
            raise RemoteProtocolError("both a Content-Length and a Transfer-Encoding")
        has_no_body = bool(answers) and (answers == "HEAD" or head.status in (204, 304) or head.status < 200)
        self.until_close = bool(answers) and not has_no_body and not chunked and length is None
        self.ended = has_no_body or not (chunked or self.until_close or length)
        self._bytes_left = length or 0
        self._chunks = _Chunks() if chunked else None

    def feed(self, data: bytes) -> int:
        """Take the next bytes that pass through the proxy after the head of an HTTP message. Return how many
        of them belong to the body of this message; `ended` says whether the body ends with them.

        Raises RemoteProtocolError if the bytes break the rules of chunks."""
        if self.until_close:
            return len(data)
        if self._chunks is not None:
            size = self._chunks.feed(data)
            self.ended = self._chunks.ended
            return size
        size = min(self._bytes_left, len(data))
        self._bytes_left -= size
        self.ended = self._bytes_left == 0
        return size


def _is_chunked(head: Head) -> bool:
    """Return whether the body of this HTTP message comes in chunks. Raises RemoteProtocolError for any other
    Transfer-Encoding."""
    codings = head.tokens("transfer-encoding")
    if not head.values("transfer-encoding"):
        return False
    if head.version != b"HTTP/1.1" or codings.count("chunked") != 1 or codings[-1] != "chunked":
        raise RemoteProtocolError("a Transfer-Encoding that does not end in chunked")
    return True


def _content_length(head: Head) -> int | None:
    """Return the length of an HTTP body that its Content-Length names, or None if there is no such header.

    Raises RemoteProtocolError if there are several, or if the value is not a number."""
    lengths = head.values("content-length")
    if len(lengths) > 1:
        raise RemoteProtocolError("more than one Content-Length")
    try:
        return read_number(lengths[0].encode("latin-1")) if lengths else None
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"a Content-Length that is {error}") from error


class _Chunks:
    """Finds the end of an HTTP body in chunks. Each chunk is a line with its size, its data, and an empty
    line.

    `_on_line` reads the next line. This line, or all trailers together, may have `_bytes_allowed` bytes
    more."""

    def __init__(self) -> None:
        """Begin before the size line of an HTTP body's first chunk."""
        self.ended = False
        self._chunk_number = 1
        self._data_left = 0
        self._line = bytearray()
        self._on_line: Callable[[bytes], None] = self._read_size
        self._bytes_allowed = _LONGEST_SIZE_LINE

    def feed(self, data: bytes) -> int:
        """Take the next bytes after an HTTP head, and return how many of them belong to the chunks of the
        body. Raises RemoteProtocolError if the chunks are malformed."""
        position = 0
        while position < len(data) and not self.ended:
            if self._data_left:
                step = min(self._data_left, len(data) - position)
                self._data_left -= step
                position += step
            else:
                position = self._take_line_part(data, position)
        return position

    def _take_line_part(self, data: bytes, position: int) -> int:
        """Take the part of a line between the chunks of an HTTP body that begins at `position`, and return
        the position after it.

        Read the line if it is complete. Raises RemoteProtocolError if the line is too long or malformed."""
        limit = min(len(data), position + self._bytes_allowed)
        end = data.find(b"\n", position, limit) + 1  # 0 if the line does not end here.
        self._line += data[position : end or limit]
        self._bytes_allowed -= (end or limit) - position
        if not end:
            if self._on_line == self._read_end_of_chunk and self._line != b"\r":
                raise self._chunk_error("has no CRLF after its data")
            if not self._bytes_allowed:
                raise self._chunk_error("has a line without an end")
            return limit
        line = bytes(self._line)
        self._line.clear()
        if not line.endswith(_CRLF) or b"\r" in line[:-2]:
            raise self._chunk_error("has a line that does not end in CRLF")
        self._on_line(line[:-2])
        return end

    def _read_size(self, line: bytes) -> None:
        """Read the line with the size of a chunk of an HTTP body. The data of the chunk follow, or the
        trailers if the size is 0. Raises RemoteProtocolError if the size is malformed."""
        size, has_extension, _ = line.partition(b";")
        try:
            self._data_left = read_number(size.rstrip(b" \t") if has_extension else size, 16)
        except RemoteProtocolError as error:
            raise self._chunk_error(f"has a size that is {error}") from error
        if self._data_left:
            self._on_line, self._bytes_allowed = self._read_end_of_chunk, len(_CRLF)
        else:
            self._on_line, self._bytes_allowed = self._read_trailer, _LARGEST_TRAILERS

    def _read_end_of_chunk(self, line: bytes) -> None:
        """Read the empty line after the data of a chunk of an HTTP body; the size of the next chunk follows.
        Raises RemoteProtocolError if the line is not empty."""
        if line:
            raise self._chunk_error("has no CRLF after its data")
        self._chunk_number += 1
        self._on_line, self._bytes_allowed = self._read_size, _LONGEST_SIZE_LINE

    def _read_trailer(self, line: bytes) -> None:
        """Check a header line after the last chunk of an HTTP body (a trailer); an empty line ends the body.
        Raises RemoteProtocolError if the trailer is malformed."""
        if line:
            read_field(line)
        else:
            self.ended = True

    def _chunk_error(self, fault: str) -> RemoteProtocolError:
        """Return an error that names the current chunk of the body and its fault."""
        return RemoteProtocolError(f"chunk {self._chunk_number} of its body {fault}")
