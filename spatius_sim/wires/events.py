"""What a relay tells its client, and what a client tells its relay, on any wire."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """The relay greets its client. Rates are in Hz, 0 if the relay does not say them."""

    session_id: str = ""
    output_sample_rate: int = 0
    input_sample_rate: int = 0


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of the avatar's speech; `last` marks the end of the speech (the piece may then be empty)."""

    pcm: bytes
    last: bool = False
    turn_id: str = ""


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion payloads, each a whole envelope as Motion Server sent it."""

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
    """A message that the wire knows and that no rule of the kit needs (`status`, `pong`, `transcript`
    ...)."""

    kind: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The relay sent a frame that the wire does not know; `reason` says why."""

    reason: str


RelayEvent = Ready | Audio | Motion | Interrupted | Failed | Note | NotUnderstood


@dataclass(frozen=True, slots=True)
class Start:
    """The client's first message, on wires that have one: the rate in Hz of the audio that it will send."""

    sample_rate: int
    avatar_id: str = ""


@dataclass(frozen=True, slots=True)
class Speak:
    """The client sends audio that the avatar is to speak: PCM mono s16le at the relay's input rate. `last`
    says that the audio is complete."""

    pcm: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class SpeakEnd:
    """The client says that the audio to be spoken is complete."""


@dataclass(frozen=True, slots=True)
class PlayClip:
    """The client asks the relay to speak a clip that is stored on the relay."""

    clip: str


@dataclass(frozen=True, slots=True)
class Say:
    """The client asks the relay to speak these words."""

    words: str


@dataclass(frozen=True, slots=True)
class InterruptTurn:
    """The client asks the relay to stop the turn that is under way."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """The client sent a frame that a relay cannot understand; `reason` says why."""

    reason: str


ClientAction = Start | Speak | SpeakEnd | PlayClip | Say | InterruptTurn | Note | Unclear

Frame = str | bytes
"""A text frame or a binary frame."""
