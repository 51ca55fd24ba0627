"""Makes ids as Motion Server and the SDKs write them: `20251223042742_Oja7E-8NzYGi` (protocol.md section
2)."""

from datetime import UTC, datetime

NANOID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"
NANOID_LENGTH = 12
_SIX_BITS = 63
"""The mask that makes an index into the 64 characters of NANOID_ALPHABET."""


def make_log_id(unix_seconds: float, random_bytes: bytes) -> str:
    """Return an id as Motion Server writes it: the time in UTC as `YYYYMMDDHHMMSS_`, and 12 characters, one
    for each of the 12 `random_bytes`. Raises ValueError for another number of bytes."""
    if len(random_bytes) != NANOID_LENGTH:
        raise ValueError(f"an id takes {NANOID_LENGTH} random bytes, not {len(random_bytes)}")
    timestamp = datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y%m%d%H%M%S")
    return f"{timestamp}_{''.join(NANOID_ALPHABET[byte & _SIX_BITS] for byte in random_bytes)}"
