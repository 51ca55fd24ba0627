"""Tunes the garbage collector for a process that serves for a long time."""

import gc

_COLLECT_AFTER = 20_000
"""How many new objects start a collection. Frames wait in bursts of thousands, and are no garbage."""


def collect_seldom() -> None:
    """Let the collector run seldom, and never look at what is imported by now: imported objects stay."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
