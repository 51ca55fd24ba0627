"""The messages of the wire as frozen values (protocol.md section 2)."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from spatius_sim.protocol.keyframes import Keyframes


class AudioFormat(IntEnum):
    PCM_S16LE = 0
    OGG_OPUS = 1


class EgressType(IntEnum):
    UNSPECIFIED = 0
    """Motion comes back on the socket that the audio went up."""
    LIVEKIT = 1
    AGORA = 2


@dataclass(frozen=True, slots=True)
class LiveKitEgress:
    """Where a LiveKit room is; credentials stay out of every repr."""

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
    """Where an Agora channel is; the token stays out of every repr."""

    channel_name: str = ""
    token: str = field(default="", repr=False)
    uid: int = 0
    publisher_id: str = ""


@dataclass(frozen=True, slots=True)
class ConfigureSession:
    """The client's first message. `sample_rate` in Hz, `bitrate` in bit/s (0 for PCM)."""

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
    """The server's answer to a valid configuration."""

    connection_id: str


@dataclass(slots=True, unsafe_hash=True)
class AudioInput:
    """A piece of one request's audio; the last one of a request has `end` (its audio may be empty).

    As little to be changed as the others; a frozen one takes seven times as long to make, and ten are made
    for every second of speech."""

    req_id: str
    audio: bytes = b""
    end: bool = False
    traceparent: str = ""
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class ServerError:
    connection_id: str = ""
    req_id: str = ""
    code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MotionResponse:
    """One payload of motion. `keyframes` has shape (n, 120); `shape_fault` names the first keyframe whose
    fields were not in their sizes, "" where all were."""

    connection_id: str
    req_id: str
    end: bool
    keyframes: Keyframes
    shape_fault: str = ""

    def __eq__(self, other: object) -> bool:
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
    req_id: str


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that the protocol does not name (0, 6, or above 7)."""

    type: int


ClientMessage = ConfigureSession | AudioInput | Interrupt
ServerMessage = ConfirmSession | ServerError | MotionResponse
Message = ClientMessage | ServerMessage | UnknownMessage
