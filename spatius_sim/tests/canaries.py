"""Distinctive secrets, every form in which each may be written, and where it is found all the same."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from spatius_sim.cli.show_tape import TapeFilter, show_tape
from spatius_sim.tape.reader import read_header, read_records
from spatius_sim.tape.tape_values import Content, TapedPiece, TapedRun

API_KEY = "canary-key/0123456789+A?"
SESSION_TOKEN = "canary-token.eyJzdWIiOiIxIn0/+x9"
BEARER = "canary-bearer-8f7e6d5c4b3a"
PASSWORD = "canary-pass&word=17"
COOKIE = "canary-cookie-5a6b7c8d9e"
LIVEKIT_KEY = "canary-livekit-key-APIx77"
LIVEKIT_SECRET = "canary/livekit+secret==41"
LIVEKIT_TOKEN = "canary.livekit.token-9Zx"
URL_PASSWORD = "canary-url-password-3Q"
URL_QUERY = "canary-url-query-61w"
ATTRIBUTE = "canary-attribute-77p"
AGORA_TOKEN = "canary-agora-007eJxTYB"
EXTRA = "canary-extra-param-12z"


def forms(secret: str) -> dict[str, str]:
    """The secret as it may be written, by a name of the form."""
    raw = secret.encode()
    units = secret.encode("utf-16-be")
    escaped = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    made = {
        "plain": secret,
        "URL": quote(secret, safe=""),
        "URL, small letters": re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        "URL, every character": "".join(f"%{byte:02X}" for byte in raw),
        "hex": raw.hex(),
        "upper case": secret.upper(),
        "lower case": secret.lower(),
        "HEX": raw.hex().upper(),
        "JSON": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "JSON, every character": escaped,
        "JSON, capitals": escaped.upper().replace("\\U", "\\u"),
    }
    for shift in range(3):
        beside = b"<" * shift + raw + b">" * (-(shift + len(raw)) % 3)
        for name, encode in (("base64", b64encode), ("base64 for URLs", urlsafe_b64encode)):
            made[f"{name}, {shift} before"] = encode(beside).decode()
    made["base64 with padding"] = b64encode(raw).decode()
    made["base64 without padding"] = b64encode(raw).decode().rstrip("=")
    return made


def sought(secret: str) -> dict[str, bytes]:
    """What must stand nowhere: each form, base64 without what its neighbours share."""
    return {
        name: (text.rstrip("=")[4:-4] if name.startswith("base64") else text).encode()
        for name, text in forms(secret).items()
    }


def leaks(secrets: Mapping[str, str], artefacts: Mapping[str, bytes]) -> list[tuple[str, str, str]]:
    """Which secret stands in which form in which artefact."""
    return [
        (artefact, kind, form)
        for artefact, raw in artefacts.items()
        for kind, secret in secrets.items()
        for form, text in sought(secret).items()
        if text in raw
    ]


def artefacts_of(path: Path) -> dict[str, bytes]:
    """A tape as it lies there, unpacked, and as it is shown."""
    return {
        "the file": path.read_bytes(),
        "the header": repr(read_header(path)).encode(),
        "the records": b"\n".join(_unpacked(path)),
        "tape show": "\n".join(show_tape(path, TapeFilter())).encode(),
    }


def _unpacked(path: Path) -> Iterable[bytes]:
    for record in read_records(path):
        if isinstance(record, TapedRun):
            yield repr(record).encode()
            continue
        for value in record.fields.values():
            if isinstance(value, Content):
                for part in value.parts:
                    content = part.content if isinstance(part, TapedPiece) else part
                    yield content if isinstance(content, bytes) else str(content).encode()
            else:
                yield str(value).encode()
