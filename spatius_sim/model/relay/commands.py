"""The commands that PlainRelay returns: what the program around it is to do at its sockets, in this order."""

from dataclasses import dataclass

from spatius_sim.protocol.messages import Message
from spatius_sim.wires.events import RelayEvent


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this event to the client."""

    client_id: str
    event: RelayEvent


@dataclass(frozen=True, slots=True)
class ConnectUp:
    """Request a token that is valid for `token_life` seconds, and open an upstream session with it.

    If `fresh` is false, no token is requested: the session is opened with the first token that was issued.
    """

    session_id: str
    token_life: int
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class SendUp:
    """Send this message to Motion Server on the upstream session."""

    session_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the upstream session, and stop watching it. Does nothing if the session is closed already."""

    session_id: str


@dataclass(frozen=True, slots=True)
class WatchSilence:
    """Call the relay's `on_server_silent` when `seconds` have passed. This replaces an earlier WatchSilence
    of the same upstream session."""

    session_id: str
    seconds: float


RelayCommand = Tell | ConnectUp | SendUp | HangUp | WatchSilence
