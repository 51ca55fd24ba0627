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

_MAX_CHARACTERS_IN_LINE = 600
_MAX_CHARACTERS_IN_TEXT = 20_000


def make_harmless(text: str) -> str:
    """Return the text with a replacement for every character that a terminal would obey; line breaks and tabs
    stay."""
    return _HARMFUL.sub(_REPLACEMENT, text)


def harmless_line(text: str, max_characters: int = _MAX_CHARACTERS_IN_LINE) -> str:
    """Return the text in one line of at most `max_characters`, without characters that a terminal or a CI log
    would obey. If it is applied to its own result, it changes nothing."""

    def clean(part: str) -> str:
        """Return a part of the text, made harmless and put into one line."""
        joined = part.replace("\r\n", "\n").replace("\n", " \N{RETURN SYMBOL} ").replace("\t", " ")
        return _CI_COMMAND.sub(r"\g<0> ", make_harmless(joined))

    return _cut_middle(text, max_characters, clean)


def harmless_lines(text: str, max_characters: int = _MAX_CHARACTERS_IN_TEXT) -> str:
    """Return the text with at most `max_characters`, without characters that a terminal or a CI log would
    obey. Its line breaks stay."""
    return _cut_middle(text, max_characters, lambda part: _CI_COMMAND.sub(r"\g<0> ", make_harmless(part)))


def _cut_middle(text: str, max_characters: int, clean: Callable[[str], str]) -> str:
    """Return the text, made harmless by `clean`, with at most `max_characters`. If the text is longer, or
    `clean` makes it longer, its middle is left out, and a note says so. The end stays, because there a
    traceback says what happened."""
    head = clean(text[:max_characters])
    if len(text) <= max_characters >= len(head):
        return head
    tail = clean(text[-max_characters:])
    note = f" … (cut from {len(text):,} characters) … "
    kept_count = max_characters - len(note)
    tail_count = kept_count // 2
    return head[: kept_count - tail_count] + note + tail[len(tail) - tail_count :]
