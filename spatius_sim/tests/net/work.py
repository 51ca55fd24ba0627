"""Bounds for tests of hostile input: an endless loop ends, and work is compared instead of timed."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def seconds_at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError within the block after `seconds`, even in a loop that awaits nothing."""

    def over(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def times_the_work(prepare: Callable[[int], Callable[[], object]], size: int, times: int = 8) -> float:
    """How many times the CPU time of `size` a load takes that is `times` as large; the best of three."""

    def spent(load: int) -> float:
        work = prepare(load)
        begun = time.process_time()
        work()
        return time.process_time() - begun

    small = min(spent(size) for _ in range(3))
    large = min(spent(size * times) for _ in range(3))
    return large / max(small, 1e-4)
