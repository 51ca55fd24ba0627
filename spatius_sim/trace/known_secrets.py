"""Takes the secrets of a run out of everything that leaves it. No other module does so.

A secret is found plain, in base64 (of either alphabet, padded or not, wherever it begins), in hex, and
through URL, JSON and Python escapes, twice escaped too. A secret of fewer than SHORTEST characters is looked
for nowhere, for it could stand in any text by chance: it is taken out if its place says what it is
(secret_places.py).
"""

import json
import re
from base64 import b64encode
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

SHORTEST = 8
"""The fewest characters of a secret that is looked for."""

MOST_SECRETS = 1000
"""The most secrets that a process remembers if it runs for months."""

_START = 8
_DEEPEST = 2
"""How often a secret may be escaped."""

_ESCAPE = re.compile(
    rb"%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}"
    rb"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}"
    rb'|\\["\\/bfnrt]'
)


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """Where a secret stands, and how it is written there."""

    start: int
    end: int
    secret: str
    how: str


@dataclass(slots=True)
class KnownSecrets:
    """Remembers the `most` secrets that were used last (None: all), and those that somebody holds.

    Some secrets have a reference (`key#1`, `token#2`): a trace says no more of them. The others are just
    hidden.
    """

    most: int | None = None
    _references: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """By secret, used last at the end; "" for one that is just hidden."""
    _by_start: dict[bytes, dict[tuple[str, bytes], str]] = field(default_factory=dict)
    """How each form is written, by its first bytes: session tokens begin alike, and a run knows hundreds."""
    _kinds: dict[str, int] = field(default_factory=dict)
    _held: dict[str, set[str]] = field(default_factory=dict)

    def reference_for(self, kind: str, secret: str, holder: str = "") -> str:
        """Return the reference of a secret, "" for no secret. A new secret is learnt, and remembered at least
        until its `holder` lets go."""
        name = self._references.get(secret, "")
        if secret and not name:
            number = self._kinds[kind] = self._kinds.get(kind, 0) + 1
            name = f"{kind}#{number}"
        self._learn_secret(secret, name, holder)
        return name

    def hide(self, secret: str, holder: str = "") -> None:
        """Take this secret out of everything from here on."""
        if len(secret) >= SHORTEST:
            self._learn_secret(secret, self._references.get(secret, ""), holder)

    def let_go(self, holder: str) -> None:
        """Let the secrets of this holder be forgotten, the eldest first."""
        self._held.pop(holder, None)
        self._forget_oldest()

    def known_reference(self, secret: str) -> str:
        """Return the reference of a secret, "" if it has none."""
        return self._references.get(secret, "")

    def lengths(self) -> dict[str, int]:
        """Return how many characters each secret has, by its reference."""
        return {name: len(secret) for secret, name in self._references.items() if name}

    def redact(self, raw: bytes) -> tuple[bytes, list[tuple[str, str]]]:
        """Put stars in place of the secrets. Return the bytes, as long as before, and which secrets with a
        reference were found, as (reference, how it was written)."""
        spans = sorted(self._spans_of_secrets(raw, _DEEPEST))
        if not spans:
            return raw, []
        clean = bytearray(raw)
        for span in spans:
            clean[span.start : span.end] = b"*" * (span.end - span.start)
        found = [(self._references[span.secret], span.how) for span in spans]
        return bytes(clean), [one for one in dict.fromkeys(found) if one[0]]

    def text(self, text: str) -> str:
        """Return the text with stars in place of the secrets."""
        raw = text.encode(errors="surrogatepass")
        clean, _ = self.redact(raw)
        return text if clean is raw else clean.decode(errors="surrogatepass")

    def _learn_secret(self, secret: str, name: str, holder: str) -> None:
        """Remember a secret under this name, at least until its holder lets go of it."""
        if not secret:
            return
        if secret not in self._references and len(secret) >= SHORTEST:
            for form, how in _encodings_of(secret):
                self._by_start.setdefault(form[:_START], {})[secret, form] = how
        self._references[secret] = name
        self._references.move_to_end(secret)
        if holder:
            self._held.setdefault(holder, set()).add(secret)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Forget the oldest secrets that nobody holds, until no more than `most` are left."""
        if self.most is None or len(self._references) <= self.most:
            return
        held = set().union(*self._held.values())
        spare = len(self._references) - len(held) - self.most
        for secret in [secret for secret in self._references if secret not in held][: max(0, spare)]:
            del self._references[secret]
            for form, _ in _encodings_of(secret):
                alike = self._by_start.get(form[:_START], {})
                alike.pop((secret, form), None)
                if not alike:
                    self._by_start.pop(form[:_START], None)

    def _spans_of_secrets(self, raw: bytes, depth: int) -> Iterator[_Span]:
        """Yield where the known secrets stand in these bytes, also under up to `depth` layers of escapes."""
        for start, forms in self._by_start.items():
            if start in raw:
                for (secret, form), how in forms.items():
                    yield from (_Span(at, at + len(form), secret, how) for at in _places_of(form, raw))
        if depth and (b"%" in raw or b"\\" in raw):
            read = _Unescaped(raw)
            if read.escaped:
                for span in self._spans_of_secrets(read.text, depth - 1):
                    yield read.in_escaped(span)


class _Unescaped:
    """What stands behind the escapes of a text, and where."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._starts: list[tuple[int, int]] = [(0, 0)]
        """Where in the text, and where in the raw bytes, something begins: an escape or what follows one."""
        text = bytearray()
        end = 0
        for escape in _ESCAPE.finditer(raw):
            text += raw[end : escape.start()]
            self._starts.append((len(text), escape.start()))
            text += _unescape(escape[0])
            end = escape.end()
            self._starts.append((len(text), end))
        self.text = bytes(text + raw[end:])
        self.escaped = end > 0

    def in_escaped(self, span: _Span) -> _Span:
        """The same place in the raw bytes."""
        start, end = self._place(span.start), self._place(span.end)
        escapes = _ESCAPE.findall(self._raw, start, end)
        how = span.how
        if how == "plain" and escapes:
            how = "URL-encoded" if escapes[0][:1] == b"%" else "escaped"
        return _Span(start, end, span.secret, how)

    def _place(self, at: int) -> int:
        begins, place = self._starts[bisect_right(self._starts, (at, len(self._raw))) - 1]
        return place + at - begins


def _unescape(escape: bytes) -> bytes:
    if escape[:1] == b"%":
        return bytes.fromhex(escape[1:].decode())
    if escape[:2] == b"\\x":
        return bytes.fromhex(escape[2:].decode())
    return str(json.loads(b'"' + escape + b'"')).encode(errors="surrogatepass")


def _places_of(form: bytes, raw: bytes) -> Iterator[int]:
    at = raw.find(form)
    while at >= 0:
        yield at
        at = raw.find(form, at + 1)


def _encodings_of(secret: str) -> list[tuple[bytes, str]]:
    """Return the secret in every encoding that is searched for, each with its name."""
    raw = secret.encode(errors="surrogatepass")
    forms = {raw: "plain"}
    forms.setdefault(raw.replace(b" ", b"+"), "URL-encoded")
    forms.setdefault(raw.hex().encode(), "hex")
    forms.setdefault(raw.hex().upper().encode(), "hex")
    for shift in range(3):
        encoded = b64encode(b"\0" * shift + raw)
        # The characters at both ends depend on what stands beside the secret.
        start = -(-shift * 8 // 6)
        sure = encoded[start : (shift + len(raw)) * 8 // 6]
        forms.setdefault(sure, "base64")
        forms.setdefault(sure.translate(bytes.maketrans(b"+/", b"-_")), "base64")
    return list(forms.items())
