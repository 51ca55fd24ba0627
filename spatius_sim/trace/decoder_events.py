"""The events that a client decoder reports, among them discards, which AvatarKit does not report."""

from dataclasses import dataclass
from enum import StrEnum


class PlaybackState(StrEnum):
    """The state of the avatar's playback (docs:state-events)."""

    IDLE = "idle"
    PLAYING = "playing"
    PAUSED = "paused"


class StateReason(StrEnum):
    """Why the state of the playback changed (docs:state-events)."""

    USER_ACTION = "userAction"
    PLAYBACK_END = "playbackEnd"


class StarvationMode(StrEnum):
    """What audio does while its motion is missing (docs:sdk-capabilities)."""

    AUDIO_INDEPENDENT = "audioIndependent"
    """Audio goes on and motion catches up. This is the default."""
    STRICT_SYNC = "strictSync"
    """Audio stalls until motion comes, and the client says so."""


class DiscardReason(StrEnum):
    """Why the client discarded a payload."""

    MISMATCHED_ID = "mismatched id"
    NO_CONVERSATION = "no conversation"
    AUDIO_ONLY = "audio-only"
    INTERRUPTED = "interrupted"
    UNDECODABLE = "undecodable"


@dataclass(frozen=True, slots=True)
class ConversationStarted:
    """The client began a conversation."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class MotionTaken:
    """The client accepted a payload with this number of `keyframes`."""

    conversation_id: str
    keyframes: int


@dataclass(frozen=True, slots=True)
class MotionDiscarded:
    """The client discarded a payload that came with this `conversation_id`."""

    conversation_id: str
    reason: DiscardReason


@dataclass(frozen=True, slots=True)
class AudioOnlyEntered:
    """Empty motion came: this conversation is audio-only from now on (seed:002)."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state of the avatar's playback changed to `state`."""

    state: PlaybackState
    reason: StateReason


@dataclass(frozen=True, slots=True)
class StallChanged:
    """The audio stalls because motion is missing, or goes on again (strictSync only)."""

    conversation_id: str
    stalled: bool


DecoderEvent = (
    ConversationStarted | MotionTaken | MotionDiscarded | AudioOnlyEntered | StateChanged | StallChanged
)
