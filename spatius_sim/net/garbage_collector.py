"""Tunes the garbage collector for a process that serves for a long time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_COLLECT_AFTER = 20_000
"""How many new objects start a collection. (Thousands of frames may wait at once, and are no garbage.)"""


def collect_seldom() -> None:
    """Let Python's garbage collector run seldom, and ignore all objects that exist now, because they stay."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


@contextmanager
def pause_collector() -> Iterator[None]:
    """Keep Python's garbage collector from running inside of the `with` block, and let it ignore all objects
    that exist at the end. For imports: what they make stays, so that a collection would only walk through
    it, again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
