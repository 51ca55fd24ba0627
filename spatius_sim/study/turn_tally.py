"""Adds turns up, in a space that does not grow with their number. All sums are whole numbers, so that the
order of adding changes nothing: one process and many give the same."""

import math
from collections import Counter
from dataclasses import dataclass, field

from spatius_sim.study.simulate_turn import SimulatedTurn

GROUPS = 40
"""Turns are added up in so many groups, by their number. The bootstrap draws groups."""

_LEAST = 0.001
_RATIO = 1.01
_MICRO = 1_000_000
MAX_SECONDS = 600.0

DETECTABLE_EARLY, ACCEPTABLE_EARLY = 0.045, 0.090
"""Seconds by which the sound may lead the picture until people see it, and until it is not acceptable
(ITU-R BT.1359). The bands of sound that trails are not needed: here it never does."""


class Distribution:
    """Counts how often each value from 0 to 600 came in the turns of a tally, with a precision of 1 %. A
    value above 600 counts as "never"."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, value: float) -> None:
        """Count one value of a turn in the distribution; infinity counts as "never"."""
        self.counts[_bin_of(value)] += 1

    def merge(self, other: "Distribution") -> None:
        """Count all values of another distribution in this one, too."""
        self.counts.update(other.counts)

    @property
    def total(self) -> int:
        """How many values were added."""
        return sum(self.counts.values())

    def steps(self) -> list[tuple[float, int]]:
        """Return the values in order, each with how often it was added to the distribution. Infinity stands
        for "never"."""
        return [(_value_of(number), self.counts[number]) for number in sorted(self.counts)]

    def value_at_rank(self, rank: int) -> float:
        """Sort all values that were added to the distribution, and return the value with this rank: 1 for the
        least value. A value that counts as "never" is returned as infinity. Return 0 if fewer values than
        `rank` were added."""
        count_so_far = 0
        for value, count in self.steps():
            count_so_far += count
            if count_so_far >= rank:
                return value
        return 0.0


_NEVER = 10_000


def _bin_of(value: float) -> int:
    """Return the number of the bin in which a distribution counts this value."""
    if value > MAX_SECONDS:
        return _NEVER
    return 0 if value < _LEAST else 1 + round(math.log(value / _LEAST) / math.log(_RATIO))


def _value_of(number: int) -> float:
    """Return the value for which a bin of a distribution stands; infinity for "never"."""
    if number == _NEVER:
        return math.inf
    return 0.0 if number == 0 else _LEAST * _RATIO ** (number - 1)


@dataclass(slots=True)
class Sums:
    """What is added up over the turns of one group."""

    turns: int = 0
    speech_us: int = 0
    stalls: int = 0
    stalled_turns: int = 0
    audio_only: int = 0
    unfinished: int = 0
    keyframes: int = 0
    late: int = 0
    trouble_us: int = 0
    offsets: Counter[int] = field(default_factory=Counter)
    """Keyframe instants by how many keyframes the audio was ahead of the face."""

    def merge(self, other: "Sums") -> None:
        """Add the sums over another group of turns to these."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.offsets.update(other.offsets)


_NUMBERS = (
    "turns",
    "speech_us",
    "stalls",
    "stalled_turns",
    "audio_only",
    "unfinished",
    "keyframes",
    "late",
    "trouble_us",
)

_DISTRIBUTION_NAMES = (
    "first_audio",
    "first_motion",
    "stall_length",
    "wait_for_audio",
    "wait_for_all",
    "after_kilobytes",
    "after_seconds",
)


class Tally:
    """All turns of one pipeline on one network."""

    def __init__(self) -> None:
        self.groups = [Sums() for _ in range(GROUPS)]
        self.distributions = {name: Distribution() for name in _DISTRIBUTION_NAMES}
        self.worst: tuple[int, int] | None = None
        """The trouble in µs and the number of the worst turn; of equals, the one with the highest number."""

    @property
    def turns(self) -> int:
        """How many turns were added."""
        return sum(group.turns for group in self.groups)

    def add(self, turn: SimulatedTurn, speech_seconds: float) -> None:
        """Add a simulated turn, whose speech lasts `speech_seconds`, to the tally. Its counts are added to
        the sums of its group, its times to the distributions (how often each value came). Keep the turn as
        the worst one if it has most trouble (`SimulatedTurn.trouble`)."""
        playback = turn.playback
        group = self.groups[turn.number % GROUPS]
        trouble_us = round(turn.trouble * _MICRO)
        group.turns += 1
        group.speech_us += round(speech_seconds * _MICRO)
        group.stalls += len(playback.stalls)
        group.stalled_turns += bool(playback.stalls)
        group.audio_only += playback.first_motion == math.inf and playback.keyframes > 0
        group.unfinished += not turn.finished
        group.keyframes += playback.keyframes
        group.late += playback.late
        group.trouble_us += trouble_us
        group.offsets.update(playback.offsets)
        self._add_to_distributions(turn)
        self.worst = max(self.worst or (-1, -1), (trouble_us, turn.number))

    def _add_to_distributions(self, turn: SimulatedTurn) -> None:
        """Add the times of a simulated turn to the distributions, which count how often each value came. If
        the turn was interrupted, add also how much of it still came after the interrupt."""
        playback, distributions = turn.playback, self.distributions
        distributions["first_audio"].add(playback.first_audio)
        distributions["first_motion"].add(playback.first_motion)
        distributions["wait_for_audio"].add(turn.wait_for_audio)
        distributions["wait_for_all"].add(turn.wait_for_all)
        for _, stall_seconds in playback.stalls:
            distributions["stall_length"].add(stall_seconds)
        if turn.interrupted_at < math.inf:
            distributions["after_kilobytes"].add(turn.bytes_after / 1000)
            distributions["after_seconds"].add(turn.seconds_after)

    def merge(self, other: "Tally") -> None:
        """Add all turns of another tally to this tally: sums and distributions. Of the two worst turns, keep
        the one with more trouble."""
        for own_group, other_group in zip(self.groups, other.groups, strict=True):
            own_group.merge(other_group)
        for name, own_distribution in self.distributions.items():
            own_distribution.merge(other.distributions[name])
        if other.worst is not None:
            self.worst = max(self.worst or (-1, -1), other.worst)
