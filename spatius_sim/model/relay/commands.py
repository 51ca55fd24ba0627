"""What the relay brain orders; a shell carries the commands out, in their order."""

from dataclasses import dataclass

from spatius_sim.protocol.messages import Message
from spatius_sim.wires.events import RelayEvent


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this event to the client."""

    client: str
    event: RelayEvent


@dataclass(frozen=True, slots=True)
class ConnectUp:
    """Ask Motion Server for a token that lives `token_life` seconds, and open an upstream session with it.

    If `fresh` is false, the session is opened with the first token that was issued.
    """

    upstream: str
    token_life: int
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class SendUp:
    """Send this message to Motion Server on the upstream session."""

    upstream: str
    message: Message


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the upstream session, and end the watch over it. A session that is closed already stays so."""

    upstream: str


@dataclass(frozen=True, slots=True)
class WatchSilence:
    """Call `upstream_silent` when `seconds` have passed. It replaces an earlier watch over this session."""

    upstream: str
    seconds: float


RelayCommand = Tell | ConnectUp | SendUp | HangUp | WatchSilence
