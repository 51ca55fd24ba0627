"""What a client decoder says of itself: the discards that AvatarKit keeps to itself, too."""

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
    """Audio goes on and motion catches up: the default."""
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
    conversation_id: str


@dataclass(frozen=True, slots=True)
class MotionTaken:
    conversation_id: str
    keyframes: int


@dataclass(frozen=True, slots=True)
class MotionDiscarded:
    """One payload was discarded; `conversation_id` is the one that it was given with."""

    conversation_id: str
    reason: DiscardReason


@dataclass(frozen=True, slots=True)
class AudioOnlyEntered:
    """Empty motion came: this conversation is audio-only from here on (seed:002)."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: PlaybackState
    reason: StateReason


@dataclass(frozen=True, slots=True)
class StallChanged:
    """strictSync: the audio stalls because motion is missing, or goes on again."""

    conversation_id: str
    stalled: bool


DecoderEvent = (
    ConversationStarted | MotionTaken | MotionDiscarded | AudioOnlyEntered | StateChanged | StallChanged
)
