"""Finds known secrets in live bytes, plain, base64 or URL-encoded, and takes them out."""

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote

_TOO_SHORT_TO_FIND = 8
_START = 8


@dataclass(slots=True)
class KnownSecrets:
    """The secrets of a run by reference (`key#1`, `token#2`); the references are all that a trace sees."""

    _references: dict[str, str] = field(default_factory=dict)
    _by_start: dict[bytes, dict[tuple[str, bytes], str]] = field(default_factory=dict)
    """How each form is written, by its first bytes: session tokens begin alike, and a run knows hundreds."""
    _kinds: dict[str, int] = field(default_factory=dict)

    def reference(self, kind: str, secret: str) -> str:
        """The reference of a secret; a new one is learnt from here on."""
        known = self._references.get(secret)
        if known is not None:
            return known
        number = self._kinds[kind] = self._kinds.get(kind, 0) + 1
        name = self._references[secret] = f"{kind}#{number}"
        if len(secret) >= _TOO_SHORT_TO_FIND:
            for form, how in _forms(secret):
                self._by_start.setdefault(form[:_START], {})[name, form] = how
        return name

    def forget(self, name: str) -> None:
        """The secret of that reference is none any more."""
        forgotten = [secret for secret, known in self._references.items() if known == name]
        for form, _ in [pair for secret in forgotten for pair in _forms(secret)]:
            alike = self._by_start.get(form[:_START], {})
            alike.pop((name, form), None)
            if not alike:
                self._by_start.pop(form[:_START], None)
        self._references = {secret: known for secret, known in self._references.items() if known != name}

    def known(self, secret: str) -> str:
        """The reference of a secret that is known already, else ""."""
        return self._references.get(secret, "")

    def lengths(self) -> dict[str, int]:
        """How many characters each referenced secret has."""
        return {name: len(secret) for secret, name in self._references.items()}

    def redact(self, raw: bytes) -> tuple[bytes, list[tuple[str, str]]]:
        """The bytes without the secrets, and what was found: (reference, how it was written)."""
        found: list[tuple[str, str]] = []
        for start, forms in self._by_start.items():
            if start not in raw:
                continue
            for (name, form), how in forms.items():
                if form in raw:
                    found.append((name, how))
                    raw = raw.replace(form, b"*" * len(form))
        return raw, found


def _forms(secret: str) -> list[tuple[bytes, str]]:
    forms = {secret.encode(): "plain"}
    forms.setdefault(quote(secret, safe="").encode(), "URL-encoded")
    for shift in range(3):
        encoded = b64encode(b"\0" * shift + secret.encode())
        # The characters at both ends depend on what stands beside the secret.
        start = -(-shift * 8 // 6)
        sure = encoded[start : (shift + len(secret.encode())) * 8 // 6]
        forms.setdefault(sure, "base64")
        forms.setdefault(sure.translate(bytes.maketrans(b"+/", b"-_")), "base64")
    return list(forms.items())
