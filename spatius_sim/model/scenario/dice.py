"""Dice without state: every random choice of ours is a function of the seed and of what is drawn."""

from hashlib import blake2b


def roll(seed: int, *drawn: str | int) -> float:
    """Return a number in [0, 1), always the same one for this seed and this thing that is drawn."""
    digest = blake2b(repr((seed, *drawn)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64


def noise(seed: int, count: int, *drawn: str | int) -> bytes:
    """Return `count` random bytes, always the same ones for this seed and this thing that is drawn."""
    blocks = -(-count // 64)
    whole = b"".join(blake2b(repr((seed, block, *drawn)).encode()).digest() for block in range(blocks))
    return whole[:count]
