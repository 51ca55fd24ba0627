"""The choices that the rules leave to a relay, as values."""

from dataclasses import dataclass
from enum import Enum


class EndMark(Enum):
    """What carries the mark that ends the audio or the motion of a turn: its last chunk or payload, or a
    message of its own."""

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
    """The choices of one honest relay. The defaults are those of the plain relay."""

    greets: bool = True
    """Whether a client that connects is told the sample rates."""
    names_turns: bool = True
    """Whether audio and motion carry a turn id."""
    chatty: bool = False
    """Whether the client also gets notes that no rule asks for."""
    audio_start: AudioStart = AudioStart.AT_ONCE
    audio_chunk_bytes: int | None = None
    """The size of the chunks of audio that go to the client. If None, the client's own chunks go back to
    it."""
    audio_end: EndMark = EndMark.ON_ITS_OWN
    motion_start: MotionStart = MotionStart.AT_ONCE
    payloads_per_message: int = 1
    """How many payloads go into one message; the last message of a turn carries the rest."""
    motion_end: EndMark = EndMark.ON_LAST
    session_scope: SessionScope = SessionScope.TURN
    clip: bytes = b""
    """What the relay speaks when it is asked for a clip or for words: PCM at 16 kHz. It has no clip if this
    is empty."""
    attempts: int = 1
    """The most attempts to open a session before its turn fails."""
    gathers_speech: bool = False
    """Whether a client's speech goes on only when the client has ended it. An interrupt leaves what was said
    so far, and it goes on with the next turn."""
    pads_speech_to: int = 1
    """The speech that goes up is filled up with silence to a multiple of so many bytes."""
    ends_speech_after: float | None = None
    """After how many seconds without audio of its client a turn's speech is over. If None, the client says
    when."""
    silence_seconds: float = 1.5
    """How long Motion Server may be silent when the relay waits for a message. A relay in production would
    wait longer."""
