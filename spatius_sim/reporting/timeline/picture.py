"""Where everything stands in the picture of a time-line. The template draws it; nothing here is markup."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from spatius_sim.reporting.timeline.timeline import Curve, CurveKind, Mark, MarkKind, Timeline

_LEFT, _RIGHT, _TOP, _BOTTOM = 136.0, 28.0, 30.0, 34.0
_LANE = 104.0
_HALF = 36.0
"""What lies above and below a lane's line: audio above, motion below."""
_WIDTH = 896.0
"""Pixels between the first event and the last, where they need no more."""
_CLOSEST, _FARTHEST = 9.0, 130.0
"""Pixels between two moments: what is crowded is stretched, what is quiet is shortened."""
_MOTION_APART = 44.0
"""So that each payload's curve can be seen."""
_AUDIO_APART = 3.0
_TICKS_APART = 92.0
_BREAK_SECONDS = 0.05
_DECIMALS = (2, 3, 4, 5, 6)
_HEAD = 5.0
_WIDEST_JAW = 0.063
"""Radians: as far as a jaw was recorded to open. ASSUMED as the least scale of a curve."""
_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class DrawnLane:
    name: str
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """A mark in the picture: from (x, y) to (x, to_y), which is y where it points nowhere. `number` is that
    of the evidence, 0 for none, and stands at `label_y`."""

    mark: Mark
    x: float
    y: float
    to_y: float
    head: str
    number: int
    label_y: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A curve in the picture, as the points of a polygon and of a line."""

    kind: CurveKind
    lane: str
    area: str
    line: str


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    width: float
    height: float
    left: float
    right: float
    lanes: tuple[DrawnLane, ...]
    shapes: tuple[Shape, ...]
    arrows: tuple[Arrow, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Tick, ...]


class _Scale:
    """Seconds to pixels: in order always, in proportion where there is room."""

    def __init__(self, timeline: Timeline) -> None:
        marked = {curve.at: _AUDIO_APART for curve in timeline.curves}
        at_once = Counter(mark.at for mark in timeline.marks)
        marked |= {at: _CLOSEST * number for at, number in at_once.items()}
        motion = {mark.at for mark in timeline.marks if mark.kind is MarkKind.MOTION}
        marked |= {at: max(marked[at], _MOTION_APART) for at in motion}
        ends = {time for curve in timeline.curves for time in (curve.at, curve.until)}
        self.times = sorted(marked.keys() | ends) or [0.0]
        # A moment needs the room behind it.
        self._least = [marked.get(time, 0.0) for time in self.times[:-1]]
        self._marked = {mark.at for mark in timeline.marks}
        self._gaps = [after - before for before, after in pairwise(self.times)]
        self.places = self._place(self._pixels_for_a_second())

    def _pixels_for_a_second(self) -> float:
        low, high = 0.0, 1e9
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            low, high = (middle, high) if sum(self._widths(middle)) < _WIDTH else (low, middle)
        self.speed = low
        return low

    def _widths(self, pixels_a_second: float) -> list[float]:
        return [
            max(least, min(gap * pixels_a_second, _FARTHEST))
            for gap, least in zip(self._gaps, self._least, strict=True)
        ]

    def _place(self, pixels_a_second: float) -> list[float]:
        places = [_LEFT]
        for width in self._widths(pixels_a_second):
            places.append(places[-1] + width)
        return places

    def x(self, time: float) -> float:
        """Where that moment is."""
        after = bisect_right(self.times, time)
        if after == 0:
            return self.places[0]
        if after == len(self.times):
            return self.places[-1]
        before = after - 1
        share = (time - self.times[before]) / self._gaps[before]
        return self.places[before] + share * (self.places[after] - self.places[before])

    def ticks(self) -> tuple[Tick, ...]:
        """The axis: the true time of moments that stand far enough apart, as exact as it takes to tell them
        apart."""
        found: list[tuple[float, float]] = []
        for time, place in zip(self.times, self.places, strict=True):
            if not found or place - found[-1][1] >= _TICKS_APART:
                found.append((time, place))
        exact = (d for d in _DECIMALS if len({f"{time:.{d}f}" for time, _ in found}) == len(found))
        decimals = next(exact, _DECIMALS[-1])
        first_places: dict[str, float] = {}
        for time, place in found:
            first_places.setdefault(f"{time:.{decimals}f} s", place)
        return tuple(Tick(round(place, 1), label) for label, place in first_places.items())

    def breaks(self) -> tuple[Tick, ...]:
        """Where quiet was shortened, and how long it was."""
        return tuple(
            Tick(round((before + after) / 2, 1), f"{gap:.1f} s")
            for gap, ends, (before, after) in zip(
                self._gaps, self.times[1:], pairwise(self.places), strict=True
            )
            if gap * self.speed > _FARTHEST * 1.01 and gap >= _BREAK_SECONDS and ends in self._marked
        )


def picture_of(timeline: Timeline) -> Picture:
    """The picture of that time-line."""
    scale = _Scale(timeline)
    lanes = tuple(DrawnLane(name, _TOP + _LANE * (n + 0.5)) for n, name in enumerate(timeline.lanes))
    heights = {lane.name: lane.y for lane in lanes}
    arrows = _arrows(timeline.marks, heights, scale)
    right = max([scale.places[-1], *(arrow.x for arrow in arrows)])
    return Picture(
        width=round(right + _RIGHT, 1),
        height=_TOP + _LANE * len(lanes) + _BOTTOM,
        left=_LEFT,
        right=round(right, 1),
        lanes=lanes,
        shapes=tuple(_shapes(timeline.curves, heights, scale)),
        arrows=tuple(arrows),
        ticks=scale.ticks(),
        breaks=scale.breaks(),
    )


def _arrows(marks: Sequence[Mark], heights: dict[str, float], scale: _Scale) -> list[Arrow]:
    arrows = []
    number = 0
    at_once: Counter[float] = Counter()
    for mark in marks:
        y = heights.get(mark.source)
        if y is None:
            continue
        number += mark.guilty
        to_y = heights.get(mark.target, y)
        x = round(scale.x(mark.at) + _CLOSEST * at_once[mark.at], 1)
        at_once[mark.at] += 1
        arrows.append(Arrow(mark, x, y, to_y, _head(x, y, to_y), number * mark.guilty, _label_y(y, to_y)))
    return arrows


def _label_y(y: float, to_y: float) -> float:
    """In the middle of an arrow, where no curve is; above a point."""
    return (y + to_y) / 2 if y != to_y else y - 16


def _head(x: float, y: float, to_y: float) -> str:
    if y == to_y:
        return ""
    back = to_y - _HEAD * 1.6 if to_y > y else to_y + _HEAD * 1.6
    return f"{x},{to_y} {x - _HEAD:.1f},{back:.1f} {x + _HEAD:.1f},{back:.1f}"


def _shapes(curves: Sequence[Curve], heights: dict[str, float], scale: _Scale) -> list[Shape]:
    loudest = max((v for c in curves if c.kind is CurveKind.AUDIO for v in c.values), default=1.0) or 1.0
    jaws = [v for c in curves if c.kind is CurveKind.MOTION for v in c.values]
    widest = max([_WIDEST_JAW, *jaws])
    shapes = []
    for curve in curves:
        y = heights.get(curve.lane)
        if y is None:
            continue
        places = _places(curve, scale)
        if curve.kind is CurveKind.AUDIO:
            shapes.append(_waveform(curve, places, y - _HALF / 2 - 4, loudest))
        else:
            shapes.append(_jaw_curve(curve, places, y + _HALF + 4, widest))
    return shapes


def _places(curve: Curve, scale: _Scale) -> list[tuple[float, float]]:
    start, end = scale.x(curve.at), scale.x(curve.until)
    step = (end - start) / max(1, len(curve.values) - 1)
    return [(start + number * step, value) for number, value in enumerate(curve.values)]


def _waveform(curve: Curve, places: Sequence[tuple[float, float]], y: float, loudest: float) -> Shape:
    half = _HALF / 2 - 2
    upper = [f"{x:.1f},{y - max(0.6, value / loudest * half):.1f}" for x, value in places]
    lower = [f"{x:.1f},{y + max(0.6, value / loudest * half):.1f}" for x, value in reversed(places)]
    return Shape(curve.kind, curve.lane, " ".join(upper + lower), "")


def _jaw_curve(curve: Curve, places: Sequence[tuple[float, float]], floor: float, widest: float) -> Shape:
    line = [f"{x:.1f},{floor - max(0.0, value) / widest * _HALF:.1f}" for x, value in places]
    base = [f"{places[-1][0]:.1f},{floor:.1f}", f"{places[0][0]:.1f},{floor:.1f}"] if places else []
    return Shape(curve.kind, curve.lane, " ".join(line + base), " ".join(line))
