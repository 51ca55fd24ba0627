"""What `spatius-sim bench` prints in one line, and how much it measures."""

from dataclasses import dataclass
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the benchmark's table. `promise` is what the value must keep to (`at least 20`, `at most
    1.1`), or "" if nothing is promised."""

    name: str
    value: float
    unit: str
    promise: str = ""

    @property
    def keeps_promise(self) -> bool:
        """Whether the value of this benchmark figure keeps its promise, such as "at least 20" or "at most
        1.1". True if the promise is empty: then nothing is promised."""
        comparison, _, bound = self.promise.rpartition(" ")
        if not comparison:
            return True
        return self.value >= float(bound) if comparison == "at least" else self.value <= float(bound)


@dataclass(frozen=True, slots=True)
class BenchSize:
    """How much is measured. Each measurement is repeated `round_count` times, and the least value counts. Two
    things that are compared have their turns in each round, and the median of the ratios counts.

    `spoken_seconds` and `paced_seconds` are seconds of speech in a session; all others are numbers of things.
    """

    call_count: int = 100
    round_count: int = 5
    session_count: int = 40
    spoken_seconds: int = 60
    paced_session_count: int = 1000
    paced_seconds: float = 10.0
    idle_session_count: int = 1000
    growth_session_count: int = 10_000
    start_count: int = 7
    plan_count: int = 1000
    virtual_turn_count: int = 20
    taped_session_count: int = 40
    proxied_session_count: int = 100
    study_turn_count: int = 20


FULL = BenchSize()
QUICK = BenchSize(2, 1, 2, 3, 2, 2.5, 5, 20, 1, 18, 1, 2, 2, 1)
"""Measures every figure quickly, to see that the benchmark works. The values mean nothing."""
