"""The garbage collector of a process that serves until it is told to end."""

import gc

_COLLECT_AFTER = 20_000
"""Objects. Bursts of frames wait by the thousand, and are no garbage."""


def collect_seldom() -> None:
    """What was imported stays: the collector need not look at it again and again."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
