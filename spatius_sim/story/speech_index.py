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
        found = self._find_turns(find_audible_piece(audio), client)
        return found[0] if len(found) == 1 else None

    def find_first(self, audio: bytes) -> Turn | None:
        """Return the turn in which the first sound of this audio was spoken; None if that is not shown."""
        return self.find(audio.lstrip(b"\0")[:_FINGERPRINT_BYTES])

    def find_last(self, audio: bytes) -> Turn | None:
        """Return the turn in which the last sound of this audio was spoken; None if that is not shown."""
        return self.find(audio.rstrip(b"\0")[-_FINGERPRINT_BYTES:])

    def _find_turns(self, piece: bytes, client: str | None) -> list[Turn]:
        """Return all turns in whose speech this piece of audio was spoken; if `client` is given, only turns
        of this client. Return [] if the piece is too short to tell turns apart."""
        if len(piece) < _TOO_SHORT_TO_TELL:
            return []
        offsets = _offsets_by_key(piece)
        return [
            turn
            for turn, positions in self._turns
            if client in (None, turn.client) and _contains_piece(turn.pcm, positions, piece, offsets)
        ]


def find_audible_piece(audio: bytes) -> bytes:
    """Return a piece of the audio by which SpeechIndex can find its turn: from the middle or, if the middle
    is silent, from the first sound on. Return b"" if all is silent."""
    middle = len(audio) // 2 // 2 * 2
    piece = audio[max(0, middle - _FINGERPRINT_BYTES // 2) : middle + _FINGERPRINT_BYTES // 2]
    return piece if any(piece) else audio.lstrip(b"\0")[:_FINGERPRINT_BYTES]


def _positions_by_key(pcm: bytes) -> dict[int, int]:
    """Return every 32nd position in the speech, by its key: the eight bytes that stand there."""
    keys = np.frombuffer(pcm, "<u8", len(pcm) // _KEY_BYTES)[:: _STRIDE // _KEY_BYTES]
    return dict(zip(keys.tolist(), range(0, len(pcm), _STRIDE), strict=False))


def _offsets_by_key(piece: bytes) -> dict[int, int]:
    """Return 32 neighbouring offsets in a piece of speech, by key. A key is eight bytes of speech, read as a
    number; an offset is the place in the piece at which they begin. The index has a key of every 32nd byte of
    a turn's speech, so one of the 32 offsets can meet a key there.

    Take the first 32 offsets of which no key is silent (eight zero bytes). Return {} if there are none."""
    for start in range(0, len(piece) - _TOO_SHORT_TO_TELL + 1, _STRIDE):
        offsets = range(start, start + _STRIDE)
        keys = {int.from_bytes(piece[offset : offset + _KEY_BYTES], "little"): offset for offset in offsets}
        if 0 not in keys:
            return keys
    return {}


def _contains_piece(
    pcm: bytes, speech_positions: dict[int, int], piece: bytes, piece_offsets: dict[int, int]
) -> bool:
    """Return whether the speech `pcm` contains this piece of audio. Some keys (eight bytes of sound, as a
    number) of both are indexed: `speech_positions` and `piece_offsets` say at which byte each key begins. A
    key that occurs in both shows where in the speech the piece may begin.

    If the keys of the piece do not occur in the speech, the answer is no. If the piece begins at none of the
    places that the keys show, search the whole speech."""
    if piece_offsets and speech_positions.keys().isdisjoint(piece_offsets):
        return False
    shared_keys: Sequence[int] = list(piece_offsets.keys() & speech_positions.keys())
    return any(
        pcm.startswith(piece, speech_positions[key] - piece_offsets[key])
        for key in shared_keys
        if speech_positions[key] >= piece_offsets[key]
    ) or (piece in pcm)
