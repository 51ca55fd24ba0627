"""Agora's tokens, as its published builders write them, are read, and what is wrong with them is told."""

import hashlib
import hmac
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.agora_token import MAX_TOKEN_BYTES, find_agora_token_fault, read_agora_token
from spatius_sim.protocol.errors import RemoteProtocolError

APP, CERTIFICATE, CHANNEL, UID = "a" * 32, "c" * 32, "channel", "7"
NOW = 1_760_000_000
HOUR = 3600
ALL = {1: HOUR, 2: HOUR, 3: HOUR, 4: HOUR}


def text(raw: bytes) -> bytes:
    return struct.pack("<H", len(raw)) + raw


def table(privileges: dict[int, int]) -> bytes:
    rows = (struct.pack("<HI", *row) for row in sorted(privileges.items()))
    return struct.pack("<H", len(privileges)) + b"".join(rows)


def token_006(privileges: dict[int, int], life: int = HOUR, channel: str = CHANNEL, uid: str = UID) -> str:
    until = {name: NOW + seconds for name, seconds in privileges.items()}
    message = struct.pack("<II", 99, NOW + life) + table(until)
    signed = APP.encode() + channel.encode() + uid.encode() + message
    signature = hmac.digest(CERTIFICATE.encode(), signed, hashlib.sha256)
    sums = struct.pack("<II", zlib.crc32(channel.encode()), zlib.crc32(uid.encode()))
    return "006" + APP + b64encode(text(signature) + sums + text(message)).decode()


def token_007(
    privileges: dict[int, int], life: int = HOUR, channel: str = CHANNEL, uid: str = UID, before: bytes = b""
) -> str:
    services = before + struct.pack("<H", 1) + table(privileges) + text(channel.encode()) + text(uid.encode())
    count = 2 if before else 1
    info = text(APP.encode()) + struct.pack("<IIIH", NOW, life, 99, count) + services
    return pack_007(info)


def pack_007(info: bytes) -> str:
    key = hmac.digest(struct.pack("<I", NOW), CERTIFICATE.encode(), hashlib.sha256)
    key = hmac.digest(struct.pack("<I", 99), key, hashlib.sha256)
    return "007" + b64encode(zlib.compress(text(hmac.digest(key, info, hashlib.sha256)) + info)).decode()


MAKERS: dict[str, Callable[..., str]] = {"006": token_006, "007": token_007}
RTM = struct.pack("<H", 2) + table({1: HOUR}) + text(b"user")


@pytest.mark.parametrize("version", MAKERS)
@pytest.mark.parametrize(
    ("changes", "when", "certificate", "fault"),
    [
        ({}, NOW, CERTIFICATE, ""),
        ({}, NOW, "", ""),
        ({"uid": "0"}, NOW, "", ""),
        ({"channel": "another"}, NOW, "", "another channel"),
        ({"uid": "8"}, NOW, "", "another uid"),
        ({"life": -1}, NOW, "", "has expired"),
        ({}, NOW + 2 * HOUR, "", "has expired"),
        ({"privileges": {1: HOUR, 2: HOUR}}, NOW, "", "no right to publish video"),
        ({"privileges": ALL | {2: 1}}, NOW + 5, "", "to publish sound has expired"),
        ({}, NOW, "another", "not signed by the certificate"),
    ],
)
def test_a_token_lets_in_or_says_why_not(
    version: str, changes: dict[str, Any], when: int, certificate: str, fault: str
) -> None:
    if changes.get("life") == -1 and version == "007":
        changes = {"life": 0}
    written = MAKERS[version](**({"privileges": ALL} | changes))
    token = read_agora_token(written)
    assert (token.version, token.app_id) == (version, APP)
    found = find_agora_token_fault(token, CHANNEL, UID, when, certificate)
    assert fault in found
    assert bool(found) is bool(fault)
    assert "signature" not in repr(token)


def test_other_services_stand_beside_the_channel() -> None:
    assert read_agora_token(token_007(ALL, before=RTM)).channel == CHANNEL


def info_with(services: bytes, count: int = 1) -> str:
    return pack_007(text(APP.encode()) + struct.pack("<IIIH", NOW, HOUR, 99, count) + services)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("junk", "none of version 006 or 007"),
        ("007" + "A" * 5000, "longer than"),
        ("006" + APP, "cut off"),
        ("006short", "cut off"),
        ("006" + APP + "no base64!", "cannot be read: Error"),
        ("007" + b64encode(b"no deflate").decode(), "cannot be read: error"),
        ("007" + b64encode(zlib.compress(bytes(MAX_TOKEN_BYTES + 1))).decode(), "inflates to more"),
        (info_with(struct.pack("<H", 99) + table({})), "unknown type 99"),
        (info_with(RTM), "for no channel"),
        (info_with(struct.pack("<H", 2) + table({}) + text(b"\xff")), "UnicodeDecodeError"),
        (token_007(ALL)[:40], "cannot be read|cut off"),
    ],
)
def test_what_is_no_token_is_told_without_it(written: str, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told) as refused:
        read_agora_token(written)
    assert written not in str(refused.value) or written == "junk"


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: "007" + b64encode(raw).decode()))
def test_any_text_is_a_token_or_refused(written: str) -> None:
    with suppress(RemoteProtocolError):
        assert read_agora_token(written).version in MAKERS
