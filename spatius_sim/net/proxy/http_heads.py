"""Reads the heads of HTTP/1.1 messages, as far as a proxy must understand them. No I/O.

Heads are read strictly: what two readers could read in two ways is refused, never passed on.
"""

import re
from dataclasses import dataclass, field

from spatius_sim.protocol.errors import RemoteProtocolError

LARGEST_HEAD = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"

_MOST_DIGITS = 15
"""The most digits of a number: it counts more bytes than anybody sends, and fits any integer type."""
_DIGITS = {10: frozenset(b"0123456789"), 16: frozenset(b"0123456789abcdefABCDEF")}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\0- \x7f]+) (HTTP/1\.[0-9])")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_METHOD_BEGINS = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,31}(?: |\Z)")
_CONTROL = re.compile(rb"[\0\r\n]")
_ORIGIN = re.compile(r"(?:https?|wss?)://[^/?#]*", re.IGNORECASE)


def read_number(digits: bytes, base: int = 10) -> int:
    """Read a number that a peer sent: at most 15 ASCII digits to the `base` 10 or 16. Raises
    RemoteProtocolError for all else that Python would take."""
    if not 0 < len(digits) <= _MOST_DIGITS or not _DIGITS[base].issuperset(digits):
        raise RemoteProtocolError(f"no number of 1 to {_MOST_DIGITS} digits to the base of {base}")
    return int(digits, base)


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers of a message, as they were sent. A request has a method and a target, an
    answer has a status."""

    first_line: bytes
    lines: tuple[bytes, ...]
    version: bytes = b""
    method: str = ""
    target: str = ""
    status: int = 0
    _values: dict[str, list[str]] = field(default_factory=dict)

    def values(self, name: str) -> list[str]:
        """List the values of a header in order, one for each of its lines."""
        return self._values.get(name.lower(), [])

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Every header as (name, value), as it was sent."""
        pairs = (line.decode("latin-1").split(":", 1) for line in self.lines)
        return [(name.strip(), value.strip()) for name, value in pairs]

    def header(self, name: str) -> str:
        """Return the value of a header, "" if it is missing; several values are joined by commas."""
        return ", ".join(self.values(name))

    def tokens(self, name: str) -> list[str]:
        """List the members of a header whose value is a list, in lower case."""
        return [token for part in self.header(name).lower().split(",") if (token := part.strip())]

    @property
    def path(self) -> str:
        """The path and query of a request, even if its target is a whole URL."""
        origin = _ORIGIN.match(self.target)
        return self.target if origin is None else self.target[origin.end() :] or "/"

    @property
    def keeps_alive(self) -> bool:
        """Whether another message may follow on the connection."""
        return self.version == b"HTTP/1.1" and "close" not in self.tokens("connection")

    def aimed_at(self, target: str, host: str) -> bytes:
        """Return the request's bytes with another target and another Host, and nothing else changed."""
        lines = [
            b"Host: " + host.encode() if line.split(b":", 1)[0].lower() == b"host" else line
            for line in self.lines
        ]
        first = b" ".join((self.method.encode("latin-1"), target.encode("latin-1"), self.version))
        return b"\r\n".join((first, *lines)) + END_OF_HEAD

    def as_bytes(self) -> bytes:
        """Return the bytes of the head as they came."""
        return b"\r\n".join((self.first_line, *self.lines)) + END_OF_HEAD


def may_begin_request(begin: bytes) -> bool:
    """Whether a request can begin with these first bytes, at most 32 of them."""
    return not begin or _METHOD_BEGINS.match(begin) is not None


def may_begin_answer(begin: bytes) -> bool:
    """Whether an answer can begin with these first bytes."""
    return b"HTTP/1.".startswith(begin[:7])


def read_request(raw: bytes) -> Head:
    """Read the head of a request, given without its empty line; raises RemoteProtocolError if it is none."""
    first, lines, values = _split_head(raw)
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise RemoteProtocolError("its first line is no request line of HTTP/1.1")
    method, target, version = found.groups()
    return Head(first, lines, version, method.decode(), target.decode("latin-1"), 0, values)


def read_answer(raw: bytes) -> Head:
    """Read the head of an answer, given without its empty line; raises RemoteProtocolError if it is none."""
    first, lines, values = _split_head(raw)
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        raise RemoteProtocolError("its first line is no status line of HTTP/1.1")
    version, status = found.groups()
    return Head(first, lines, version, status=read_number(status), _values=values)


def read_field(line: bytes) -> tuple[str, str]:
    """Read a header or a trailer; returns its name in lower case, and its value. Raises RemoteProtocolError
    if the name is no token, or the line goes on in the next one."""
    name, colon, value = line.partition(b":")
    if not colon or _TOKEN.fullmatch(name) is None or _CONTROL.search(line):
        raise RemoteProtocolError("a header without a name, or with a line break in it")
    return name.decode().lower(), value.strip(b" \t").decode("latin-1")


def _split_head(raw: bytes) -> tuple[bytes, tuple[bytes, ...], dict[str, list[str]]]:
    """Split a head into its first line, its header lines, and the values of each header by name."""
    first, *lines = raw.split(b"\r\n")
    if _CONTROL.search(first):
        raise RemoteProtocolError("its first line has a line break in it")
    values: dict[str, list[str]] = {}
    for line in lines:
        name, value = read_field(line)
        values.setdefault(name, []).append(value)
    return first, tuple(lines), values
