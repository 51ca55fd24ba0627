"""What may go wrong in a room on purpose, by name."""

from enum import StrEnum


class RoomFault(StrEnum):
    """One way in which an egress fails. The values are the names in scenario files."""

    NEVER_JOINS = "never-joins"
    MUTE = "mute"
    """Motion comes, and no sound."""
    NO_MOTION = "no-motion"
    """Sound comes, and no keyframe."""
    NO_END = "no-end"
    """No packet has the END flag."""
    NO_FINISHED = "no-finished"
    """The agent is never told that a playback is over."""
    FINISHED_EARLY = "finished-early"
    """The agent is told so when the playback begins."""
    LEAVE_MID_TURN = "leaves-mid-turn"
    """The publisher leaves after a second of speech."""
    IGNORE_INTERRUPT = "ignores-interrupt"
