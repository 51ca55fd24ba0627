"""What a check says of each instance of a rule, and the judgement made of all."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The result of a rule in a run."""

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
class Owed:
    """What the subject owed after the event `after`, and never sent: to this `client`, or to Motion Server
    if that is ""."""

    what: str
    client: str
    after: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The rule was exercised once and broken; `events` are the sequence numbers that prove it.

    `follows_from` names the rules that break if the same thing happens in an ordinary turn. If one of them
    failed anywhere in the run, this is its consequence. `owed` is what never came, for a picture.
    `seen_once_suffices`: the breach need not be seen again when its scenario is repeated, because nothing but
    the subject can have caused it."""

    expected: str
    actual: str
    events: tuple[int, ...]
    follows_from: tuple[str, ...] = ()
    owed: tuple[Owed, ...] = ()
    seen_once_suffices: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """An instance whose time cannot be judged, because the kit itself was late by `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Unsure:
    """An instance that looks broken, and may not be the subject's fault: `reason` says why. It is not a
    pass."""

    reason: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one rule on one trace, which holds `exercised` instances of the rule. `broken` are those
    in which the rule was broken."""

    rule_id: str
    verdict: Verdict
    exercised: int = 0
    broken: tuple[Broken, ...] = ()
    reason: str = ""
    blocked_by: tuple[str, ...] = ()
    """The failed rules that this rule presumes; because of them this rule was not judged."""
    looks_broken: bool = False
    """Whether this rule was not judged, and looks broken: that may follow from the failed rules."""
    measurements: tuple[float, ...] = ()
