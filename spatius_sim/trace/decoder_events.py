"""What a client decoder reports: also the discards that AvatarKit does not report."""

from dataclasses import dataclass
from enum import StrEnum


class PlaybackState(StrEnum):
    """What the avatar does (docs:state-events)."""

    IDLE = "idle"
    PLAYING = "playing"
    PAUSED = "paused"


class StateReason(StrEnum):
    """Why the state changed (docs:state-events)."""

    USER_ACTION = "userAction"
    PLAYBACK_END = "playbackEnd"


class StarvationMode(StrEnum):
    """What audio does while its motion is missing (docs:sdk-capabilities)."""

    AUDIO_INDEPENDENT = "audioIndependent"
    """Audio goes on and motion catches up. This is the default."""
    STRICT_SYNC = "strictSync"
    """Audio stalls until motion comes, and the client says so."""


class DiscardReason(StrEnum):
    """Why a payload changed nothing."""

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
    """The client took a payload of so many keyframes."""

    conversation_id: str
    keyframes: int


@dataclass(frozen=True, slots=True)
class MotionDiscarded:
    """A payload was discarded. It was given with this `conversation_id`."""

    conversation_id: str
    reason: DiscardReason


@dataclass(frozen=True, slots=True)
class AudioOnlyEntered:
    """Empty motion came: this conversation is audio-only from here on (seed:002)."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The avatar does something else now."""

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
