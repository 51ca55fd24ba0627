"""Motion Server's messages as frozen values (protocol.md section 2)."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from spatius_sim.protocol.keyframes import Keyframes


class AudioFormat(IntEnum):
    """The formats of audio that a session may configure."""

    PCM_S16LE = 0
    OGG_OPUS = 1


class PlaybackPhase(IntEnum):
    """Where the playback of a request in a room stands (spatialreal)."""

    UNKNOWN = 0
    PLAYING = 1
    PAUSED = 2
    ENDED = 3
    INTERRUPTED = 4


class EgressType(IntEnum):
    """The ways in which Motion Server may return motion."""

    UNSPECIFIED = 0
    """Motion comes back on the socket on which the audio went up."""
    LIVEKIT = 1
    AGORA = 2


@dataclass(frozen=True, slots=True)
class LiveKitEgress:
    """The LiveKit room that motion goes to; credentials stay out of every repr."""

    url: str = ""
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    api_token: str = field(default="", repr=False)
    room_name: str = ""
    publisher_id: str = ""
    extra_attributes: tuple[tuple[str, str], ...] = ()
    idle_timeout: int = 0


@dataclass(frozen=True, slots=True)
class AgoraEgress:
    """The Agora channel that motion goes to; the token stays out of every repr."""

    channel_name: str = ""
    token: str = field(default="", repr=False)
    uid: int = 0
    publisher_id: str = ""


@dataclass(frozen=True, slots=True)
class ConfigureSession:
    """The client's first message. `sample_rate` is in Hz, `bitrate` in bit/s (0 for PCM)."""

    sample_rate: int
    bitrate: int = 0
    audio_format: int = AudioFormat.PCM_S16LE
    transport_compression: int = 0
    egress_type: int = EgressType.UNSPECIFIED
    livekit_egress: LiveKitEgress | None = None
    agora_egress: AgoraEgress | None = None
    extra_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ConfirmSession:
    """The server's answer to a valid configuration. `capabilities` are what it can do beyond the public
    protocol, by name (spatialreal)."""

    connection_id: str
    capabilities: tuple[str, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class AudioInput:
    """A piece of one request's audio; the last piece has `end` (its audio may be empty).

    Do not change an AudioInput after it is made. The class is not frozen, because a frozen instance takes
    seven times as long to make, and ten are made for every second of speech."""

    req_id: str
    audio: bytes = b""
    end: bool = False
    traceparent: str = ""
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class ServerError:
    """Motion Server reports an error of a session, or of one of its requests."""

    connection_id: str = ""
    req_id: str = ""
    code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MotionResponse:
    """One payload of motion. `keyframes` has shape (n, 120). `shape_fault` names the first field with a
    wrong number of values, and its keyframe; "" if there is none."""

    connection_id: str
    req_id: str
    end: bool
    keyframes: Keyframes
    shape_fault: str = ""

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is a message of motion with equal ids, end mark, fault and keyframes. A NaN
        in the keyframes equals a NaN."""
        return (
            isinstance(other, MotionResponse)
            and (self.connection_id, self.req_id, self.end, self.shape_fault)
            == (other.connection_id, other.req_id, other.end, other.shape_fault)
            and np.array_equal(self.keyframes, other.keyframes, equal_nan=True)
        )

    def __hash__(self) -> int:
        return hash((self.connection_id, self.req_id, self.end, len(self.keyframes)))


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The client drops one request."""

    req_id: str


@dataclass(frozen=True, slots=True)
class Pause:
    """The client pauses the playback of a request in its room (spatialreal)."""

    req_id: str


@dataclass(frozen=True, slots=True)
class Resume:
    """The client lets the playback of a request go on from where it was paused (spatialreal)."""

    req_id: str


@dataclass(frozen=True, slots=True)
class PlaybackNews:
    """The server tells where the playback of a request stands: `phase` (PlaybackPhase), and the milliseconds
    that were played. `reason` says why it was interrupted (spatialreal)."""

    connection_id: str
    req_id: str
    phase: int
    played_ms: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that the protocol does not name (0, 6, or above 10)."""

    type: int


ClientMessage = ConfigureSession | AudioInput | Interrupt | Pause | Resume
ServerMessage = ConfirmSession | ServerError | MotionResponse | PlaybackNews
Message = ClientMessage | ServerMessage | UnknownMessage
