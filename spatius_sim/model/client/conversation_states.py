"""Two tables that say what audio and motion do to a conversation (protocol.md section 3).

Audio: the very first audio starts a conversation, and so does non-empty audio after an end mark. All other
audio belongs to the current conversation. Motion: it is taken only for the current conversation, and only if
this is not audio-only. Empty motion with the current id makes the conversation audio-only."""

from enum import Enum

from spatius_sim.trace.decoder_events import DiscardReason


class AudioState(Enum):
    """How far the current conversation's audio has come."""

    NONE = "none yet"
    PLAYED_OR_INTERRUPTED = "played or interrupted"
    OPEN = "open"
    COMPLETE = "complete"


class MotionTarget(Enum):
    """The conversation for which motion comes, by the conversation id that comes with the motion."""

    CURRENT = "current"
    AUDIO_ONLY = "audio-only"
    INTERRUPTED = "interrupted"
    FOREIGN = "foreign"
    NOTHING_CURRENT = "nothing current"


class MotionInput(Enum):
    """What comes as motion: a list of payloads, or an empty list or no list."""

    PAYLOADS = "payloads"
    NOTHING = "nothing"


class MotionAction(Enum):
    """What the client does with motion that it does not discard."""

    TAKE = "take"
    SWITCH = "switch to audio-only"


STARTS_CONVERSATION: dict[tuple[AudioState, bool], bool] = {
    (AudioState.NONE, True): True,
    (AudioState.NONE, False): True,
    (AudioState.PLAYED_OR_INTERRUPTED, True): True,
    (AudioState.PLAYED_OR_INTERRUPTED, False): False,
    (AudioState.OPEN, True): False,
    (AudioState.OPEN, False): False,
    (AudioState.COMPLETE, True): True,
    (AudioState.COMPLETE, False): False,
}
"""Whether audio starts a new conversation: by the state of the current conversation, and by whether the audio
is non-empty. ASSUMED: empty audio starts the very first conversation, but none after an end mark or an
interrupt."""

MOTION_TABLE: dict[tuple[MotionTarget, MotionInput], MotionAction | DiscardReason] = {
    (MotionTarget.CURRENT, MotionInput.PAYLOADS): MotionAction.TAKE,
    (MotionTarget.CURRENT, MotionInput.NOTHING): MotionAction.SWITCH,
    (MotionTarget.AUDIO_ONLY, MotionInput.PAYLOADS): DiscardReason.AUDIO_ONLY,
    (MotionTarget.AUDIO_ONLY, MotionInput.NOTHING): DiscardReason.AUDIO_ONLY,
    (MotionTarget.INTERRUPTED, MotionInput.PAYLOADS): DiscardReason.INTERRUPTED,
    (MotionTarget.INTERRUPTED, MotionInput.NOTHING): DiscardReason.INTERRUPTED,
    (MotionTarget.FOREIGN, MotionInput.PAYLOADS): DiscardReason.MISMATCHED_ID,
    (MotionTarget.FOREIGN, MotionInput.NOTHING): DiscardReason.MISMATCHED_ID,
    (MotionTarget.NOTHING_CURRENT, MotionInput.PAYLOADS): DiscardReason.NO_CONVERSATION,
    (MotionTarget.NOTHING_CURRENT, MotionInput.NOTHING): DiscardReason.NO_CONVERSATION,
}
"""What the client does with motion: by the conversation that its id names, and by whether there are
payloads."""
