"""Runs a coroutine of a test in virtual time."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from spatius_sim.virtual.virtual_loop import VirtualLoop

T = TypeVar("T")


def run_in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a virtual clock of its own, and return its result."""
    loop = VirtualLoop()
    try:
        return loop.run(work, None)
    finally:
        loop.stop()
