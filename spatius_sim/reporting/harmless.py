"""Text that came from outside, made harmless and small: the one place where it enters a summary.

What is left steers no terminal and no CI log (`::error`, `##vso`), turns no reading direction around, and
may stand in an XML document. Each format still quotes it in its own way.
"""

import re
from collections.abc import Callable

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1: terminals
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators and reading direction
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"  # no characters of XML, or of UTF-8
    "\U000e0000-\U000e007f]"  # invisible tags
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_COMMAND = re.compile(r":(?=:[A-Za-z])|#(?=#[\[A-Za-z])")
"""How a workflow command of a CI system begins."""

_LINE = 600
_LINES = 20_000


def harmless(text: str) -> str:
    """The text with its line breaks and tabs, and without what a terminal would obey."""
    return _OBEYED.sub(_REPLACEMENT, text)


def one_line(text: str, most: int = _LINE) -> str:
    """The text in one line of at most `most` characters; the same again when it is done twice."""

    def clean(part: str) -> str:
        joined = part.replace("\r\n", "\n").replace("\n", " \N{RETURN SYMBOL} ").replace("\t", " ")
        return _COMMAND.sub(r"\g<0> ", harmless(joined))

    return _bounded(text, most, clean)


def some_lines(text: str, most: int = _LINES) -> str:
    """The text in at most `most` characters, its line breaks kept."""
    return _bounded(text, most, lambda part: _COMMAND.sub(r"\g<0> ", harmless(part)))


def _bounded(text: str, most: int, clean: Callable[[str], str]) -> str:
    """Both ends of what is too long: a traceback tells at its end what happened."""
    head = clean(text[:most])
    if len(text) <= most >= len(head):
        return head
    tail = clean(text[-most:])
    note = f" … (cut from {len(text):,} characters) … "
    room = most - len(note)
    return head[: room - room // 2] + note + tail[len(tail) - room // 2 :]
