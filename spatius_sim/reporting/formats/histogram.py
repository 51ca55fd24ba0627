"""Makes the histogram of what a rule measured, as numbers and bars that a template can draw."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BAR_COUNT = 32
_WIDTH, _HEIGHT = 480.0, 96.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Statistics of measurements in `unit`, and `bars` in a box of `width` by `height` pixels. `median_x` and
    `p99_x` are the places of the median and of the 99th percentile in the box."""

    unit: str
    count: int
    least: float
    median: float
    p99: float
    most: float
    width: float
    height: float
    bars: tuple[Bar, ...]
    median_x: float
    p99_x: float


def histogram_of(measurements: Sequence[float], unit: str) -> Histogram | None:
    """Return the histogram of what a rule measured, such as delays in `unit`, with bars in pixels that a page
    can draw. NaN and infinite values are left out; return None if nothing else was measured."""
    values = np.asarray(measurements, np.float64)
    finite_values = values[np.isfinite(values)]
    if not len(finite_values):
        return None
    least, most = float(finite_values.min()), float(finite_values.max())
    median, p99 = (float(np.percentile(finite_values, percent)) for percent in (50, 99))
    span = (most - least) or 1.0  # If all are equal, any width will do.
    counts_of_bars, _ = np.histogram(finite_values, bins=_BAR_COUNT, range=(least, least + span))
    bar_width = _WIDTH / _BAR_COUNT
    heights = [float(count) / float(counts_of_bars.max()) * _HEIGHT for count in counts_of_bars]
    bars = tuple(
        Bar(
            round(index * bar_width, 2),
            round(_HEIGHT - height, 2),
            round(bar_width - 1, 2),
            round(height, 2),
        )
        for index, height in enumerate(heights)
        if height
    )
    median_x, p99_x = (round((value - least) / span * _WIDTH, 2) for value in (median, p99))
    count = len(finite_values)
    return Histogram(unit, count, least, median, p99, most, _WIDTH, _HEIGHT, bars, median_x, p99_x)
