"""The events of a room, as somebody sees them who watches it, or who publishes to it."""

from dataclasses import dataclass
from enum import StrEnum


class TrackKind(StrEnum):
    """The kind of a track, with its source."""

    CAMERA = "camera"
    MICROPHONE = "microphone"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TrackSeen:
    """The publisher has a track of this kind."""

    publisher: str
    kind: TrackKind


@dataclass(frozen=True, slots=True)
class PacketSeen:
    """A packet of motion came out of the room's video, as these bytes."""

    publisher: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class SoundHeard:
    """Sound came out of the room: mono s16le at `sample_rate` Hz."""

    publisher: str
    pcm: bytes
    sample_rate: int


@dataclass(frozen=True, slots=True)
class PlaybackTold:
    """The publisher told the agent about its playback, by the RPC `method` with this `payload` (JSON)."""

    publisher: str
    method: str
    payload: str


@dataclass(frozen=True, slots=True)
class LeftRoom:
    """A session's egress left its room."""

    room: str
    publisher: str


@dataclass(frozen=True, slots=True)
class ViewerJoined:
    """Somebody began to watch the publisher."""

    viewer: str


@dataclass(frozen=True, slots=True)
class KeyFrameSeen:
    """The first key frame came to a viewer: from here on he sees the avatar."""

    viewer: str


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The network lost `packets` RTP packets of a track on their way to us, since we last looked."""

    kind: TrackKind
    packets: int


@dataclass(frozen=True, slots=True)
class DataSeen:
    """A data packet of `size` bytes was sent in the room. A packet of a stream names it; `head` says whether
    the packet is the stream's header."""

    sender: str
    size: int
    stream: str = ""
    head: bool = False


RoomEvent = (
    TrackSeen
    | PacketSeen
    | SoundHeard
    | PlaybackTold
    | LeftRoom
    | ViewerJoined
    | KeyFrameSeen
    | MediaLost
    | DataSeen
)
