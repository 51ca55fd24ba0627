"""What a check says: instances kept and instances broken."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spatius_sim.rules.catalogue import Verdict
from spatius_sim.story.client_story import ClientStory
from spatius_sim.story.join import Story


@dataclass(frozen=True, slots=True)
class Kept:
    """The rule was exercised once and kept; `measured`, in the rule's unit, where it measures."""

    measured: float | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The rule was exercised once and broken; `events` are the sequence numbers that prove it."""

    expected: str
    actual: str
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """What took time cannot be judged, for the kit itself was late by so many seconds meanwhile."""

    seconds: float


Check = Callable[[Story], Iterator[Kept | Broken | Late]]
"""Judges one rule on one joined trace. A check that yields nothing never saw its situation."""

ClientCheck = Callable[[ClientStory], Iterator[Kept | Broken]]
"""The same on the joined trace of a client."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule on one trace: `exercised` instances, of which `broken` were broken."""

    rule_id: str
    verdict: Verdict
    exercised: int = 0
    broken: tuple[Broken, ...] = ()
    reason: str = ""
    blocked_by: tuple[str, ...] = ()
    """The failed rules without which it cannot be judged."""
    measurements: tuple[float, ...] = ()
