"""What a check finds: instances in which a rule was kept, and instances in which it was broken."""

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
    """The rule was exercised once and kept. `measured` is in the rule's unit; None if the rule measures
    nothing."""

    measured: float | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The rule was exercised once and broken; `events` are the sequence numbers that prove it."""

    expected: str
    actual: str
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """An instance whose time cannot be judged, because the kit itself was late by `seconds` meanwhile."""

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
    """The failed rules that this rule presumes, so that it was not judged."""
    measurements: tuple[float, ...] = ()
