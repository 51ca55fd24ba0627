"""Searches frames and texts for the secrets of a run, and puts stars in place of them. No other module does
so.

A secret is found plain, in upper or lower case, in base64 (of either alphabet, padded or not, wherever it
begins), in hex, and under URL, JSON and Python escapes, also if it is escaped twice. A secret of fewer than
SHORTEST characters is not searched for, because it could stand in any text by chance. It is taken out if its
place shows that it is a secret (secrets_in_messages.py).
"""

import json
import re
from base64 import b64encode
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatius_sim.trace.quick_secret_search import MarkedWords

SHORTEST = 8
"""The fewest characters of a secret that is searched for."""

MAX_SECRETS = 1000
"""The most secrets that a process remembers if it runs for months."""

_INDEX_BYTES = 16
"""So many first bytes of an encoded secret are its key in the index of all encoded secrets. A long key is
found faster in a frame, and session tokens of some days still share this one."""

_MAX_PLACES = 1000
_MAX_ESCAPES = 100_000
"""A frame in which secrets stand in more places, or that has more escapes, is hidden whole: some kilobytes,
compressed, could otherwise cost minutes and gigabytes."""

_MAX_ESCAPE_LAYERS = 2
"""How often a secret may be escaped: each time a layer around the one before."""

_ESCAPE = re.compile(
    rb"%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}"
    rb"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}"
    rb'|\\["\\/bfnrt]'
)


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """The bytes of a frame from `start` to `end` in which a known secret stands; `encoding` is the encoding's
    name."""

    start: int
    end: int
    secret: str
    encoding: str


@dataclass(slots=True)
class KnownSecrets:
    """Remembers the `most` secrets that were used last (None: all), and all secrets that a holder still
    needs, such as an open connection.

    Some secrets have a reference (`key#1`, `token#2`), by which a trace names them. Other secrets have none
    and are only hidden.
    """

    most: int | None = None
    _references: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """The reference of each secret, the most recently used secret last; "" for a secret that is only
    hidden."""
    _by_start: dict[bytes, dict[tuple[str, bytes], str]] = field(default_factory=dict)
    """An index for the search. By the first bytes of an encoded secret: the name of the encoding, by secret
    and encoded secret. Session tokens begin alike, and a run knows hundreds of them."""
    _short_starts: set[bytes] = field(default_factory=set)
    """The keys of the index that have fewer than _INDEX_BYTES bytes."""
    _marked: "MarkedWords | None" = field(default=None, compare=False, repr=False)
    """The words of all other keys, so that most frames need not be searched; None if there is no key."""
    _kinds: dict[str, int] = field(default_factory=dict)
    """How many references of each kind have been given."""
    _held: dict[str, set[str]] = field(default_factory=dict)
    """The secrets of each holder."""

    def reference_for(self, kind: str, secret: str, holder: str = "") -> str:
        """Return the reference of a secret, such as `token#1`; "" if `secret` is empty. A new secret joins
        the known secrets, and is remembered at least until `let_go(holder)`."""
        reference = self._references.get(secret, "")
        if secret and not reference:
            number = self._kinds[kind] = self._kinds.get(kind, 0) + 1
            reference = f"{kind}#{number}"
        self._learn_secret(secret, reference, holder)
        return reference

    def hide(self, secret: str, holder: str = "") -> None:
        """Learn a secret without a reference: from now on the known secrets include it, so that it is
        replaced by stars. A secret that is too short to be searched for is ignored."""
        if len(secret) >= SHORTEST:
            self._learn_secret(secret, self._references.get(secret, ""), holder)

    def let_go(self, holder: str) -> None:
        """Allow the secrets that this holder needed to be forgotten, the oldest first."""
        self._held.pop(holder, None)
        self._forget_oldest()

    def known_reference(self, secret: str) -> str:
        """Return the reference of a known secret, "" if it has none. An unknown secret is not learnt."""
        return self._references.get(secret, "")

    def lengths(self) -> dict[str, int]:
        """Return how many characters each known secret has, by its reference. Secrets without a reference are
        left out."""
        return {reference: len(secret) for secret, reference in self._references.items() if reference}

    def length_of(self, reference: str) -> int:
        """Return how many characters the known secret with this reference has."""
        # The secret that was used last is asked for most.
        return next(len(secret) for secret, named in reversed(self._references.items()) if named == reference)

    def redact(self, raw: bytes) -> tuple[bytes, list[tuple[str, str]]]:
        """Put stars in place of the known secrets in these bytes, and return the new bytes, which have the
        same length. Also return which secrets were found: pairs of the secret's reference and the name of its
        encoding. Secrets without a reference are not among them."""
        if len(raw) < SHORTEST:  # An encoding of a secret is never shorter than the secret.
            return raw, []
        spans = sorted(islice(self._spans_of_secrets(raw, _MAX_ESCAPE_LAYERS), _MAX_PLACES + 1))
        if not spans:
            return raw, []
        if len(spans) > _MAX_PLACES:
            spans.append(_whole_frame(raw))
        clean = bytearray(raw)
        for span in spans:
            clean[span.start : span.end] = b"*" * (span.end - span.start)
        sightings = dict.fromkeys((self._references.get(span.secret, ""), span.encoding) for span in spans)
        return bytes(clean), [(reference, encoding) for reference, encoding in sightings if reference]

    def redact_text(self, text: str) -> str:
        """Return a text with stars in place of the known secrets."""
        raw = text.encode(errors="surrogatepass")
        clean, _ = self.redact(raw)
        return text if clean is raw else clean.decode(errors="surrogatepass")

    def _learn_secret(self, secret: str, reference: str, holder: str) -> None:
        """Remember a known secret and its reference, at least until `let_go(holder)`. Index the secret, in
        each encoding, so that frames can be searched for it quickly. Forget the secret that was used least,
        if there are too many."""
        if not secret:
            return
        if secret not in self._references and len(secret) >= SHORTEST:
            for encoded, encoding in _encodings_to_search(secret):
                start = encoded[:_INDEX_BYTES]
                if start not in self._by_start:
                    self._add_start(start)
                self._by_start.setdefault(start, {})[secret, encoded] = encoding
        self._references[secret] = reference
        self._references.move_to_end(secret)
        if holder:
            self._held.setdefault(holder, set()).add(secret)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Forget the known secrets that were used longest ago, until at most `most` are left. Secrets that a
        holder still needs are kept and not counted."""
        if self.most is None or len(self._references) <= self.most:
            return
        held = set().union(*self._held.values())
        surplus = len(self._references) - len(held) - self.most
        for secret in [secret for secret in self._references if secret not in held][: max(0, surplus)]:
            del self._references[secret]
            for encoded, _ in _encodings_to_search(secret):
                names_of_encodings = self._by_start.get(encoded[:_INDEX_BYTES], {})
                names_of_encodings.pop((secret, encoded), None)
                if not names_of_encodings:
                    self._by_start.pop(encoded[:_INDEX_BYTES], None)
                    self._short_starts.discard(encoded[:_INDEX_BYTES])

    def _add_start(self, start: bytes) -> None:
        """Add the first bytes of an encoded secret to those for which each frame is searched: to the short
        starts if there are fewer than _INDEX_BYTES of them, and otherwise to the marked words."""
        if len(start) < _INDEX_BYTES:
            self._short_starts.add(start)
            return
        if self._marked is None:
            # NumPy is not loaded for those who know no secret.
            from spatius_sim.trace.quick_secret_search import MarkedWords

            self._marked = MarkedWords()
        self._marked.mark(start)

    def _starts_to_search(self, raw: bytes) -> Collection[bytes]:
        """Return the keys of the index that may stand in a frame."""
        if self._marked is not None and self._marked.may_be_in(raw):
            return self._by_start
        return self._short_starts

    def _spans_of_secrets(self, raw: bytes, depth: int) -> Iterator[_Span]:
        r"""Yield each place in the bytes `raw` at which a known secret stands. Find also secrets that are
        escaped (as `%2F` or `\u002f`), up to `depth` times over."""
        for start in self._starts_to_search(raw):
            if start in raw:
                for (secret, encoded), encoding in self._by_start[start].items():
                    yield from (
                        _Span(index, index + len(encoded), secret, encoding)
                        for index in _find_secret(encoded, raw)
                    )
        if depth and self._by_start and (b"%" in raw or b"\\" in raw):
            unescaped = _UnescapedText(raw)
            if unescaped.escapes > _MAX_ESCAPES:
                yield _whole_frame(raw)
            elif unescaped.escapes:
                for span in self._spans_of_secrets(unescaped.text, depth - 1):
                    yield unescaped.place_in_raw(span)


class _UnescapedText:
    """A frame with one layer of escapes decoded (`text`), so that known secrets can be found in it. It also
    tells the place in the frame for each place in `text`."""

    def __init__(self, raw: bytes) -> None:
        r"""Decode the escapes (as `%2F` or `\u002f`) in the frame `raw` once, so that secrets can be found
        behind them. Keep the place of each escape, to find the secrets' places in the frame."""
        self._raw = raw
        self._starts: list[tuple[int, int]] = [(0, 0)]
        """Pairs (index in `text`, index in the frame): of each escape, and of the bytes after each escape."""
        text = bytearray()
        end = 0
        for escape in islice(_ESCAPE.finditer(raw), _MAX_ESCAPES + 1):
            text += raw[end : escape.start()]
            self._starts.append((len(text), escape.start()))
            text += _unescape(escape[0])
            end = escape.end()
            self._starts.append((len(text), end))
        self.text = bytes(text + raw[end:])
        self.escapes = len(self._starts) // 2

    def place_in_raw(self, span: _Span) -> _Span:
        """Return where in the frame a known secret stands that was found in the unescaped text of the frame
        (`text`). The encoding "plain" becomes "URL-encoded" or "escaped" if there are escapes in this
        place."""
        start, end = self._index_in_raw(span.start), self._index_in_raw(span.end)
        escapes = _ESCAPE.findall(self._raw, start, end)
        encoding = span.encoding
        if encoding == "plain" and escapes:
            encoding = "URL-encoded" if escapes[0][:1] == b"%" else "escaped"
        return _Span(start, end, span.secret, encoding)

    def _index_in_raw(self, index: int) -> int:
        """Return the index in the frame for an index in `text`, its unescaped form."""
        text_start, raw_start = self._starts[bisect_right(self._starts, (index, len(self._raw))) - 1]
        return raw_start + index - text_start


def _whole_frame(raw: bytes) -> _Span:
    """Return a place that is the whole frame, for a frame that would take too long to search."""
    return _Span(0, len(raw), "", "")


def _unescape(escape: bytes) -> bytes:
    r"""Return the bytes that one escape stands for, to find secrets behind escapes: `%41` in a URL, `\x41` in
    Python, `\u0041` or `\n` in JSON."""
    if escape[:1] == b"%":
        return bytes.fromhex(escape[1:].decode())
    if escape[:2] == b"\\x":
        return bytes.fromhex(escape[2:].decode())
    return str(json.loads(b'"' + escape + b'"')).encode(errors="surrogatepass")


def _find_secret(encoded: bytes, raw: bytes) -> Iterator[int]:
    """Yield each index in a frame at which this encoded form of a known secret begins."""
    index = raw.find(encoded)
    while index >= 0:
        yield index
        index = raw.find(encoded, index + 1)


def _encodings_to_search(secret: str) -> list[tuple[bytes, str]]:
    """Return the byte strings by which a known secret is found in frames: the secret in each encoding, such
    as base64, with the name of the encoding."""
    raw = secret.encode(errors="surrogatepass")
    encodings = {raw: "plain"}
    for case_name, in_case in (("upper case", secret.upper()), ("lower case", secret.lower())):
        encodings.setdefault(in_case.encode(errors="surrogatepass"), case_name)
    encodings.setdefault(raw.replace(b" ", b"+"), "URL-encoded")
    encodings.setdefault(raw.hex().encode(), "hex")
    encodings.setdefault(raw.hex().upper().encode(), "hex")
    # Base64 writes 3 bytes as 4 characters, so it depends on how many bytes (0, 1 or 2) of a group of 3 stand
    # before the secret.
    for bytes_before in range(3):
        base64 = b64encode(b"\0" * bytes_before + raw)
        # The characters at both ends depend on what stands beside the secret.
        start = -(-bytes_before * 8 // 6)
        fixed_part = base64[start : (bytes_before + len(raw)) * 8 // 6]
        encodings.setdefault(fixed_part, "base64")
        encodings.setdefault(fixed_part.translate(bytes.maketrans(b"+/", b"-_")), "base64")
    return list(encodings.items())
