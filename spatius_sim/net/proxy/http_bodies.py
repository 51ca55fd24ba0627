"""Finds where the body of an HTTP/1.1 message ends, while the body passes through the proxy. No I/O.

All readers of a message must find the same end. So a message is refused if readers could find different ends.
"""

from collections.abc import Callable

from spatius_sim.net.proxy.http_heads import Head, parse_header_line, parse_integer
from spatius_sim.protocol.errors import RemoteProtocolError

_LONGEST_SIZE_LINE = 4096
"""How many bytes the line with a chunk's size and its extensions may have."""
_LARGEST_TRAILERS = 16 * 1024
_CRLF = b"\r\n"


class BodyFraming:
    """Finds the end of the body that follows `head`.

    `ended` says whether the end was found, and `until_close` whether the body lasts until the connection is
    closed. For an answer, `request_method` is the method of its request; for a request it is "". Raises
    RemoteProtocolError if the head does not say clearly how the body ends."""

    def __init__(self, head: Head, request_method: str = "") -> None:
        """Find out, from the head of an HTTP message, how the end of its body is marked: by a length, by
        chunks, or by the end of the connection. If the message is an answer, `request_method` is the method
        of its request; otherwise it is "". Raises RemoteProtocolError if the head is not clear about this."""
        is_chunked, length = _is_chunked(head), _read_content_length(head)
        if is_chunked and length is not None:
            raise RemoteProtocolError("both a Content-Length and a Transfer-Encoding")
        is_answer = bool(request_method)
        has_no_body = is_answer and (
            request_method == "HEAD" or head.status in (204, 304) or head.status < 200
        )
        self.until_close = is_answer and not has_no_body and not is_chunked and length is None
        self.ended = has_no_body or not (is_chunked or self.until_close or length)
        self._bytes_left = length or 0
        self._chunks = _Chunks() if is_chunked else None

    def feed(self, data: bytes) -> int:
        """Take the next bytes after the head of an HTTP message, and return how many of them belong to its
        body. After that, `ended` says whether the body is complete.

        Raises RemoteProtocolError if the body comes in chunks and the bytes are malformed."""
        if self.until_close:
            return len(data)
        if self._chunks is not None:
            body_bytes = self._chunks.feed(data)
            self.ended = self._chunks.ended
            return body_bytes
        body_bytes = min(self._bytes_left, len(data))
        self._bytes_left -= body_bytes
        self.ended = self._bytes_left == 0
        return body_bytes


def _is_chunked(head: Head) -> bool:
    """Return whether the body of this HTTP message comes in chunks; False if there is no Transfer-Encoding.
    Raises RemoteProtocolError for a Transfer-Encoding in which `chunked` is not the last coding or stands
    twice, and for any in a message that is not HTTP/1.1."""
    codings = head.tokens("transfer-encoding")
    if not head.values("transfer-encoding"):
        return False
    if head.version != b"HTTP/1.1" or codings.count("chunked") != 1 or codings[-1] != "chunked":
        raise RemoteProtocolError("a Transfer-Encoding that does not end in chunked")
    return True


def _read_content_length(head: Head) -> int | None:
    """Return the length of an HTTP body in bytes, as the header Content-Length gives it; None if there is no
    such header.

    Raises RemoteProtocolError if the header is there more than once, or if its value is not a number."""
    lengths = head.values("content-length")
    if len(lengths) > 1:
        raise RemoteProtocolError("more than one Content-Length")
    try:
        return parse_integer(lengths[0].encode("latin-1")) if lengths else None
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"a Content-Length that is {error}") from error


class _Chunks:
    """Finds the end of an HTTP body in chunks. Each chunk is a line with its size, its data, and an empty
    line.

    `_line_reader` is the method that reads the next line. This line, or all trailers together, may have
    `_bytes_allowed` bytes more."""

    def __init__(self) -> None:
        """Begin before the first chunk of an HTTP body: the line with its size is read next."""
        self.ended = False
        self._chunk_number = 1
        self._data_bytes_left = 0
        self._line_part = bytearray()
        self._line_reader: Callable[[bytes], None] = self._read_size
        self._bytes_allowed = _LONGEST_SIZE_LINE

    def feed(self, data: bytes) -> int:
        """Take the next bytes after the head of an HTTP message, and return how many of them belong to the
        chunks of its body. Raises RemoteProtocolError if the chunks are malformed."""
        position = 0
        while position < len(data) and not self.ended:
            if self._data_bytes_left:
                chunk_bytes = min(self._data_bytes_left, len(data) - position)
                self._data_bytes_left -= chunk_bytes
                position += chunk_bytes
            else:
                position = self._take_line_part(data, position)
        return position

    def _take_line_part(self, data: bytes, position: int) -> int:
        """Take bytes of a line between the chunks of an HTTP body, from `position` in `data` to the end of
        the line or of the data. Return the position after them. If the line is complete then, read it.

        Raises RemoteProtocolError if the line is too long or malformed."""
        limit = min(len(data), position + self._bytes_allowed)
        end = data.find(b"\n", position, limit) + 1  # 0 if the line does not end here.
        self._line_part += data[position : end or limit]
        self._bytes_allowed -= (end or limit) - position
        if not end:
            if self._line_reader == self._read_end_of_chunk and self._line_part != b"\r":
                raise self._chunk_error("has no CRLF after its data")
            if not self._bytes_allowed:
                raise self._chunk_error("has a line without an end")
            return limit
        line = bytes(self._line_part)
        self._line_part.clear()
        if not line.endswith(_CRLF) or b"\r" in line[:-2]:
            raise self._chunk_error("has a line that does not end in CRLF")
        self._line_reader(line[:-2])
        return end

    def _read_size(self, line: bytes) -> None:
        """Read the line with the size of the next chunk of an HTTP body. After it the data of the chunk
        follow; if the size is 0, the trailers. Raises RemoteProtocolError if the size is malformed."""
        size, has_extension, _ = line.partition(b";")
        try:
            self._data_bytes_left = parse_integer(size.rstrip(b" \t") if has_extension else size, 16)
        except RemoteProtocolError as error:
            raise self._chunk_error(f"has a size that is {error}") from error
        if self._data_bytes_left:
            self._line_reader, self._bytes_allowed = self._read_end_of_chunk, len(_CRLF)
        else:
            self._line_reader, self._bytes_allowed = self._read_trailer, _LARGEST_TRAILERS

    def _read_end_of_chunk(self, line: bytes) -> None:
        """Check the line after the data of a chunk of an HTTP body, which must be empty. After it the size of
        the next chunk follows. Raises RemoteProtocolError if the line is not empty."""
        if line:
            raise self._chunk_error("has no CRLF after its data")
        self._chunk_number += 1
        self._line_reader, self._bytes_allowed = self._read_size, _LONGEST_SIZE_LINE

    def _read_trailer(self, line: bytes) -> None:
        """Check a trailer: a header line after the last chunk of an HTTP body. An empty line is the end of
        the body. Raises RemoteProtocolError if the trailer is malformed."""
        if line:
            parse_header_line(line)
        else:
            self.ended = True

    def _chunk_error(self, fault: str) -> RemoteProtocolError:
        """Return an error that names the current chunk of the body and its fault."""
        return RemoteProtocolError(f"chunk {self._chunk_number} of its body {fault}")
