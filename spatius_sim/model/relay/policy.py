"""What the rules leave open to a relay, as values."""

from dataclasses import dataclass
from enum import Enum


class EndMark(Enum):
    """What carries the mark that ends the audio or the motion of a turn."""

    ON_LAST = "the last chunk or payload"
    ON_ITS_OWN = "a message that carries nothing else"


class AudioStart(Enum):
    """When a client begins to get the audio of a turn."""

    AT_ONCE = "as soon as there is audio"
    WHEN_CONFIRMED = "when Motion Server has confirmed the session, or has failed"


class MotionStart(Enum):
    """When a client begins to get the motion of a turn."""

    AT_ONCE = "as soon as there is motion"
    AFTER_AUDIO = "when all audio of the turn has been sent"


class SessionScope(Enum):
    """What an upstream session is opened for."""

    TURN = "one turn"
    CLIENT = "all turns of a client"


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """How one honest relay differs from another. The default is the plain relay."""

    greets: bool = True
    """Whether a client that connects is told the sample rates."""
    names_turns: bool = True
    """Whether audio and motion carry a turn id."""
    chatty: bool = False
    """Whether the client also gets notes that no rule knows."""
    audio_start: AudioStart = AudioStart.AT_ONCE
    audio_chunk_bytes: int | None = None
    """The size of the chunks that go down. If it is None, the client's own chunks go down."""
    audio_end: EndMark = EndMark.ON_ITS_OWN
    motion_start: MotionStart = MotionStart.AT_ONCE
    payloads_per_message: int = 1
    """How many payloads are batched; the last message of a turn carries what is left."""
    motion_end: EndMark = EndMark.ON_LAST
    session_scope: SessionScope = SessionScope.TURN
    attempts: int = 1
    """How often at most a session is asked for before its turn fails."""
    silence_seconds: float = 1.5
    """How long Motion Server may be silent when it is due. A relay in production would wait longer."""
