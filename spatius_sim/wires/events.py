"""What a relay tells its client, and what a client tells its relay, whatever the wire."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """The relay's greeting; rates in Hz, 0 where it does not say."""

    session_id: str = ""
    output_sample_rate: int = 0
    input_sample_rate: int = 0


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of the avatar's speech; `last` marks the end of it (the piece may then be empty)."""

    pcm: bytes
    last: bool = False
    turn_id: str = ""


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion payloads, each one whole envelope as Motion Server sent it."""

    payloads: tuple[bytes, ...]
    last: bool = False
    turn_id: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The relay dropped the turn that was under way."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The relay says that something failed."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message that the wire knows and the kit has no use for (`status`, `pong`, `transcript` ...)."""

    kind: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A message that the wire does not know, and why."""

    reason: str


RelayEvent = Ready | Audio | Motion | Interrupted | Failed | Note | NotUnderstood


@dataclass(frozen=True, slots=True)
class Start:
    """What a client says first, where the wire wants it: the rate in Hz of the audio that it will send."""

    sample_rate: int
    avatar_id: str = ""


@dataclass(frozen=True, slots=True)
class Speak:
    """Audio that the avatar is to speak: PCM mono s16le at the relay's input rate; `last`: all."""

    pcm: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class SpeakEnd:
    """The audio to be spoken is complete."""


@dataclass(frozen=True, slots=True)
class PlayClip:
    """Speak a clip that lies on the relay."""

    clip: str


@dataclass(frozen=True, slots=True)
class Say:
    """Speak these words."""

    words: str


@dataclass(frozen=True, slots=True)
class InterruptTurn:
    """Stop the turn that is under way."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A client message that a relay cannot understand, and why."""

    reason: str


ClientAction = Start | Speak | SpeakEnd | PlayClip | Say | InterruptTurn | Note | Unclear

Frame = str | bytes
"""A text frame or a binary one."""
