"""The figures of a study, each with its definition and its confidence interval (95 %)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.study.turn_tally import ACCEPTABLE_EARLY, DETECTABLE_EARLY, Distribution, Sums, Tally

_Z = 1.959964
_RESAMPLES = 400
_BOOTSTRAP_SEED = 20
_NO_EVENT = 3.689
"""If no event was seen, the upper end of the 95 % interval of their number (Poisson)."""


class Estimate(NamedTuple):
    """A figure with the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FigureKind:
    """One figure. `unit` is s, kB, % or a text; a figure in % is a share from 0 to 1."""

    key: str
    title: str
    unit: str
    definition: str
    estimate: Callable[[Tally], Estimate]


def estimate_share(events: float, total: float) -> Estimate:
    """Estimate a share that was counted, such as stalled turns of all turns: `events` / `total`. Its
    confidence interval (95 %) comes by the method of Wilson. If `total` is 0, return 0 with the interval from
    0 to 1."""
    if total <= 0:
        return Estimate(0.0, 0.0, 1.0)
    share = events / total
    centre = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half_width = _Z / (1 + _Z**2 / total) * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return Estimate(
        share, max(0.0, min(share, centre - half_width)), min(1.0, max(share, centre + half_width))
    )


def estimate_quantile(distribution: Distribution, share: float) -> Estimate:
    """Estimate a figure that is a quantile of counted values, such as the median (`share` 0.5). Nothing is
    assumed about their distribution: its confidence interval lies between the values whose ranks bound the
    Wilson interval of `share`.

    With few values, the upper end is infinity. Without any, return 0 with the interval from 0 to infinity."""
    total = distribution.total
    if not total:
        return Estimate(0.0, 0.0, math.inf)
    rank_bounds = estimate_share(share * total, total)
    low = distribution.value_at_rank(max(1, math.floor(rank_bounds.low * total)))
    # With few turns the true quantile may lie above the highest value seen.
    high_rank = math.ceil(rank_bounds.high * total) + (1 if share**total > 0.025 else 0)
    high = distribution.value_at_rank(high_rank) if high_rank <= total else math.inf
    return Estimate(distribution.value_at_rank(max(1, math.ceil(share * total))), low, high)


def _count_draws(group_count: int) -> NDArray[np.int64]:
    """Return how often each group of turns is drawn in each resample of the bootstrap: shape (resamples,
    groups)."""
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    return rng.multinomial(group_count, [1 / group_count] * group_count, size=_RESAMPLES)


def estimate_ratio(
    tally: Tally, get_numerator: Callable[[Sums], float], get_denominator: Callable[[Sums], float]
) -> Estimate:
    """Estimate a ratio over all turns of a tally: the sum of one value, divided by the sum of another. Both
    are read from the sums of each group of turns. The confidence interval comes from a bootstrap: groups are
    drawn again and again.

    If the denominator is 0, return 0 with the interval from 0 to infinity. If only the numerator is 0, the
    upper end is the upper limit for zero events that Poisson's distribution gives. With a single group, it is
    infinity."""
    groups = [group for group in tally.groups if group.turns]
    numerators = np.array([get_numerator(group) for group in groups])
    denominators = np.array([get_denominator(group) for group in groups])
    denominator_sum = float(denominators.sum()) if groups else 0.0
    if not denominator_sum:
        return Estimate(0.0, 0.0, math.inf)
    value = float(numerators.sum()) / denominator_sum
    if not value:
        return Estimate(0.0, 0.0, _NO_EVENT / denominator_sum)
    if len(groups) < 2:
        return Estimate(value, 0.0, math.inf)
    draw_counts = _count_draws(len(groups))
    ratios = (draw_counts @ numerators) / np.maximum(draw_counts @ denominators, 1e-12)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def estimate_saving(tally_before: Tally, tally_after: Tally) -> Estimate:
    """Estimate how many seconds of trouble a change to the pipeline saves in a turn, from the tallies without
    and with the change. Trouble is the time in which the face does not move in step with the audio. Both
    tallies hold the same turns on the same network, so they are compared group by group. The confidence
    interval comes from a bootstrap over the groups."""
    pairs = [
        (sums_before.trouble_us - sums_after.trouble_us, sums_before.turns)
        for sums_before, sums_after in zip(tally_before.groups, tally_after.groups, strict=True)
        if sums_before.turns and sums_before.turns == sums_after.turns
    ]
    saved_us, turns = (np.array(column) for column in zip(*pairs, strict=True))
    value = float(saved_us.sum()) / float(turns.sum()) / 1e6
    draw_counts = _count_draws(len(pairs))
    low, high = np.quantile((draw_counts @ saved_us) / (draw_counts @ turns) / 1e6, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _estimate_offset_quantile(tally: Tally, share: float) -> Estimate:
    """Estimate a quantile (`share` from 0 to 1) of the lip-sync offset: by how many seconds the audio is
    ahead of the face. A tally counts the offsets in keyframes. The confidence interval comes from a bootstrap
    over groups of turns. Without any offset, return 0 with the interval from 0 to infinity."""
    groups = [group.offsets for group in tally.groups if group.offsets]
    if not groups:
        return Estimate(0.0, 0.0, math.inf)
    offset_count = max(max(offsets) for offsets in groups) + 1
    counts_by_group = np.zeros((len(groups), offset_count), np.int64)
    for row, offsets in zip(counts_by_group, groups, strict=True):
        for offset, count in offsets.items():
            row[offset] = count
    value = _quantile_of_counts(counts_by_group.sum(axis=0), share)
    resampled = [
        _quantile_of_counts(draw_count @ counts_by_group, share) for draw_count in _count_draws(len(groups))
    ]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _quantile_of_counts(counts: NDArray[np.int64], share: float) -> float:
    """Return a quantile of the lip-sync offset in seconds, from how often each offset in keyframes was
    counted."""
    sums = np.cumsum(counts)
    return float(np.searchsorted(sums, share * sums[-1])) / KEYFRAMES_PER_SECOND


def _make_time_ahead_figure(key: str, title: str, definition: str, seconds: float) -> FigureKind:
    """Make the figure that says during which share of the time the audio is more than `seconds` ahead of the
    face."""

    def count_moments_ahead(sums: Sums) -> int:
        return sum(count for offset, count in sums.offsets.items() if offset > seconds * KEYFRAMES_PER_SECOND)

    return FigureKind(
        key,
        title,
        "%",
        definition,
        lambda tally: estimate_ratio(tally, count_moments_ahead, lambda sums: sums.offsets.total()),
    )


def _make_quantile_figures(
    name: str, title: str, unit: str, definition: str, percentiles: Sequence[int]
) -> list[FigureKind]:
    """Make the figures for one kind of measured value, such as a delay: one figure for each of these
    percentiles. A tally counts the values in its distribution `name`."""

    def make_estimator(percentile: int) -> Callable[[Tally], Estimate]:
        return lambda tally: estimate_quantile(tally.distributions[name], percentile / 100)

    return [
        FigureKind(
            f"{name}_p{percentile}", f"{title} p{percentile}", unit, definition, make_estimator(percentile)
        )
        for percentile in percentiles
    ]


def _make_offset_figure(percentile: int) -> FigureKind:
    """Make the figure for one percentile of the lip-sync offset: by how many seconds the audio is ahead of
    the face."""
    definition = (
        "How far the audio is ahead of the keyframe that the face shows, at each moment at which a keyframe "
        "is due, from the first motion on."
    )
    return FigureKind(
        f"offset_p{percentile}",
        f"lip-sync offset p{percentile}",
        "s",
        definition,
        lambda tally: _estimate_offset_quantile(tally, percentile / 100),
    )


def _make_share_of_turns_figure(key: str, title: str, definition: str, sum_name: str) -> FigureKind:
    """Make the figure that says which share of all turns had some trouble. `sum_name` is the name of the sum
    in which a tally counts these turns, such as "stalled_turns"."""

    def estimate(tally: Tally) -> Estimate:
        return estimate_share(sum(getattr(group, sum_name) for group in tally.groups), tally.turns)

    return FigureKind(key, title, "%", definition, estimate)


FIGURES: dict[str, FigureKind] = {
    figure.key: figure
    for figure in (
        *_make_quantile_figures(
            "first_audio",
            "first audio",
            "s",
            "From the first chunk of speech at the relay to the first sound at the client.",
            (50, 95, 99),
        ),
        *_make_quantile_figures(
            "first_motion",
            "first motion",
            "s",
            "From the first chunk of speech at the relay to the first keyframe that the client shows.",
            (50, 95, 99),
        ),
        FigureKind(
            "stalls_per_minute",
            "stalls a minute",
            "",
            "How often the sound stops in a minute of speech, for lack of audio or (strictSync) of motion.",
            lambda tally: estimate_ratio(tally, lambda sums: sums.stalls, lambda sums: sums.speech_us / 60e6),
        ),
        _make_share_of_turns_figure(
            "turns_with_stall", "turns with a stall", "Turns in which the sound stops.", "stalled_turns"
        ),
        *_make_quantile_figures("stall_length", "stall", "s", "How long the sound stops.", (50, 95)),
        FigureKind(
            "keyframes_late",
            "keyframes late",
            "%",
            "Keyframes that are never shown, because their moment has passed when their motion comes.",
            lambda tally: estimate_ratio(tally, lambda sums: sums.late, lambda sums: sums.keyframes),
        ),
        *(_make_offset_figure(share) for share in (50, 95, 99)),
        _make_time_ahead_figure(
            "offset_seen",
            "seen out of step",
            "Moments with the audio more than 45 ms ahead of the face: people see it, by ITU-R BT.1359.",
            DETECTABLE_EARLY,
        ),
        _make_time_ahead_figure(
            "offset_outside",
            "out of step",
            "Moments with the audio more than 90 ms ahead of the face: not acceptable by ITU-R BT.1359.",
            ACCEPTABLE_EARLY,
        ),
        _make_share_of_turns_figure(
            "audio_only", "audio-only turns", "Turns in which the face never moves.", "audio_only"
        ),
        _make_share_of_turns_figure(
            "unfinished", "unfinished turns", "Turns whose audio never arrives whole.", "unfinished"
        ),
        *_make_quantile_figures(
            "wait_for_audio",
            "wait for smooth sound",
            "s",
            "How long after its first audio a client had to start, so that the sound never stops.",
            (99,),
        ),
        *_make_quantile_figures(
            "wait_for_all",
            "wait for a smooth turn",
            "s",
            "How long after its first audio a client had to start, so that the sound never stops and no "
            "keyframe is late.",
            (99,),
        ),
        *_make_quantile_figures(
            "after_kilobytes",
            "comes after an interrupt",
            "kB",
            "What still reaches the client after the user interrupts: it was sent before the relay knew, or "
            "lies in its socket.",
            (50, 95),
        ),
        *_make_quantile_figures(
            "after_seconds",
            "after an interrupt, for",
            "s",
            "For how long it still comes.",
            (95,),
        ),
        FigureKind(
            "trouble",
            "trouble a turn",
            "s",
            "Mean seconds of a turn in which no avatar speaks in step: the wait for the first motion, and "
            "after it the stalls and the moments of late keyframes.",
            lambda tally: estimate_ratio(tally, lambda sums: sums.trouble_us / 1e6, lambda sums: sums.turns),
        ),
    )
}
"""All figures by key, in the order in which they are shown."""


def estimates(tally: Tally) -> dict[str, Estimate]:
    """Return every figure of a tally, by key."""
    return {key: figure.estimate(tally) for key, figure in FIGURES.items()}
