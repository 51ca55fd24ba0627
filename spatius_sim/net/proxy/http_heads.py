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


def parse_integer(digits: bytes, base: int = 10) -> int:
    """Return the integer that these ASCII digits of an HTTP message stand for, for example in a
    Content-Length. `base` is 10 or 16.

    Raises RemoteProtocolError unless there are 1 to 15 digits and nothing else. (int() would accept signs and
    underscores.)"""
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
    _values_by_name: dict[str, list[str]] = field(default_factory=dict)

    def values(self, name: str) -> list[str]:
        """Return the values of a header in the HTTP head, in order, one for each line with this name."""
        return self._values_by_name.get(name.lower(), [])

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

    def encode_with_target_and_host(self, target: str, host: str) -> bytes:
        """Return this HTTP head as bytes, but with `target` in its first line and `host` in its Host header.
        All other lines stay as they were sent."""
        new_lines = [
            b"Host: " + host.encode() if line.split(b":", 1)[0].lower() == b"host" else line
            for line in self.lines
        ]
        first_line = b" ".join((self.method.encode("latin-1"), target.encode("latin-1"), self.version))
        return b"\r\n".join((first_line, *new_lines)) + END_OF_HEAD

    def as_bytes(self) -> bytes:
        """Return the bytes of the HTTP head as they were sent, with the empty line."""
        return b"\r\n".join((self.first_line, *self.lines)) + END_OF_HEAD


def may_begin_request(begin: bytes) -> bool:
    """Return whether the head of an HTTP request can begin with these first bytes, at most 32 of them."""
    return not begin or _METHOD_BEGINNING.match(begin) is not None


def may_begin_response(begin: bytes) -> bool:
    """Return whether the head of an HTTP answer can begin with these first bytes."""
    return b"HTTP/1.".startswith(begin[:7])


def parse_request_head(raw_head: bytes) -> Head:
    """Parse the head of an HTTP request: its request line and its headers, without the empty line after them.

    Raises RemoteProtocolError if the bytes are not the head of an HTTP/1 request."""
    first_line, header_lines, values_by_name = _split_head(raw_head)
    match = _REQUEST_LINE.fullmatch(first_line)
    if match is None:
        raise RemoteProtocolError("its first line is not a request line of HTTP/1.1")
    method, target, version = match.groups()
    return Head(
        first_line,
        header_lines,
        version,
        method=method.decode(),
        target=target.decode("latin-1"),
        _values_by_name=values_by_name,
    )


def parse_response_head(raw_head: bytes) -> Head:
    """Parse the head of an HTTP response: its status line and its headers, without the empty line after them.

    Raises RemoteProtocolError if the bytes are not the head of an HTTP/1 response."""
    first_line, header_lines, values_by_name = _split_head(raw_head)
    match = _STATUS_LINE.fullmatch(first_line)
    if match is None:
        raise RemoteProtocolError("its first line is not a status line of HTTP/1.1")
    version, status = match.groups()
    return Head(
        first_line, header_lines, version, status=parse_integer(status), _values_by_name=values_by_name
    )


def parse_header_line(line: bytes) -> tuple[str, str]:
    """Return the name, in lower case, and the value of an HTTP header line. (After a chunked body, a trailer
    line looks the same.)

    Raises RemoteProtocolError if the name is not a token, or if the line contains a CR, LF or NUL."""
    name, colon, value = line.partition(b":")
    if not colon or _TOKEN.fullmatch(name) is None or _LINE_BREAK_OR_NUL.search(line):
        raise RemoteProtocolError("a header without a name, or with a line break in it")
    return name.decode().lower(), value.strip(b" \t").decode("latin-1")


def _split_head(raw_head: bytes) -> tuple[bytes, tuple[bytes, ...], dict[str, list[str]]]:
    """Split an HTTP head into its first line, its header lines, and a map from each header's name (in lower
    case) to its values.

    Raises RemoteProtocolError if a line is malformed."""
    first_line, *header_lines = raw_head.split(b"\r\n")
    if _LINE_BREAK_OR_NUL.search(first_line):
        raise RemoteProtocolError("its first line has a line break in it")
    values_by_name: dict[str, list[str]] = {}
    for line in header_lines:
        name, value = parse_header_line(line)
        values_by_name.setdefault(name, []).append(value)
    return first_line, tuple(header_lines), values_by_name
