"""What the brain of Motion Server tells its shell to do. Timers are commands too: the brain has no clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame; `answers` is the req_id that it answers, "" where it answers none."""

    raw: bytes
    answers: str = ""


@dataclass(frozen=True, slots=True)
class SendText:
    """Send a text frame, which the protocol does not know."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; code 0 sends a closing frame without a code."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class ResetConnection:
    """Reset the TCP connection."""


@dataclass(frozen=True, slots=True)
class SendTruncated:
    """Announce a frame of these bytes, send half of them, and end the TCP connection."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Join:
    """The session's egress joins a room."""

    room: str
    publisher: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Audio or motion of a request goes to the room, as the envelope that carries it."""

    room: str
    raw: bytes
    req_id: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call `timer(name)` in `seconds`; a timer of the same name is replaced."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Inject:
    """Write down that a fault of this kind happens now, on purpose."""

    fault: str


Output = Send | SendText | Close | ResetConnection | SendTruncated | Publish
"""What leaves a session in order."""

ServerCommand = Output | Join | SetTimer | Inject
