"""Random numbers without state: each is a function of the seed and of the name of what is drawn."""

from hashlib import blake2b

_DIGEST_BYTES = 64


def roll(seed: int, *draw_name: str | int) -> float:
    """Return a random number in [0, 1), always the same for this seed and this `draw_name`, which says for
    what the number is drawn."""
    digest = blake2b(repr((seed, *draw_name)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64


def noise(seed: int, count: int, *draw_name: str | int) -> bytes:
    """Return `count` random bytes, always the same for this seed and this `draw_name`, which says for what
    the bytes are drawn."""
    blocks = -(-count // _DIGEST_BYTES)
    random_bytes = b"".join(
        blake2b(repr((seed, block, *draw_name)).encode()).digest() for block in range(blocks)
    )
    return random_bytes[:count]
