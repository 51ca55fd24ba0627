"""How a client behaves in a turn: what it does, and at which moment of the turn (its cue)."""

from dataclasses import dataclass
from enum import StrEnum


class TurnProgress(StrEnum):
    """How much of a turn a client has received."""

    NOTHING = "at once"
    AUDIO = "once its first audio has come"
    MOTION = "once its first motion has come"
    LAST_AUDIO = "once its audio has come to its end"
    ALL = "once both halves have come"


@dataclass(frozen=True, slots=True)
class Cue:
    """The moment of a turn at which a client does what its `Behaviour` says. First the client sends `chunks`
    chunks of its audio (None: all, and the end mark). Then it waits until it has `heard` this much of the
    turn, or until the kit's wait ends."""

    chunks: int | None = None
    heard: TurnProgress = TurnProgress.ALL

    def __str__(self) -> str:
        """Return in words the moment of a turn at which the client interrupts, hangs up, and so on."""
        spoken = (
            "" if self.chunks is None else f"after {self.chunks} chunk{'' if self.chunks == 1 else 's'}, "
        )
        return f"{spoken}{self.heard}"


WHOLE_TURN = Cue()
"""The client sends all its audio and lets the relay finish."""


class Behaviour(StrEnum):
    """What a client does at the moment that its cue names."""

    GO_ON = "cut off by what follows"
    INTERRUPT = "interrupted"
    INTERRUPT_TWICE = "interrupted twice"
    HANG_UP = "hung up on"
    VANISH = "its connection cut"


class MalformedInput(StrEnum):
    """Input of a client that no relay can understand."""

    TEXT = "text that is not a message"
    BINARY = "binary that is not a message"
    EMPTY = "an empty text and an empty binary frame"
    HALF = "half a message"
    OTHER_TYPES = "messages with values of other types"
    UNKNOWN = "messages of unknown types"
    DEEP = "a deeply nested message"
    LARGE = "a message of 256 kB"
    OUT_OF_PLACE = "an end mark and an interrupt where nothing was said"
    BROKEN_FRAME = "a WebSocket frame that breaks its protocol"
