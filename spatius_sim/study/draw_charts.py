"""Draws the pictures of a study's page as SVG, in one unit a pixel. Colours come from the page's style."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from spatius_sim.study.run_study import Help
from spatius_sim.study.simulate_turn import SimulatedTurn
from spatius_sim.study.study_figures import Estimate
from spatius_sim.study.turn_tally import Spread

WIDTH = 680
_LEFT, _RIGHT = 56, 12
_LINES = 6
"""How many kinds of line the page's style knows."""

_MAX_POINTS = 400


class Line(NamedTuple):
    """A line of a chart: its name, and its points."""

    name: str
    points: Sequence[tuple[float, float]]


def draw_distribution(spreads: dict[str, Spread], label: str) -> Markup:
    """Draw the chart of a cumulative distribution for the study's page: for each number of seconds, how many
    per cent of the turns took no longer. Each spread gives one line of the chart; `label` is the label of the
    horizontal axis."""
    lines = []
    for name, spread in spreads.items():
        points, turns_so_far = [(0.0, 0.0)], 0
        for value, count in spread.steps():
            if value < math.inf:
                points.append((value, 100 * turns_so_far / spread.total))
                turns_so_far += count
                points.append((value, 100 * turns_so_far / spread.total))
        lines.append(Line(name, points))
    # Beyond the slowest 2 % of the slowest line nothing can be told apart.
    widest = max((spread.at_rank(math.ceil(0.98 * spread.total)) for spread in spreads.values()), default=1.0)
    finite = [point[0] for line in lines for point in line.points]
    right = min(widest, max(finite)) if finite else 1.0
    return draw_line_chart(lines, label, "% of turns", right=max(right, 0.1), top=100.0)


def draw_line_chart(lines: Sequence[Line], x_label: str, y_label: str, *, right: float, top: float) -> Markup:
    """Draw a chart for a study's page: all lines in one picture, whose axes go from 0 to `right` and from 0
    to `top` and have these labels. The names of the lines stand below the chart."""
    height, bottom = 220, 190
    pixels_across, pixels_up = (WIDTH - _LEFT - _RIGHT) / right, (bottom - 12) / top
    parts = [_draw_axes(right, top, x_label, y_label, bottom)]
    for number, line in enumerate(lines):
        points = [(x, y) for x, y in line.points if x <= right]
        step = max(1, len(points) // _MAX_POINTS)
        drawn_points = [*points[::step], *points[-1:]]
        path = " ".join(
            f"{_LEFT + x * pixels_across:.1f},{bottom - y * pixels_up:.1f}" for x, y in drawn_points
        )
        parts.append(f'<polyline class="line l{number % _LINES}" points="{path}"/>')
    names = "".join(
        f'<span class="key l{number % _LINES}">{escape(line.name)}</span>'
        for number, line in enumerate(lines)
    )
    return Markup(f"<figure>{_wrap_svg(height, parts, x_label)}<figcaption>{names}</figcaption></figure>")


def draw_ranking(helps: Sequence[Help]) -> Markup:
    """Draw a bar chart with one bar for each change to the pipeline: the seconds of trouble in a turn that
    the change saves, with their interval of confidence. `helps` are the changes with these figures."""
    row, left = 26, 270
    most = max([0.05, *(abs(end) for help_ in helps for end in help_.saved)])
    least = min(0.0, *(help_.saved.low for help_ in helps))
    scale = (WIDTH - left - 70) / (most - least)
    zero = left - least * scale
    parts = [f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{row * len(helps)}"/>']
    for number, help_ in enumerate(helps):
        y = number * row + 6
        value, low, high = help_.saved
        start, end = sorted((zero, zero + value * scale))
        kind = "good" if low > 0 else "bad" if high < 0 else "none"
        parts.append(
            f'<text x="0" y="{y + 12}">{escape(help_.change)}</text>'
            f'<rect class="{kind}" x="{start:.1f}" y="{y}" width="{max(1.0, end - start):.1f}" height="14"/>'
            f'<line class="whisker" x1="{zero + low * scale:.1f}" x2="{zero + high * scale:.1f}" '
            f'y1="{y + 7}" y2="{y + 7}"/>'
            f'<text x="{max(end, zero + high * scale) + 6:.1f}" y="{y + 12}">{value:+.2f} s</text>'
        )
    return Markup(f"<figure>{_wrap_svg(row * len(helps) + 6, parts, 'what each change saves')}</figure>")


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
    parts.append(_draw_area(_thin_out(turn.samples), across, 94, 70, "queue, kB", "queue"))
    arrived = sorted(at for at, _ in turn.audio if at < math.inf)
    hand = (
        [(at, max(0.0, _arrived_seconds(turn, at) - min(seconds, play.position(at)))) for at in ticks]
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


def _thin_out(samples: Sequence[tuple[float, int, float]]) -> list[tuple[float, float]]:
    """Return at most some 400 points of a queue over time for a chart: seconds, and the longest queue of each
    stretch in kB."""
    step = max(1, len(samples) // _MAX_POINTS)
    stretches = [samples[begin : begin + step] for begin in range(0, len(samples), step)]
    return [(stretch[0][0], max(queue for _, queue, _ in stretch) / 1000) for stretch in stretches]


def _draw_area(
    points: Sequence[tuple[float, float]],
    pixels_a_second: float,
    top: float,
    height: float,
    label: str,
    kind: str,
) -> str:
    """Draw values over time as a filled area of a chart, and return the SVG. `points` are pairs of seconds
    and value; `label` says what the values are. The area lies `height` pixels high below the pixel row `top`,
    in the style class `kind`. The highest value stands at the left."""
    most = max((value for _, value in points), default=0.0) or 1.0
    drawn_points = [
        f"{_LEFT + at * pixels_a_second:.1f},{top + height - value / most * (height - 14):.1f}"
        for at, value in points
        if _LEFT + at * pixels_a_second <= WIDTH - _RIGHT + 1
    ]
    area = ""
    if drawn_points:
        first, last = drawn_points[0].partition(",")[0], drawn_points[-1].partition(",")[0]
        outline = f"{first},{top + height} {' '.join(drawn_points)} {last},{top + height}"
        area = f'<polygon class="{kind}" points="{outline}"/>'
    return (
        f'{area}<text x="{_LEFT + 4}" y="{top + 10}">{label}</text>'
        f'<text class="tick" x="{_LEFT - 6}" y="{top + 18}" text-anchor="end">{most:.3g}</text>'
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{top + height}" y2="{top + height}"/>'
    )


def _draw_axes(right: float, top: float, x_label: str, y_label: str, bottom: float) -> str:
    """Draw the axes of a chart, each with six marks, and their labels. The horizontal axis goes from 0 to
    `right`, the vertical from 0 to `top`; `bottom` is the pixel row of the horizontal axis."""
    parts = []
    steps = 5
    for index in range(steps + 1):
        x = _LEFT + index * (WIDTH - _LEFT - _RIGHT) / steps
        y = bottom - index * (bottom - 12) / steps
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">'
            f"{right * index / steps:.3g}</text>"
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{top * index / steps:.3g}</text>"
        )
    parts.append(
        f'<text x="{WIDTH - _RIGHT}" y="{bottom + 28}" text-anchor="end">{escape(x_label)}</text>'
        f'<text x="{_LEFT + 4}" y="10">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _wrap_svg(height: float, parts: Sequence[str], label: str) -> str:
    """Return a chart of the study's page as SVG in an HTML box, which can be scrolled on a small screen.
    `parts` are the drawn elements, and `label` describes the chart in words."""
    name = f'aria-label="{escape(label)}"'
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    svg = f'<svg role="img" {name} {size}>{"".join(parts)}</svg>'
    return f'<div class="scroll" role="group" {name} tabindex="0">{svg}</div>'


def draw_sweep(points: Sequence[str], estimates: Mapping[str, Sequence[Estimate]], label: str) -> Markup:
    """Draw a chart of one figure of the study over the points of its sweep, with one line for each policy:
    `estimates` holds the figure's values by policy. If the sweep changes one number only, the horizontal axis
    shows that number; otherwise the points are numbered."""
    values = _swept_numbers(points)
    finite = [estimate.value for row in estimates.values() for estimate in row if estimate.value < math.inf]
    lines = [
        Line(
            name,
            sorted(
                (at, figure.value) for at, figure in zip(values, row, strict=True) if figure.value < math.inf
            ),
        )
        for name, row in estimates.items()
    ]
    names = {point.rpartition(" ")[0] for point in points}
    x_label = names.pop() if len(names) == 1 else " · ".join(points)
    return draw_line_chart(lines, x_label, label, right=max(*values, 0.01), top=max([*finite, 0.01]))


def _swept_numbers(points: Sequence[str]) -> list[float]:
    """Return where each point of a sweep lies on the axis of its chart, such as 0.5 for the point
    "start_buffer 0.5". If the points are not numbers of one key, number them from 0."""
    words = [point.split(" ") for point in points]
    try:
        if all(len(pair) == 2 and pair[0] == words[0][0] for pair in words):
            return [float(number) for _, number in words]
    except ValueError:
        pass
    return [float(place) for place in range(len(points))]
