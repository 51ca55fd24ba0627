"""What `spatius-sim bench` prints in one line, and how much it measures."""

from dataclasses import dataclass
from typing import NamedTuple


class Figure(NamedTuple):
    """One line of the benchmark's table. `mark` is the promise (`at least 20`, `at most 1.1`), or "" if
    nothing is promised."""

    name: str
    value: float
    unit: str
    mark: str = ""

    @property
    def keeps_promise(self) -> bool:
        """Whether this figure of the benchmark keeps the promise in `mark`, such as "at least 20" or "at most
        1.1". True if `mark` is empty: then nothing is promised."""
        comparison, _, bound = self.mark.rpartition(" ")
        if not comparison:
            return True
        return self.value >= float(bound) if comparison == "at least" else self.value <= float(bound)


@dataclass(frozen=True, slots=True)
class BenchSize:
    """How much is measured. Each measurement is repeated in `rounds`, and the least value counts. Two things
    that are compared have their turns in each round, and the median of the ratios counts.

    `spoken` and `paced_seconds` are seconds of speech; all others are numbers of things."""

    payloads: int = 100
    rounds: int = 5
    sessions: int = 40
    spoken: int = 60
    paced: int = 1000
    paced_seconds: float = 10.0
    idle: int = 1000
    lives: int = 10_000
    starts: int = 7
    plans: int = 1000
    simulated: int = 20
    taped: int = 40
    proxied: int = 100
    studied: int = 20


FULL = BenchSize()
QUICK = BenchSize(2, 1, 2, 3, 2, 2.5, 5, 20, 1, 18, 1, 2, 2, 1)
"""Measures every figure quickly, to see that the benchmark works. The values mean nothing."""
