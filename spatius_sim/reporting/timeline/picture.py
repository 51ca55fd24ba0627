"""Gives everything on a time-line a place in a picture. A template draws the picture; there is no markup
here."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from spatius_sim.reporting.timeline.timeline import Curve, CurveKind, Mark, MarkKind, Timeline, choose_marks

_LEFT, _RIGHT, _TOP, _BOTTOM = 136.0, 28.0, 30.0, 34.0
_LANE_HEIGHT = 104.0
_CURVE_HEIGHT = 36.0
"""Pixels above and below the line of a lane: audio is above, motion below."""
_WIDTH = 896.0
"""Pixels between the first event and the last, if no more are needed."""
_WIDE, _NARROW = 1060.0, 318.0
"""Pixels that a report has for a picture on a screen of 1280 and of 390 pixels."""
_FEWER_MARKS = (80, 60, 40, 30, 20, 14, 10, 7, 5, 3, 2, 1)
_CLOSEST, _FARTHEST = 9.0, 130.0
"""The least and the most pixels between two moments: crowded time is stretched, and quiet time is
shortened."""
_MOTION_APART = 44.0
"""Pixels between two payloads, so that the curve of each can be seen."""
_AUDIO_APART = 3.0
_TICKS_APART = 92.0
_SHORTEST_BREAK_SECONDS = 0.05
_BREAK_TOLERANCE = 1.01
_DECIMALS = (2, 3, 4, 5, 6)
_HEAD = 5.0
_HEAD_SLENDERNESS = 1.6
_LABEL_ABOVE = 16
_MIN_LOUDNESS = 0.6
"""Pixels: silence is drawn as a thin line."""
_GAP_AT_LINE = 4
"""Pixels between the line of a lane and its curves."""
_WIDEST_JAW = 0.063
"""Radians: the widest opening of a jaw that was recorded. ASSUMED as the least scale of a curve."""
_BISECTIONS = 40


@dataclass(frozen=True, slots=True)
class DrawnLane:
    """The line of a lane, at height `y`."""

    name: str
    y: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """A mark in the picture: an arrow from (x, y) to (x, to_y), or a point if `to_y` is `y`. `head` are the
    corners of the arrow's head. `number` counts the evidence, 0 for a mark that is none, and is drawn at
    `label_y`."""

    mark: Mark
    x: float
    y: float
    to_y: float
    head: str
    number: int
    label_y: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A curve in the picture: the points of a polygon (`area`) and of a `line`."""

    kind: CurveKind
    lane: str
    area: str
    line: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at place `x`."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """All parts of the picture, in pixels. `breaks` are the places where quiet time was shortened."""

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
    """Converts seconds to pixels. The order is always kept, and distances are in proportion if there is
    room."""

    def __init__(self, timeline: Timeline, width: float) -> None:
        """Give every moment of the time-line a place."""
        self._width = width
        needed_pixels = {curve.at: _AUDIO_APART for curve in timeline.curves}
        at_once = Counter(mark.at for mark in timeline.marks)
        needed_pixels |= {time: _CLOSEST * number for time, number in at_once.items()}
        motion = {mark.at for mark in timeline.marks if mark.kind is MarkKind.MOTION}
        needed_pixels |= {time: max(needed_pixels[time], _MOTION_APART) for time in motion}
        ends = {time for curve in timeline.curves for time in (curve.at, curve.until)}
        self.times = sorted(needed_pixels.keys() | ends) or [0.0]
        # A moment needs the pixels after it.
        self._least_widths = [needed_pixels.get(time, 0.0) for time in self.times[:-1]]
        self._mark_times = {mark.at for mark in timeline.marks}
        self._gaps = [after - before for before, after in pairwise(self.times)]
        self.places = self._place(self._pixels_for_a_second())

    def _pixels_for_a_second(self) -> float:
        """Return the scale at which the picture has its usual width, and keep it as `speed`."""
        low, high = 0.0, 1e9
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if sum(self._gap_widths(middle)) < self._width else (low, middle)
        self.speed = low
        return low

    def _gap_widths(self, pixels_a_second: float) -> list[float]:
        """Return the pixels between each moment and the next, at this scale."""
        return [
            max(least, min(gap * pixels_a_second, _FARTHEST))
            for gap, least in zip(self._gaps, self._least_widths, strict=True)
        ]

    def _place(self, pixels_a_second: float) -> list[float]:
        """Return the place of each moment in pixels, at this scale."""
        places = [_LEFT]
        for width in self._gap_widths(pixels_a_second):
            places.append(places[-1] + width)
        return places

    def x_of(self, time: float) -> float:
        """Return the place of a moment, in pixels."""
        after = bisect_right(self.times, time)  # The index of the next moment that is known.
        if after == 0:
            return self.places[0]
        if after == len(self.times):
            return self.places[-1]
        before = after - 1
        share = (time - self.times[before]) / self._gaps[before]
        return self.places[before] + share * (self.places[after] - self.places[before])

    def ticks(self) -> tuple[Tick, ...]:
        """Return the labels of the axis: the times of moments that stand far enough apart, with as many
        decimals as are needed to tell the times apart."""
        labelled: list[tuple[float, float]] = []  # Each time with its place.
        for time, place in zip(self.times, self.places, strict=True):
            if not labelled or place - labelled[-1][1] >= _TICKS_APART:
                labelled.append((time, place))
        telling_apart = (
            decimals
            for decimals in _DECIMALS
            if len({f"{time:.{decimals}f}" for time, _ in labelled}) == len(labelled)
        )
        decimals = next(telling_apart, _DECIMALS[-1])
        first_places: dict[str, float] = {}
        for time, place in labelled:
            first_places.setdefault(f"{time:.{decimals}f} s", place)
        return tuple(Tick(round(place, 1), label) for label, place in first_places.items())

    def breaks(self) -> tuple[Tick, ...]:
        """Return the places where quiet time was shortened, each with the length of that time."""
        return tuple(
            Tick(round((before + after) / 2, 1), f"{gap:.1f} s")
            for gap, end, (before, after) in zip(
                self._gaps, self.times[1:], pairwise(self.places), strict=True
            )
            if gap * self.speed > _FARTHEST * _BREAK_TOLERANCE
            and gap >= _SHORTEST_BREAK_SECONDS
            and end in self._mark_times
        )


def pictures_of(timeline: Timeline) -> dict[str, Picture]:
    """Return the picture for a desktop (`wide`) and for a phone (`narrow`). Each shows all evidence without
    scrolling, if the evidence alone leaves room for that: events far from the evidence are left out."""
    return {
        "wide": _fit(timeline, _WIDE, _WIDTH),
        "narrow": _fit(timeline, _NARROW, _NARROW - _LEFT - _RIGHT),
    }


def _fit(timeline: Timeline, room: float, width: float) -> Picture:
    """Return the picture that holds the most events in `room` pixels."""
    picture = picture_of(timeline, width)
    for most in _FEWER_MARKS:
        if picture.width <= room:
            break
        picture = picture_of(_near_evidence(timeline, most), width)
    return picture


def _near_evidence(timeline: Timeline, most: int) -> Timeline:
    """Return the part of a time-line around its evidence, with at most `most` marks."""
    marks = choose_marks(timeline.marks, most)
    first, last = min(mark.at for mark in marks), max(mark.at for mark in marks)
    evidence = [mark.at for mark in marks if mark.guilty] or [first]
    nearest = sorted(
        (curve for curve in timeline.curves if curve.until >= first and curve.at <= last),
        key=lambda curve: min(abs(curve.at - at) for at in evidence),
    )
    return replace(timeline, marks=marks, curves=tuple(nearest[: max(1, most // len(timeline.lanes))]))


def picture_of(timeline: Timeline, width: float = _WIDTH) -> Picture:
    """Return the picture of a time-line that is `width` pixels from the first event to the last, if no more
    are needed."""
    scale = _Scale(timeline, width)
    lanes = tuple(
        DrawnLane(name, _TOP + _LANE_HEIGHT * (index + 0.5)) for index, name in enumerate(timeline.lanes)
    )
    heights = {lane.name: lane.y for lane in lanes}
    arrows = _place_marks(timeline.marks, heights, scale)
    right = max([scale.places[-1], *(arrow.x for arrow in arrows)])
    return Picture(
        width=round(right + _RIGHT, 1),
        height=_TOP + _LANE_HEIGHT * len(lanes) + _BOTTOM,
        left=_LEFT,
        right=round(right, 1),
        lanes=lanes,
        shapes=tuple(_place_curves(timeline.curves, heights, scale)),
        arrows=tuple(arrows),
        ticks=scale.ticks(),
        breaks=scale.breaks(),
    )


def _place_marks(marks: Sequence[Mark], heights: dict[str, float], scale: _Scale) -> list[Arrow]:
    """Return the marks with their places. Marks of one moment stand side by side, and the evidence is
    numbered."""
    arrows = []
    number = 0
    at_once: Counter[float] = Counter()
    for mark in marks:
        y = heights.get(mark.source)
        if y is None:
            continue
        number += mark.guilty
        to_y = heights.get(mark.target, y)
        x = round(scale.x_of(mark.at) + _CLOSEST * at_once[mark.at], 1)
        at_once[mark.at] += 1
        arrows.append(
            Arrow(mark, x, y, to_y, _arrow_head(x, y, to_y), number * mark.guilty, _label_y(y, to_y))
        )
    return arrows


def _label_y(y: float, to_y: float) -> float:
    """Return the height of a label: in the middle of an arrow, because no curve is there, or above a
    point."""
    return (y + to_y) / 2 if y != to_y else y - _LABEL_ABOVE


def _arrow_head(x: float, y: float, to_y: float) -> str:
    """Return the corners of the head of an arrow; "" for a point."""
    if y == to_y:
        return ""
    length = _HEAD * _HEAD_SLENDERNESS
    back = to_y - length if to_y > y else to_y + length
    return f"{x},{to_y} {x - _HEAD:.1f},{back:.1f} {x + _HEAD:.1f},{back:.1f}"


def _place_curves(curves: Sequence[Curve], heights: dict[str, float], scale: _Scale) -> list[Shape]:
    """Return the curves with their places. All curves of a kind share one scale."""
    loudnesses = [value for curve in curves if curve.kind is CurveKind.AUDIO for value in curve.values]
    loudest = max(loudnesses, default=1.0) or 1.0
    jaws = [value for curve in curves if curve.kind is CurveKind.MOTION for value in curve.values]
    widest = max([_WIDEST_JAW, *jaws])
    shapes = []
    for curve in curves:
        y = heights.get(curve.lane)
        if y is None:
            continue
        places = _place_values(curve, scale)
        if curve.kind is CurveKind.AUDIO:
            shapes.append(_draw_waveform(curve, places, y - _CURVE_HEIGHT / 2 - _GAP_AT_LINE, loudest))
        else:
            shapes.append(_draw_jaw_curve(curve, places, y + _CURVE_HEIGHT + _GAP_AT_LINE, widest))
    return shapes


def _place_values(curve: Curve, scale: _Scale) -> list[tuple[float, float]]:
    """Return each value of a curve with its place; they are spread evenly from the beginning to the end."""
    start, end = scale.x_of(curve.at), scale.x_of(curve.until)
    step = (end - start) / max(1, len(curve.values) - 1)
    return [(start + number * step, value) for number, value in enumerate(curve.values)]


def _draw_waveform(curve: Curve, places: Sequence[tuple[float, float]], y: float, loudest: float) -> Shape:
    """Return the outline of a piece of audio, above and below its middle line `y`."""
    half = _CURVE_HEIGHT / 2 - 2
    upper = [f"{x:.1f},{y - max(_MIN_LOUDNESS, value / loudest * half):.1f}" for x, value in places]
    lower = [f"{x:.1f},{y + max(_MIN_LOUDNESS, value / loudest * half):.1f}" for x, value in reversed(places)]
    return Shape(curve.kind, curve.lane, " ".join(upper + lower), "")


def _draw_jaw_curve(
    curve: Curve, places: Sequence[tuple[float, float]], floor: float, widest: float
) -> Shape:
    """Return the line of a jaw above `floor`, and the area below the line. A jaw that is open by `widest`
    reaches the top."""
    line = [f"{x:.1f},{floor - max(0.0, value) / widest * _CURVE_HEIGHT:.1f}" for x, value in places]
    corners = [f"{x:.1f},{floor:.1f}" for x, _ in (places[-1], places[0])] if places else []
    return Shape(curve.kind, curve.lane, " ".join(line + corners), " ".join(line))
