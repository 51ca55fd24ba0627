"""Draws the pictures of a study's page as SVG, in one unit a pixel. Colours come from the page's style."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from spatius_sim.study.run_study import ChangeSaving
from spatius_sim.study.simulate_turn import SimulatedTurn
from spatius_sim.study.study_figures import Estimate
from spatius_sim.study.turn_tally import Distribution

WIDTH = 680
_LEFT, _RIGHT = 56, 12
_LINES = 6
"""How many kinds of line the page's style knows."""

_MAX_POINTS = 400


class Line(NamedTuple):
    """A line of a chart: its name, and its points."""

    name: str
    points: Sequence[tuple[float, float]]


def draw_distribution(distribution_by_name: dict[str, Distribution], x_label: str) -> Markup:
    """Draw the chart of a cumulative distribution: for each number of seconds, which per cent of the turns
    took at most so long. Each distribution (how often each value was counted) gives one line with its name.
    `x_label` is the label of the horizontal axis."""
    lines = []
    for name, distribution in distribution_by_name.items():
        points, turns_so_far = [(0.0, 0.0)], 0
        for value, count in distribution.steps():
            if value < math.inf:
                points.append((value, 100 * turns_so_far / distribution.total))
                turns_so_far += count
                points.append((value, 100 * turns_so_far / distribution.total))
        lines.append(Line(name, points))
    # The chart ends at the slowest 2 % of the slowest line: beyond, the lines cannot be distinguished.
    slowest = max(
        (
            distribution.value_at_rank(math.ceil(0.98 * distribution.total))
            for distribution in distribution_by_name.values()
        ),
        default=1.0,
    )
    finite = [point[0] for line in lines for point in line.points]
    longest = min(slowest, max(finite)) if finite else 1.0
    return draw_line_chart(lines, x_label, "% of turns", x_max=max(longest, 0.1), y_max=100.0)


def draw_line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, *, x_max: float, y_max: float
) -> Markup:
    """Draw all lines in one chart, and return the chart as HTML. Its axes go from 0 to `x_max` and from 0 to
    `y_max`; points beyond `x_max` are left out. Of a line with many points, only some are drawn. The names of
    the lines stand below the chart."""
    height, bottom = 220, 190
    pixels_per_x, pixels_per_y = (WIDTH - _LEFT - _RIGHT) / x_max, (bottom - 12) / y_max
    elements = [_draw_axes(x_max, y_max, x_label, y_label, bottom)]
    for number, line in enumerate(lines):
        points = [(x, y) for x, y in line.points if x <= x_max]
        step = max(1, len(points) // _MAX_POINTS)
        drawn_points = [*points[::step], *points[-1:]]
        path = " ".join(
            f"{_LEFT + x * pixels_per_x:.1f},{bottom - y * pixels_per_y:.1f}" for x, y in drawn_points
        )
        elements.append(f'<polyline class="line l{number % _LINES}" points="{path}"/>')
    names = "".join(
        f'<span class="key l{number % _LINES}">{escape(line.name)}</span>'
        for number, line in enumerate(lines)
    )
    return Markup(f"<figure>{_wrap_svg(height, elements, x_label)}<figcaption>{names}</figcaption></figure>")


def draw_ranking(savings: Sequence[ChangeSaving]) -> Markup:
    """Draw a bar chart with one bar for each change to the pipeline: how many seconds of trouble (the face
    does not move in step with the audio) the change saves in a turn. A bar to the left means that the change
    costs seconds. A thin line over the bar shows the confidence interval."""
    row_height, left = 26, 270
    highest = max([0.05, *(abs(end) for saving in savings for end in saving.saved)])
    lowest = min(0.0, *(saving.saved.low for saving in savings))
    scale = (WIDTH - left - 70) / (highest - lowest)
    zero = left - lowest * scale
    elements = [
        f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{row_height * len(savings)}"/>'
    ]
    for number, saving in enumerate(savings):
        y = number * row_height + 6
        value, low, high = saving.saved
        start, end = sorted((zero, zero + value * scale))
        style_class = "good" if low > 0 else "bad" if high < 0 else "none"
        elements.append(
            f'<text x="0" y="{y + 12}">{escape(saving.change)}</text>'
            f'<rect class="{style_class}" x="{start:.1f}" y="{y}" '
            f'width="{max(1.0, end - start):.1f}" height="14"/>'
            f'<line class="whisker" x1="{zero + low * scale:.1f}" x2="{zero + high * scale:.1f}" '
            f'y1="{y + 7}" y2="{y + 7}"/>'
            f'<text x="{max(end, zero + high * scale) + 6:.1f}" y="{y + 12}">{value:+.2f} s</text>'
        )
    return Markup(
        f"<figure>{_wrap_svg(row_height * len(savings) + 6, elements, 'what each change saves')}</figure>"
    )


def draw_time_line(turn: SimulatedTurn, seconds: float) -> Markup:
    """Draw a time-line of one turn: what the link carries, what waits before the link, and what the client
    has in hand."""
    play = turn.playback
    ends = [at for at, _ in [*turn.audio, *turn.motion] if at < math.inf]
    end = min(max([play.end if play.end < math.inf else 0.0, *ends, 1.0]), 2 * seconds + 60)
    across = (WIDTH - _LEFT - _RIGHT) / end
    parts = []
    for begin, length in play.stalls:
        width = min(length, end - begin) * across
        parts.append(
            f'<rect class="stall" x="{_LEFT + begin * across:.1f}" y="8" width="{max(1.0, width):.1f}" '
            'height="250"/>'
        )
    ticks = [index * end / 300 for index in range(301)]
    if turn.capacity is not None:
        capacity = [(at, turn.capacity.rate(at) / 1e6) for at in ticks]
        parts.append(_draw_area(capacity, across, 8, 70, "link, Mbit/s", "link"))
    parts.append(_draw_area(_reduce_queue_points(turn.samples), across, 94, 70, "queue, kB", "queue"))
    arrived = sorted(at for at, _ in turn.audio if at < math.inf)
    hand = (
        [
            (at, max(0.0, _arrived_seconds(turn, at) - min(seconds, play.seconds_played_at(at))))
            for at in ticks
        ]
        if arrived
        else []
    )
    parts.append(_draw_area(hand, across, 180, 70, "audio in hand, s", "hand"))
    for at, _ in turn.motion:
        if at <= end:
            x = _LEFT + at * across
            parts.append(f'<line class="payload" x1="{x:.1f}" x2="{x:.1f}" y1="252" y2="264"/>')
    if play.first_motion <= end:
        x = _LEFT + play.first_motion * across
        parts.append(f'<line class="first" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="264"/>')
    for index in range(6):
        at = index * end / 5
        parts.append(
            f'<text class="tick" x="{_LEFT + at * across:.1f}" y="282" '
            f'text-anchor="{"end" if index == 5 else "middle"}">{at:.1f} s</text>'
        )
    return Markup(_wrap_svg(288, parts, "the worst turn"))


def _arrived_seconds(turn: SimulatedTurn, at: float) -> float:
    """Return how many seconds of speech have arrived at the client by this time of the turn."""
    return max((end for arrived, end in turn.audio if arrived <= at), default=0.0)


def _reduce_queue_points(samples: Sequence[tuple[float, int, float]]) -> list[tuple[float, float]]:
    """Return fewer points of a queue over time, so that the time-line can be drawn. Each point stands for one
    stretch of time: its first second, and its longest queue in kB. `samples` holds seconds, bytes in the
    queue, and a value that is not used here."""
    step = max(1, len(samples) // _MAX_POINTS)
    stretches = [samples[begin : begin + step] for begin in range(0, len(samples), step)]
    return [(stretch[0][0], max(queue for _, queue, _ in stretch) / 1000) for stretch in stretches]


def _draw_area(
    points: Sequence[tuple[float, float]],
    pixels_per_second: float,
    top: float,
    height: float,
    label: str,
    style_class: str,
) -> str:
    """Draw values over time as a filled area of a chart, and return it as SVG. `points` are pairs of seconds
    and value, and `label` says what the values are. The highest value stands at the left as a number.

    The area is `height` pixels high, begins at the pixel row `top`, and has the CSS class `style_class`."""
    highest = max((value for _, value in points), default=0.0) or 1.0
    drawn_points = [
        f"{_LEFT + at * pixels_per_second:.1f},{top + height - value / highest * (height - 14):.1f}"
        for at, value in points
        if _LEFT + at * pixels_per_second <= WIDTH - _RIGHT + 1
    ]
    area = ""
    if drawn_points:
        first, last = drawn_points[0].partition(",")[0], drawn_points[-1].partition(",")[0]
        outline = f"{first},{top + height} {' '.join(drawn_points)} {last},{top + height}"
        area = f'<polygon class="{style_class}" points="{outline}"/>'
    return (
        f'{area}<text x="{_LEFT + 4}" y="{top + 10}">{label}</text>'
        f'<text class="tick" x="{_LEFT - 6}" y="{top + 18}" text-anchor="end">{highest:.3g}</text>'
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{top + height}" y2="{top + height}"/>'
    )


def _draw_axes(x_max: float, y_max: float, x_label: str, y_label: str, bottom_row: float) -> str:
    """Draw the axes of a chart, each with six marks and a label, and return them as SVG. The horizontal axis
    goes from 0 to `x_max`, and lies in the pixel row `bottom_row`. The vertical axis goes from 0 to
    `y_max`."""
    elements = []
    step_count = 5
    for index in range(step_count + 1):
        x = _LEFT + index * (WIDTH - _LEFT - _RIGHT) / step_count
        y = bottom_row - index * (bottom_row - 12) / step_count
        elements.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom_row + 14}" text-anchor="middle">'
            f"{x_max * index / step_count:.3g}</text>"
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{y_max * index / step_count:.3g}</text>"
        )
    elements.append(
        f'<text x="{WIDTH - _RIGHT}" y="{bottom_row + 28}" text-anchor="end">{escape(x_label)}</text>'
        f'<text x="{_LEFT + 4}" y="10">{escape(y_label)}</text>'
    )
    return "".join(elements)


def _wrap_svg(height: float, elements: Sequence[str], description: str) -> str:
    """Return a chart as SVG inside an HTML box that can be scrolled on a small screen. `elements` are the
    drawn parts as SVG, and `description` says in words what the chart shows."""
    aria_label = f'aria-label="{escape(description)}"'
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    svg = f'<svg role="img" {aria_label} {size}>{"".join(elements)}</svg>'
    return f'<div class="scroll" role="group" {aria_label} tabindex="0">{svg}</div>'


def draw_sweep(
    points: Sequence[str], estimates_by_policy: Mapping[str, Sequence[Estimate]], figure_label: str
) -> Markup:
    """Draw a chart of one figure of the study over the points of a sweep (the values that were tried). Each
    policy has one line; infinite values are left out.

    If the sweep changes one number only, the horizontal axis shows this number. Otherwise the points are
    numbered from 0."""
    x_values = _find_x_values(points)
    finite = [
        estimate.value
        for row in estimates_by_policy.values()
        for estimate in row
        if estimate.value < math.inf
    ]
    lines = [
        Line(
            name,
            sorted(
                (x, estimate.value)
                for x, estimate in zip(x_values, row, strict=True)
                if estimate.value < math.inf
            ),
        )
        for name, row in estimates_by_policy.items()
    ]
    names = {point.rpartition(" ")[0] for point in points}
    x_label = names.pop() if len(names) == 1 else " · ".join(points)
    return draw_line_chart(
        lines, x_label, figure_label, x_max=max(*x_values, 0.01), y_max=max([*finite, 0.01])
    )


def _find_x_values(points: Sequence[str]) -> list[float]:
    """Return where each point of a sweep lies on the horizontal axis: the point "start_buffer 0.5" lies at
    0.5. If the points are not numbers of one key, number them from 0."""
    pairs = [point.split(" ") for point in points]
    try:
        if all(len(pair) == 2 and pair[0] == pairs[0][0] for pair in pairs):
            return [float(number) for _, number in pairs]
    except ValueError:
        pass
    return [float(index) for index in range(len(points))]
