"""A reader of tapes written from fixtures/README.md alone: it imports nothing of this project."""

import hashlib
import struct
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgpack
import xxhash


def noise(mark: dict[str, Any]) -> bytes:
    length = mark["length"]
    raw = hashlib.shake_128(mark["hash"]).digest(length)
    out = bytearray()
    for index in range(length // 2):
        (sample,) = struct.unpack_from("<h", raw, 2 * index)
        window = index // 640
        if window < len(mark["levels"]):
            level = struct.unpack("<f", struct.pack("<f", mark["levels"][window] / 255))[0]
            sample = int(struct.unpack("<f", struct.pack("<f", sample * level))[0])
        out += struct.pack("<h", sample)
    return bytes(out) + raw[length // 2 * 2 :]


def joined(content: list[Any], blobs: dict[int, bytes]) -> str | bytes:
    text, *parts = content
    whole = b""
    for part in parts:
        inner = part[0] if isinstance(part, list) else part
        if isinstance(inner, int):
            piece = blobs[inner]
        elif isinstance(inner, dict):
            piece = noise(inner)
        else:
            piece = inner.encode() if isinstance(inner, str) else inner
        whole += b64encode(piece) if isinstance(part, list) else piece
    return whole.decode() if text else whole


def read(path: Path) -> tuple[dict[str, Any], list[Any], dict[str, int]]:
    """The header, the records with their contents joined, and the footer."""
    stored, place, before = path.read_bytes(), 0, 0
    header: dict[str, Any] = {}
    records: list[Any] = []
    blobs: dict[int, bytes] = {}
    while True:
        array, name, uint64, checksum, bin32, length = struct.unpack_from(">2s4sBQBI", stored, place)
        assert (array, uint64, bin32) == (b"\x93\xa4", 0xCF, 0xC6)
        body = stored[place + 20 : place + 20 + length]
        before = xxhash.xxh3_64_intdigest(name + struct.pack(">I", length) + body, seed=before)
        assert before == checksum
        place += 20 + length
        if name == b"TAPE":
            header = msgpack.unpackb(body)
        elif name == b"BLOB":
            blobs[int.from_bytes(body[:8], "big")] = body[8:]
        elif name == b"DATA":
            first, contents, stored_records = msgpack.unpackb(body)
            blobs |= dict(enumerate(contents, first))
            for record in stored_records:
                if record[0] == "event":
                    fields = {
                        name: joined(value, blobs) if isinstance(value, list) else value
                        for name, value in record[5].items()
                    }
                    records.append([*record[:5], fields])
                else:
                    records.append(record)
        else:
            assert (name, place) == (b"DONE", len(stored))
            return header, records, msgpack.unpackb(body)
