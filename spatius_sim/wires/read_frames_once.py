"""Reads a frame once that is read twice. In virtual time both ends of a connection live in one process: the
recorder reads the frame that its client sent, and so does the relay."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from spatius_sim.wires.events import Frame

MAX_REMEMBERED_FRAMES = 256
"""How many frames, or texts in them, are remembered: a client may send a whole turn before the relay reads
its first frame."""

MAX_REMEMBERED_LENGTH = 16 * 1024
"""The longest frame, or text in one, that is remembered, so that all together take some megabytes at most."""

Result = TypeVar("Result")


def remember_results(read: Callable[[Frame], Result]) -> Callable[[Frame], Result]:
    """Decorate a function that decodes frames, so that a frame that comes again soon is not decoded again:
    the result of `read` is remembered. Results must never change, because they are returned again."""
    read_and_remember = lru_cache(MAX_REMEMBERED_FRAMES)(read)

    def read_frame(frame: Frame) -> Result:
        """Return what `read` returns for this frame. The result for a long frame is not remembered."""
        return read_and_remember(frame) if len(frame) <= MAX_REMEMBERED_LENGTH else read(frame)

    return read_frame
