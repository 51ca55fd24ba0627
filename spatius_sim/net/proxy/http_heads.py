"""Reads the heads of HTTP/1.1 messages, as far as a proxy must understand them. No I/O.

Heads are read strictly: a head is refused if two readers could understand it in different ways.
"""

import re
from dataclasses import dataclass, field

from spatius_sim.protocol.errors import RemoteProtocolError

LARGEST_HEAD = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"

_MAX_DIGITS = 15
"""How many digits a number may have: enough for any count of bytes, and few enough for any integer type."""
_DIGITS = {10: frozenset(b"0123456789"), 16: frozenset(b"0123456789abcdefABCDEF")}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\0- \x7f]+) (HTTP/1\.[0-9])")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_METHOD_BEGINNING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,31}(?: |\Z)")
_LINE_BREAK_OR_NUL = re.compile(rb"[\0\r\n]")
_ORIGIN = re.compile(r"(?:https?|wss?)://[^/?#]*", re.IGNORECASE)


def read_number(digits: bytes, base: int = 10) -> int:
    """Return the number in a line of an HTTP message, such as a Content-Length: 1 to 15 ASCII digits to the
    `base` 10 or 16.

    Raises RemoteProtocolError for anything else, such as signs and underscores, which int() accepts."""
    if not 0 < len(digits) <= _MAX_DIGITS or not _DIGITS[base].issuperset(digits):
        raise RemoteProtocolError(f"no number of 1 to {_MAX_DIGITS} digits to the base of {base}")
    return int(digits, base)


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the header lines of an HTTP message, as they were sent.

    A request has a method and a target; an answer has a status."""

    first_line: bytes
    lines: tuple[bytes, ...]
    version: bytes = b""
    method: str = ""
    target: str = ""
    status: int = 0
    _values: dict[str, list[str]] = field(default_factory=dict)

    def values(self, name: str) -> list[str]:
        """Return the values of a header in the HTTP head, in order, one for each line with this name."""
        return self._values.get(name.lower(), [])

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers of the HTTP head as pairs of name and value, as they were sent."""
        pairs = (line.decode("latin-1").split(":", 1) for line in self.lines)
        return [(name.strip(), value.strip()) for name, value in pairs]

    def header(self, name: str) -> str:
        """Return the value of a header in the HTTP head, or "" if the header is missing. Several values are
        joined by commas."""
        return ", ".join(self.values(name))

    def tokens(self, name: str) -> list[str]:
        """Return the members of a header whose value is a list, in lower case; none if the header is missing
        in the HTTP head."""
        return [token for member in self.header(name).lower().split(",") if (token := member.strip())]

    @property
    def path(self) -> str:
        """The path and the query of a request. (The target in its HTTP head may be a whole URL.)"""
        origin = _ORIGIN.match(self.target)
        return self.target if origin is None else self.target[origin.end() :] or "/"

    @property
    def keeps_alive(self) -> bool:
        """Whether another message may follow on the connection, as this HTTP head says."""
        return self.version == b"HTTP/1.1" and "close" not in self.tokens("connection")

    def with_target_and_host(self, target: str, host: str) -> bytes:
        """Return this HTTP head as bytes, with another target in its first line and another Host; all other
        lines stay as they were sent."""
        lines = [
            b"Host: " + host.encode() if line.split(b":", 1)[0].lower() == b"host" else line
            for line in self.lines
        ]
        first_line = b" ".join((self.method.encode("latin-1"), target.encode("latin-1"), self.version))
        return b"\r\n".join((first_line, *lines)) + END_OF_HEAD

    def as_bytes(self) -> bytes:
        """Return the bytes of the HTTP head as they were sent, with the empty line."""
        return b"\r\n".join((self.first_line, *self.lines)) + END_OF_HEAD


def may_begin_request(begin: bytes) -> bool:
    """Return whether the head of an HTTP request can begin with these first bytes, at most 32 of them."""
    return not begin or _METHOD_BEGINNING.match(begin) is not None


def may_begin_answer(begin: bytes) -> bool:
    """Return whether the head of an HTTP answer can begin with these first bytes."""
    return b"HTTP/1.".startswith(begin[:7])


def read_request(raw: bytes) -> Head:
    """Return the HTTP head of a request, read from its bytes without the empty line.

    Raises RemoteProtocolError if the bytes are no head of a request."""
    first_line, lines, values = _split_head(raw)
    match = _REQUEST_LINE.fullmatch(first_line)
    if match is None:
        raise RemoteProtocolError("its first line is not a request line of HTTP/1.1")
    method, target, version = match.groups()
    return Head(first_line, lines, version, method.decode(), target.decode("latin-1"), 0, values)


def read_answer(raw: bytes) -> Head:
    """Return the HTTP head of an answer, read from its bytes without the empty line.

    Raises RemoteProtocolError if the bytes are no head of an answer."""
    first_line, lines, values = _split_head(raw)
    match = _STATUS_LINE.fullmatch(first_line)
    if match is None:
        raise RemoteProtocolError("its first line is not a status line of HTTP/1.1")
    version, status = match.groups()
    return Head(first_line, lines, version, status=read_number(status), _values=values)


def read_field(line: bytes) -> tuple[str, str]:
    """Return the name, in lower case, and the value of a header line or trailer line of HTTP.

    Raises RemoteProtocolError if the name is not a token, or if a CR, LF or NUL stands in the line."""
    name, colon, value = line.partition(b":")
    if not colon or _TOKEN.fullmatch(name) is None or _LINE_BREAK_OR_NUL.search(line):
        raise RemoteProtocolError("a header without a name, or with a line break in it")
    return name.decode().lower(), value.strip(b" \t").decode("latin-1")


def _split_head(raw: bytes) -> tuple[bytes, tuple[bytes, ...], dict[str, list[str]]]:
    """Split an HTTP head into its first line, its header lines, and the values of each header by its name.

    Raises RemoteProtocolError if a line is malformed."""
    first_line, *lines = raw.split(b"\r\n")
    if _LINE_BREAK_OR_NUL.search(first_line):
        raise RemoteProtocolError("its first line has a line break in it")
    values: dict[str, list[str]] = {}
    for line in lines:
        name, value = read_field(line)
        values.setdefault(name, []).append(value)
    return first_line, tuple(lines), values
