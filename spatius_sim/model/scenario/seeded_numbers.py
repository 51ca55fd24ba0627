"""Random numbers without state: each is a function of the seed and of the name of what is drawn."""

from hashlib import blake2b

_DIGEST_BYTES = 64


def seeded_fraction(seed: int, *draw_name: str | int) -> float:
    """Return a random number in [0, 1). The same seed and `draw_name` always give the same number;
    `draw_name` says what it is for."""
    digest = blake2b(repr((seed, *draw_name)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64


def seeded_bytes(seed: int, byte_count: int, *draw_name: str | int) -> bytes:
    """Return `byte_count` random bytes. The same seed and `draw_name` always give the same bytes; `draw_name`
    says what they are for."""
    block_count = -(-byte_count // _DIGEST_BYTES)
    random_bytes = b"".join(
        blake2b(repr((seed, block_number, *draw_name)).encode()).digest()
        for block_number in range(block_count)
    )
    return random_bytes[:byte_count]
