"""The commands that ServerSession returns: what the server is to do at its sockets. A timer is a command too,
because the session has no clock."""

from dataclasses import dataclass

from spatius_sim.model.room.room_playback import RoomOutput
from spatius_sim.trace.events import Injected


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame; `answers` is the req_id of the request that it answers, "" if it answers none."""

    raw: bytes
    answers: str = ""


@dataclass(frozen=True, slots=True)
class SendText:
    """Send a text frame, on purpose: the protocol has only binary frames."""

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
    """Let the egress of the session join a room."""

    room: str
    publisher: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Hand audio or motion of a request over to the room, which plays it; `raw` is the envelope."""

    room: str
    raw: bytes
    req_id: str


@dataclass(frozen=True, slots=True)
class PlayInRoom:
    """Play this in the room now."""

    room: str
    outputs: tuple[RoomOutput, ...]


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call `handle_timer(name)` in `seconds`; this replaces a timer of the same name."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Inject:
    """Record in the trace that this fault happens now, on purpose."""

    fault: Injected


Output = Send | SendText | Close | ResetConnection | SendTruncated | Publish
"""The commands that send something: they keep their order."""

ServerCommand = Output | Join | PlayInRoom | SetTimer | Inject
