"""Finds the turns in whose speech a piece of audio was spoken."""

from collections.abc import Iterable, Sequence

import numpy as np

from spatius_sim.story.turn_story import Turn

_FINGERPRINT_BYTES = 1600
"""How much of a piece of audio is compared."""
_KEY_BYTES = 8
_STRIDE = 32
"""A key of every 32nd byte of the speech is kept. 32 neighbouring keys of a piece hold one of them."""
_TOO_SHORT_TO_TELL = _STRIDE + _KEY_BYTES
"""Audio of fewer bytes does not show which turn it belongs to."""


class SpeechIndex:
    """The speech of all turns of a trace. A lookup costs the same however long the speech is."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = [(turn, _positions_by_key(turn.pcm)) for turn in turns]

    def find(self, audio: bytes, client: str | None = None) -> Turn | None:
        """Return the only turn whose speech contains this audio; None if no turn or several turns do. With
        `client`, only the turns of this client count."""
        found = self._find_all(audible_piece(audio), client)
        return found[0] if len(found) == 1 else None

    def find_first(self, audio: bytes) -> Turn | None:
        """Return the turn in which the first sound of this audio was spoken; None if that is not shown."""
        return self.find(audio.lstrip(b"\0")[:_FINGERPRINT_BYTES])

    def find_last(self, audio: bytes) -> Turn | None:
        """Return the turn in which the last sound of this audio was spoken; None if that is not shown."""
        return self.find(audio.rstrip(b"\0")[-_FINGERPRINT_BYTES:])

    def _find_all(self, piece: bytes, client: str | None) -> list[Turn]:
        """Return every turn (of this client; None: of all clients) whose speech contains this piece of audio;
        an empty list if the piece is too short to tell."""
        if len(piece) < _TOO_SHORT_TO_TELL:
            return []
        offsets = _offsets_by_key(piece)
        return [
            turn
            for turn, positions in self._turns
            if client in (None, turn.client) and _holds(turn.pcm, positions, piece, offsets)
        ]


def audible_piece(audio: bytes) -> bytes:
    """Return a piece from the middle of the audio or, if that is silent, from the first sound."""
    middle = len(audio) // 2 // 2 * 2
    piece = audio[max(0, middle - _FINGERPRINT_BYTES // 2) : middle + _FINGERPRINT_BYTES // 2]
    return piece if any(piece) else audio.lstrip(b"\0")[:_FINGERPRINT_BYTES]


def _positions_by_key(pcm: bytes) -> dict[int, int]:
    """Return the position of every 32nd byte of the speech, by the eight bytes that stand there."""
    keys = np.frombuffer(pcm, "<u8", len(pcm) // _KEY_BYTES)[:: _STRIDE // _KEY_BYTES]
    return dict(zip(keys.tolist(), range(0, len(pcm), _STRIDE), strict=False))


def _offsets_by_key(piece: bytes) -> dict[int, int]:
    """Return 32 neighbouring offsets in the piece without silence, by the eight bytes that stand there; an
    empty mapping if silence interrupts the piece everywhere."""
    for start in range(0, len(piece) - _TOO_SHORT_TO_TELL + 1, _STRIDE):
        offsets = range(start, start + _STRIDE)
        keys = {int.from_bytes(piece[at : at + _KEY_BYTES], "little"): at for at in offsets}
        if 0 not in keys:
            return keys
    return {}


def _holds(pcm: bytes, positions: dict[int, int], piece: bytes, offsets: dict[int, int]) -> bool:
    """Whether the speech contains the piece. If keys repeat or say nothing, the speech is searched."""
    shared: Sequence[int] = list(offsets.keys() & positions.keys())
    if offsets and not shared:
        return False
    return any(
        pcm.startswith(piece, positions[key] - offsets[key])
        for key in shared
        if positions[key] >= offsets[key]
    ) or (piece in pcm)
