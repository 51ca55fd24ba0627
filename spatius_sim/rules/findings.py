"""What a check says: instances kept and instances broken."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a run says of a rule."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    UNEXERCISED = "UNEXERCISED"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERRORED = "ERRORED"


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
