"""The plain values that a time-line shows: who did what and when, what was heard, and how the face moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from spatius_sim.reporting.make_text_harmless import harmless_line

_LONGEST_WORDS = 200
_LONGEST_NAME = 60


class MarkKind(StrEnum):
    """What a mark stands for; each kind is drawn differently."""

    AUDIO = "audio"
    MOTION = "motion"
    END = "end"
    """An end mark of audio or motion, without any content."""
    MESSAGE = "message"
    CONNECTION = "connection"
    """A connection was opened, refused or closed."""
    KIT = "kit"
    """The kit did or knew something."""
    FAULT = "fault"
    """Something was refused, failed or was injected."""
    GHOST = "ghost"
    """A message should have come, and never came."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event `at` so many seconds from the start: an arrow from lane `source` to lane `target`, or a point
    on `source` if `target` is "". `seq` is the number of the event in the trace; `guilty`: whether it is
    evidence, that is whether it shows how the rule was broken."""

    at: float
    seq: int
    source: str
    target: str
    kind: MarkKind
    words: str
    guilty: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", harmless_line(self.words, _LONGEST_WORDS))
        object.__setattr__(self, "source", harmless_line(self.source, _LONGEST_NAME))
        object.__setattr__(self, "target", harmless_line(self.target, _LONGEST_NAME))


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time-line of one run. `lanes` go from the client to Motion Server; `left_out` marks did not fit;
    `clock` says what the seconds count."""

    lanes: tuple[str, ...]
    marks: tuple[Mark, ...]
    left_out: int = 0
    clock: str = "since the run began"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lanes", tuple(harmless_line(lane, _LONGEST_NAME) for lane in self.lanes))
        object.__setattr__(self, "clock", harmless_line(self.clock, _LONGEST_NAME))


def choose_marks(marks: Sequence[Mark], limit: int) -> tuple[Mark, ...]:
    """Choose at most `limit` marks for a time-line, and return them in the order of their events. Evidence
    comes first, then ghosts (messages that never came), then faults and what the kit did, then the events
    nearest to the evidence."""
    evidence = [mark.seq for mark in marks if mark.guilty]
    chosen = sorted(
        marks,
        key=lambda mark: (
            not mark.guilty,
            mark.kind is not MarkKind.GHOST,
            mark.kind not in (MarkKind.FAULT, MarkKind.KIT),
            min((abs(mark.seq - seq) for seq in evidence), default=mark.seq),
        ),
    )
    return tuple(sorted(chosen[:limit], key=lambda mark: mark.seq))
