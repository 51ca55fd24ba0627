"""Reads a frame once that is read twice. In virtual time both ends of a connection live in one process: the
recorder reads the frame that its client sent, and so does the relay."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from spatius_sim.wires.events import Frame

MOST_REMEMBERED = 256
"""How many frames, or texts in them, are remembered: a client may send a whole turn before the relay reads
its first frame."""

LONGEST_REMEMBERED = 16 * 1024
"""The longest frame, or text in one, that is remembered, so that all together take some megabytes at most."""

Read = TypeVar("Read")


def remember_frames(read: Callable[[Frame], Read]) -> Callable[[Frame], Read]:
    """Return a function that reads frames of a wire as `read` does, but remembers what it read: a frame that
    comes again soon is not read again. What `read` returns must never change."""
    read_once = lru_cache(MOST_REMEMBERED)(read)

    def read_frame(frame: Frame) -> Read:
        """Return what the frame says; a long frame is not remembered."""
        return read_once(frame) if len(frame) <= LONGEST_REMEMBERED else read(frame)

    return read_frame
