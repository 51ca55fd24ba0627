"""What a time-line shows, as plain values: who did what when, what was heard, and how the face moved."""

from dataclasses import dataclass
from enum import StrEnum

from spatius_sim.reporting.harmless import one_line

_LONGEST_WORDS = 200
_LONGEST_NAME = 60


class MarkKind(StrEnum):
    """What a mark stands for, as far as it is drawn differently."""

    AUDIO = "audio"
    MOTION = "motion"
    END = "end"
    """An end mark of a half without anything in it."""
    MESSAGE = "message"
    CONNECTION = "connection"
    """Opened, refused, closed."""
    KIT = "kit"
    """What the kit did or knew."""
    FAULT = "fault"
    """What was refused, failed or was injected."""


class CurveKind(StrEnum):
    """What a curve's values are."""

    AUDIO = "audio"
    """Loudness: peaks from 0 to 1."""
    MOTION = "motion"
    """jaw_pose x in radians."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened `at` so many seconds from the start: an arrow from lane `source` to lane
    `target`, or a point on `source` where `target` is "". `seq` is the event's number in the trace; `guilty`
    where it is evidence."""

    at: float
    seq: int
    source: str
    target: str
    kind: MarkKind
    words: str
    guilty: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", one_line(self.words, _LONGEST_WORDS))
        object.__setattr__(self, "source", one_line(self.source, _LONGEST_NAME))
        object.__setattr__(self, "target", one_line(self.target, _LONGEST_NAME))


@dataclass(frozen=True, slots=True)
class Curve:
    """Values on a lane, evenly spread from `at` to `until`, in seconds from the start."""

    lane: str
    kind: CurveKind
    at: float
    until: float
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", one_line(self.lane, _LONGEST_NAME))


@dataclass(frozen=True, slots=True)
class Timeline:
    """One run. `lanes` from the client to Motion Server; `left_out` marks did not fit; `clock` says what
    the seconds count."""

    lanes: tuple[str, ...]
    marks: tuple[Mark, ...]
    curves: tuple[Curve, ...]
    left_out: int = 0
    clock: str = "since the run began"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lanes", tuple(one_line(lane, _LONGEST_NAME) for lane in self.lanes))
        object.__setattr__(self, "clock", one_line(self.clock, _LONGEST_NAME))
