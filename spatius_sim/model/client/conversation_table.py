"""What audio and motion do to a conversation, as two tables (protocol.md section 3).

Audio: the first of all starts a conversation, and so does non-empty audio after the end mark; all other audio
joins the conversation that is there. Motion: it counts for the current conversation alone, unless that is
audio-only; empty motion with the current id is what makes it so.
"""

from enum import Enum

from spatius_sim.trace.decoder_events import DiscardReason


class AudioState(Enum):
    """How far the current conversation's audio has come."""

    NONE = "none yet"
    OVER = "played or interrupted"
    OPEN = "open"
    ENDED = "ended"


class Standing(Enum):
    """What the conversation is that motion was given for."""

    CURRENT = "current"
    AUDIO_ONLY = "audio-only"
    INTERRUPTED = "interrupted"
    FOREIGN = "foreign"
    NOTHING_CURRENT = "nothing current"


class Given(Enum):
    """A list of payloads, or no list or an empty one."""

    PAYLOADS = "payloads"
    NOTHING = "nothing"


class MotionAction(Enum):
    TAKE = "take"
    SWITCH = "switch to audio-only"


STARTS_CONVERSATION: dict[tuple[AudioState, bool], bool] = {
    (AudioState.NONE, True): True,
    (AudioState.NONE, False): True,
    (AudioState.OVER, True): True,
    (AudioState.OVER, False): False,
    (AudioState.OPEN, True): False,
    (AudioState.OPEN, False): False,
    (AudioState.ENDED, True): True,
    (AudioState.ENDED, False): False,
}
"""Whether audio starts a new conversation: by the conversation that is there, and by whether the audio is non-empty. That
empty audio starts one before all others, and none after an end mark or an interrupt, is ASSUMED."""

MOTION_TABLE: dict[tuple[Standing, Given], MotionAction | DiscardReason] = {
    (Standing.CURRENT, Given.PAYLOADS): MotionAction.TAKE,
    (Standing.CURRENT, Given.NOTHING): MotionAction.SWITCH,
    (Standing.AUDIO_ONLY, Given.PAYLOADS): DiscardReason.AUDIO_ONLY,
    (Standing.AUDIO_ONLY, Given.NOTHING): DiscardReason.AUDIO_ONLY,
    (Standing.INTERRUPTED, Given.PAYLOADS): DiscardReason.INTERRUPTED,
    (Standing.INTERRUPTED, Given.NOTHING): DiscardReason.INTERRUPTED,
    (Standing.FOREIGN, Given.PAYLOADS): DiscardReason.MISMATCHED_ID,
    (Standing.FOREIGN, Given.NOTHING): DiscardReason.MISMATCHED_ID,
    (Standing.NOTHING_CURRENT, Given.PAYLOADS): DiscardReason.NO_CONVERSATION,
    (Standing.NOTHING_CURRENT, Given.NOTHING): DiscardReason.NO_CONVERSATION,
}
"""What motion does: by what it was given for, and by what was given."""
