"""Heads of HTTP/1.1 messages, as much of them as a proxy must understand. No I/O."""

from dataclasses import dataclass

from spatius_sim.protocol.errors import RemoteProtocolError

LARGEST_HEAD = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers, as they were sent, of a request or an answer."""

    first_line: bytes
    lines: tuple[bytes, ...]

    def header(self, name: str) -> str:
        """The value of a header, "" where it is missing; several are joined by commas."""
        wanted = name.lower().encode()
        pairs = (line.split(b":", 1) for line in self.lines)
        return ", ".join(v.strip().decode("latin-1") for n, v in pairs if n.strip().lower() == wanted)

    @property
    def target(self) -> str:
        """The path and query of a request."""
        return self.first_line.split(b" ")[1].decode("latin-1")

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.first_line.split(b" ")[0].decode("latin-1")

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.first_line.split(b" ")[1])

    @property
    def keeps_alive(self) -> bool:
        """Whether another message may follow on the connection."""
        return b"HTTP/1.1" in self.first_line and "close" not in self.header("connection").lower()

    def aimed_at(self, target: str, host: str) -> bytes:
        """The bytes of a request for another place: its target and Host are replaced, nothing else."""
        method, _, version = self.first_line.split(b" ", 2)
        lines = [
            b"Host: " + host.encode() if line.split(b":", 1)[0].strip().lower() == b"host" else line
            for line in self.lines
        ]
        first = b" ".join((method, target.encode("latin-1"), version))
        return b"\r\n".join((first, *lines)) + END_OF_HEAD

    def written(self) -> bytes:
        """The bytes as they came."""
        return b"\r\n".join((self.first_line, *self.lines)) + END_OF_HEAD


def read_head(raw: bytes) -> Head:
    """A head without its empty line; raises RemoteProtocolError for what is none."""
    first, *lines = raw.split(b"\r\n")
    words = first.split(b" ", 2)
    request = len(words) == 3 and words[2].startswith(b"HTTP/1.")
    answer = len(words) >= 2 and words[0].startswith(b"HTTP/1.") and words[1].isdigit() and len(words[1]) == 3
    if not (request or answer) or not all(b":" in line for line in lines):
        raise RemoteProtocolError("this is no HTTP/1.1")
    return Head(first, tuple(lines))


class BodyFraming:
    """Finds the end of a body while it passes. `answers` is the method that an answer answers."""

    def __init__(self, head: Head, answers: str = "") -> None:
        self._chunked = "chunked" in head.header("transfer-encoding").lower()
        length = head.header("content-length")
        if length and not (length.isascii() and length.isdigit()):
            raise RemoteProtocolError("a Content-Length that is no number")
        bodiless = bool(answers) and (answers == "HEAD" or head.status in (204, 304) or head.status < 200)
        self.until_close = bool(answers) and not bodiless and not self._chunked and not length
        self._left = int(length or 0)
        self._line = b""
        self._trailing = False
        self.ended = bodiless or not (self._chunked or self.until_close or self._left)

    def take(self, data: bytes) -> int:
        """How many of these bytes belong to the body."""
        if self.until_close:
            return len(data)
        if not self._chunked:
            taken = min(self._left, len(data))
            self._left -= taken
            self.ended = self._left == 0
            return taken
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
        end = data.find(b"\n", place)
        if end < 0:
            self._line += data[place:]
            end = len(data) - 1
        else:
            line, self._line = (self._line + data[place:end]).strip(), b""
            if self._trailing:
                self.ended = not line
            else:
                try:
                    size = int(line.split(b";")[0], 16)
                except ValueError as error:
                    raise RemoteProtocolError("a chunk without a size") from error
                self._trailing = size == 0
                self._left = size + 2 if size else 0
        if len(self._line) > LARGEST_HEAD:
            raise RemoteProtocolError("a chunk's head without an end")
        return end + 1
