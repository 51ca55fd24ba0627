"""The smallest failure of each rule, by its id."""

from collections.abc import Callable

from spatius_sim.tests.rules.traces import Dialogue
from spatius_sim.trace.events import Trace

SMALLEST: dict[str, Callable[[], Trace]] = {}

Teller = Callable[[Dialogue], None]


def breaks(rule_id: str, subject: str = "relay", lacks: tuple[str, ...] = ()) -> Callable[[Teller], Teller]:
    """Decorates a function that tells, into an empty dialogue, the smallest failure of that rule."""

    def smallest(teller: Teller) -> Teller:
        def trace() -> Trace:
            told = Dialogue(subject, lacks)
            teller(told)
            return told.trace

        SMALLEST[rule_id] = trace
        return teller

    return smallest
