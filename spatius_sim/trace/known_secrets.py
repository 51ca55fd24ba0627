"""Searches frames, texts and the fields of events for the known secrets of a run, and puts stars in place of
them. No other module does so.

A secret is found plain, in upper or lower case, in base64 (of either alphabet, padded or not, wherever it
begins), in hex, and under URL, JSON and Python escapes, also if it is escaped twice. A secret of fewer than
SHORTEST_SECRET characters is not searched for, because it could stand in any text by chance. It is taken out
if its place shows that it is a secret (secrets_in_messages.py).
"""

import json
import re
from base64 import b64encode
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from spatius_sim.trace.quick_secret_search import MarkedWords

SHORTEST_SECRET = 8
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

AnyDataclass = TypeVar("AnyDataclass")

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
    """Remembers the `max_secrets` secrets that were used last (None: all). It also remembers all secrets that
    a holder still needs, such as an open connection.

    Some secrets have a reference (`key#1`, `token#2`), by which a trace names them. Other secrets have none
    and are only hidden."""

    max_secrets: int | None = None
    _references: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """The reference of each secret, the most recently used secret last; "" for a secret that is only
    hidden."""
    _encodings_by_start: dict[bytes, dict[tuple[str, bytes], str]] = field(default_factory=dict)
    """An index for the search. By the first bytes of an encoded secret: the name of the encoding, by secret
    and encoded secret. Session tokens begin alike, and a run knows hundreds of them."""
    _short_starts: set[bytes] = field(default_factory=set)
    """The keys of the index that have fewer than _INDEX_BYTES bytes."""
    _marked_words: "MarkedWords | None" = field(default=None, compare=False, repr=False)
    """The words of all other keys, so that most frames need not be searched; None if there is no key."""
    _count_by_kind: dict[str, int] = field(default_factory=dict)
    """How many references of each kind have been given."""
    _secrets_by_holder: dict[str, set[str]] = field(default_factory=dict)
    """The secrets of each holder."""

    def reference_for(self, kind: str, secret: str, holder: str = "") -> str:
        """Return the reference by which a trace names a secret, such as `token#1`; its part before `#` is
        `kind`. Return "" for an empty secret. A new secret is learnt, and remembered at least until
        `release_holder(holder)`; `holder` is the name of the session that uses the secret, "" for none."""
        reference = self._references.get(secret, "")
        if secret and not reference:
            number = self._count_by_kind[kind] = self._count_by_kind.get(kind, 0) + 1
            reference = f"{kind}#{number}"
        self._learn_secret(secret, reference, holder)
        return reference

    def hide(self, secret: str, holder: str = "") -> None:
        """Learn a secret without a reference: from now on the known secrets include it, so that it is
        replaced by stars. A secret that is too short to be searched for is ignored."""
        if len(secret) >= SHORTEST_SECRET:
            self._learn_secret(secret, self._references.get(secret, ""), holder)

    def release_holder(self, holder: str) -> None:
        """Note that this holder needs its secrets no longer: they may be forgotten, the oldest first."""
        self._secrets_by_holder.pop(holder, None)
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
        """Return the bytes with stars in place of each known secret; their length stays the same. Also return
        the secrets that were found, as pairs: the reference by which a trace names the secret, and the name
        of its encoding. Secrets without a reference are replaced, but not returned. Bytes with too many
        secrets or escapes become stars as a whole."""
        if len(raw) < SHORTEST_SECRET:  # An encoding of a secret is never shorter than the secret.
            return raw, []
        spans = sorted(islice(self._find_spans(raw, _MAX_ESCAPE_LAYERS), _MAX_PLACES + 1))
        if not spans:
            return raw, []
        if len(spans) > _MAX_PLACES:
            spans.append(_whole_frame(raw))
        redacted = bytearray(raw)
        for span in spans:
            redacted[span.start : span.end] = b"*" * (span.end - span.start)
        sightings = dict.fromkeys((self._references.get(span.secret, ""), span.encoding) for span in spans)
        return bytes(redacted), [(reference, encoding) for reference, encoding in sightings if reference]

    def redact_text(self, text: str) -> str:
        """Return a text with stars in place of the known secrets."""
        raw = text.encode(errors="surrogatepass")
        clean, _ = self.redact(raw)
        return text if clean is raw else clean.decode(errors="surrogatepass")

    def _learn_secret(self, secret: str, reference: str, holder: str) -> None:
        """Remember a secret and its reference ("" for none), at least until `release_holder(holder)`. The
        index gets each encoding of a new secret, so that frames can be searched for it quickly. Then forget
        the secrets that were used longest ago, if there are too many."""
        if not secret:
            return
        if secret not in self._references and len(secret) >= SHORTEST_SECRET:
            for encoded, encoding_name in _encode_in_all_ways(secret):
                start = encoded[:_INDEX_BYTES]
                if start not in self._encodings_by_start:
                    self._add_start(start)
                self._encodings_by_start.setdefault(start, {})[secret, encoded] = encoding_name
        self._references[secret] = reference
        self._references.move_to_end(secret)
        if holder:
            self._secrets_by_holder.setdefault(holder, set()).add(secret)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        """If there are too many secrets, forget those that were used longest ago, until at most `max_secrets`
        are left. Secrets that a holder (such as an open connection) still needs are kept, and not counted. If
        `max_secrets` is None, forget none."""
        if self.max_secrets is None or len(self._references) <= self.max_secrets:
            return
        needed = set().union(*self._secrets_by_holder.values())
        surplus = len(self._references) - len(needed) - self.max_secrets
        # `_references` maps each secret to its reference, in the order in which the secrets were used last.
        oldest_first = [secret for secret in self._references if secret not in needed]
        for secret in oldest_first[: max(0, surplus)]:
            del self._references[secret]
            for encoded, _ in _encode_in_all_ways(secret):
                start = encoded[:_INDEX_BYTES]
                names_of_encodings = self._encodings_by_start.get(start, {})
                names_of_encodings.pop((secret, encoded), None)
                if not names_of_encodings:
                    self._encodings_by_start.pop(start, None)
                    self._short_starts.discard(start)

    def _add_start(self, start: bytes) -> None:
        """Note the first bytes of an encoded form of a known secret, so that frames without them need not be
        searched. Fewer than _INDEX_BYTES bytes are kept in `_short_starts`. Longer ones are marked in
        `_marked_words`, a table in which all words (8 bytes) of a frame are looked up at once."""
        if len(start) < _INDEX_BYTES:
            self._short_starts.add(start)
            return
        if self._marked_words is None:
            # NumPy is not loaded for those who know no secret.
            from spatius_sim.trace.quick_secret_search import MarkedWords

            self._marked_words = MarkedWords()
        self._marked_words.mark(start)

    def _starts_to_search(self, raw: bytes) -> Collection[bytes]:
        """Return the keys of the index, which are the first bytes of encoded secrets, that may stand in a
        frame."""
        if self._marked_words is not None and self._marked_words.may_be_in(raw):
            return self._encodings_by_start
        return self._short_starts

    def _find_spans(self, raw: bytes, escape_layers: int) -> Iterator[_Span]:
        r"""Yield each place in the bytes at which a known secret stands. Also find secrets that are escaped
        (such as `%2F` or `\u002f`), up to `escape_layers` times, one escape within another. If there are too
        many escapes, yield the whole frame."""
        # A frame that holds an encoded secret holds its first bytes, which are a key of the index.
        for start in self._starts_to_search(raw):
            if start in raw:
                for (secret, encoded), encoding in self._encodings_by_start[start].items():
                    yield from (
                        _Span(index, index + len(encoded), secret, encoding)
                        for index in _find_encoded_secret(encoded, raw)
                    )
        if escape_layers and self._encodings_by_start and (b"%" in raw or b"\\" in raw):
            unescaped = _UnescapedText(raw)
            if unescaped.escape_count > _MAX_ESCAPES:
                yield _whole_frame(raw)
            elif unescaped.escape_count:
                for span in self._find_spans(unescaped.text, escape_layers - 1):
                    yield unescaped.find_span_in_frame(span)


def redact_text_fields(values: AnyDataclass, secrets: KnownSecrets) -> AnyDataclass:
    """Return a copy of a dataclass, such as an event, with stars in place of the known secrets in each field
    that is a text. Return the dataclass itself if no text holds a secret."""
    changed_texts = {}
    for name in _field_names(type(values)):  # type: ignore[arg-type]
        text = getattr(values, name)
        # Most texts of events are too short for a secret in any encoding.
        if type(text) is str and len(text) >= SHORTEST_SECRET:
            clean_text = secrets.redact_text(text)
            if clean_text is not text:
                changed_texts[name] = clean_text
    return replace(values, **changed_texts) if changed_texts else values  # type: ignore[type-var]


@cache
def _field_names(dataclass_type: type[Any]) -> tuple[str, ...]:
    """Return the names of all fields of this dataclass."""
    return tuple(each.name for each in fields(dataclass_type))


class _UnescapedText:
    """A frame with one layer of escapes decoded (`text`), so that known secrets can be found in it. It also
    tells the place in the frame for each place in `text`."""

    def __init__(self, raw: bytes) -> None:
        r"""Decode one layer of escapes (such as `%2F` or `\u002f`) in the frame `raw`, so that secrets behind
        them can be found. Remember where each escape stands, to translate places in the decoded text to
        places in the frame."""
        self._raw = raw
        self._starts: list[tuple[int, int]] = [(0, 0)]
        """Pairs (index in `text`, index in the frame): of each escape, and of the bytes after each escape."""
        text = bytearray()
        decoded_until = 0
        for escape in islice(_ESCAPE.finditer(raw), _MAX_ESCAPES + 1):
            text += raw[decoded_until : escape.start()]
            self._starts.append((len(text), escape.start()))
            text += _unescape(escape[0])
            decoded_until = escape.end()
            self._starts.append((len(text), decoded_until))
        self.text = bytes(text + raw[decoded_until:])
        self.escape_count = len(self._starts) // 2

    def find_span_in_frame(self, span: _Span) -> _Span:
        """Return the place in the frame of a known secret that was found in `text`, the frame with its
        escapes (such as `%2F`) decoded. `span` is its place in `text`: the first byte, the end, and the
        secret's encoding. If the encoding is "plain" (none), but escapes stand in the frame at this place, it
        becomes "URL-encoded" or "escaped"; any other encoding keeps its name."""
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
    r"""Return the bytes that one escape stands for: `%41` in a URL, `\x41` in Python, `\u0041` or `\n` in
    JSON. So secrets behind escapes are found."""
    if escape[:1] == b"%":
        return bytes.fromhex(escape[1:].decode())
    if escape[:2] == b"\\x":
        return bytes.fromhex(escape[2:].decode())
    return str(json.loads(b'"' + escape + b'"')).encode(errors="surrogatepass")


def _find_encoded_secret(encoded_secret: bytes, raw: bytes) -> Iterator[int]:
    """Yield each index in the bytes of a frame at which this encoded form of a known secret begins; places
    may overlap."""
    index = raw.find(encoded_secret)
    while index >= 0:
        yield index
        index = raw.find(encoded_secret, index + 1)


def _encode_in_all_ways(secret: str) -> list[tuple[bytes, str]]:
    """Return each form in which a secret may stand in a frame, with the name of the encoding, such as
    "base64" or "hex". The base64 of a secret depends on the bytes beside it, so it has several forms."""
    raw = secret.encode(errors="surrogatepass")
    name_by_encoded = {raw: "plain"}
    for case_name, secret_in_case in (("upper case", secret.upper()), ("lower case", secret.lower())):
        name_by_encoded.setdefault(secret_in_case.encode(errors="surrogatepass"), case_name)
    name_by_encoded.setdefault(raw.replace(b" ", b"+"), "URL-encoded")
    name_by_encoded.setdefault(raw.hex().encode(), "hex")
    name_by_encoded.setdefault(raw.hex().upper().encode(), "hex")
    # Base64 writes 3 bytes as 4 characters, so it depends on how many bytes (0, 1 or 2) of a group of 3 stand
    # before the secret.
    for bytes_before in range(3):
        base64 = b64encode(b"\0" * bytes_before + raw)
        # The characters at both ends depend on what stands beside the secret.
        start = -(-bytes_before * 8 // 6)
        fixed_part = base64[start : (bytes_before + len(raw)) * 8 // 6]
        name_by_encoded.setdefault(fixed_part, "base64")
        name_by_encoded.setdefault(fixed_part.translate(bytes.maketrans(b"+/", b"-_")), "base64")
    return list(name_by_encoded.items())
