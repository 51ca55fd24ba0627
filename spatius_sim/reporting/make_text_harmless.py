"""Makes text from outside harmless and small, when the text enters a summary.

Harmless text steers no terminal and no CI log (`::error`, `##vso`), changes no reading direction, and may
stand in an XML document. Each format still quotes it in its own way."""

import re
from collections.abc import Callable

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1: terminals
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators and reading direction
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"  # no characters of XML, or of UTF-8
    "\U000e0000-\U000e007f]"  # invisible tags
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CI_COMMAND = re.compile(r":(?=:[A-Za-z])|#(?=#[\[A-Za-z])")
"""Matches what begins a workflow command of a CI system."""

_LONGEST_LINE = 600
_LONGEST_TEXT = 20_000


def make_harmless(text: str) -> str:
    """Return the text with a replacement for every character that a terminal would obey; line breaks and tabs
    stay."""
    return _HARMFUL.sub(_REPLACEMENT, text)


def one_line(text: str, most: int = _LONGEST_LINE) -> str:
    """Return a harmless text in one line of at most `most` characters. A second call changes nothing more."""

    def clean(part: str) -> str:
        """Return a part of the text, made harmless and put into one line."""
        joined = part.replace("\r\n", "\n").replace("\n", " \N{RETURN SYMBOL} ").replace("\t", " ")
        return _CI_COMMAND.sub(r"\g<0> ", make_harmless(joined))

    return _cut_middle(text, most, clean)


def some_lines(text: str, most: int = _LONGEST_TEXT) -> str:
    """Return a harmless text of at most `most` characters, with its line breaks."""
    return _cut_middle(text, most, lambda part: _CI_COMMAND.sub(r"\g<0> ", make_harmless(part)))


def _cut_middle(text: str, most: int, clean: Callable[[str], str]) -> str:
    """Return the text, which `clean` makes harmless, with at most `most` characters. The middle of a longer
    text is left out; its end stays, because there a traceback says what happened."""
    head = clean(text[:most])
    if len(text) <= most >= len(head):
        return head
    tail = clean(text[-most:])
    note = f" … (cut from {len(text):,} characters) … "
    characters_left = most - len(note)
    return head[: characters_left - characters_left // 2] + note + tail[len(tail) - characters_left // 2 :]
