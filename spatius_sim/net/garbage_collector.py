"""Tunes the garbage collector for a process that serves for a long time."""

import gc

_COLLECT_AFTER = 20_000
"""How many new objects start a collection. (Thousands of frames may wait at once, and are no garbage.)"""


def collect_seldom() -> None:
    """Let Python's garbage collector run seldom, and ignore all objects that exist now, because they stay."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
