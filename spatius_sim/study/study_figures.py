"""The figures of a study, each with its definition and its interval of confidence (95 %)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.study.turn_tally import ACCEPTABLE_EARLY, DETECTABLE_EARLY, Spread, Sums, Tally

_Z = 1.959964
_RESAMPLES = 400
_BOOTSTRAP_SEED = 20
_NO_EVENT = 3.689
"""If no event was seen, the upper end of the 95 % interval of their number (Poisson)."""


class Estimate(NamedTuple):
    """A figure with the ends of its interval of confidence."""

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


def wilson(events: float, total: float) -> Estimate:
    """Return the share `events` / `total` that a study has counted, such as stalled turns of all turns, with
    its 95 % confidence interval by the method of Wilson. If `total` is 0, return 0 with the interval from 0
    to 1."""
    if total <= 0:
        return Estimate(0.0, 0.0, 1.0)
    share = events / total
    centre = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def quantile(spread: Spread, share: float) -> Estimate:
    """Return the figure of a study for a quantile of the turns, such as the median. The interval of
    confidence lies between the values whose ranks bound the Wilson interval of `share`, so no distribution is
    assumed."""
    total = spread.total
    if not total:
        return Estimate(0.0, 0.0, math.inf)
    bounds = wilson(share * total, total)
    low = spread.at_rank(max(1, math.floor(bounds.low * total)))
    # With few turns the highest value seen bounds nothing.
    high_rank = math.ceil(bounds.high * total) + (1 if share**total > 0.025 else 0)
    high = spread.at_rank(high_rank) if high_rank <= total else math.inf
    return Estimate(spread.at_rank(max(1, math.ceil(share * total))), low, high)


def _resample(groups: int) -> NDArray[np.int64]:
    """Return how often each group of turns is drawn in each resample of the bootstrap: shape (resamples,
    groups)."""
    rng = np.random.default_rng(_BOOTSTRAP_SEED)
    return rng.multinomial(groups, [1 / groups] * groups, size=_RESAMPLES)


def estimate_ratio(tally: Tally, top: Callable[[Sums], float], bottom: Callable[[Sums], float]) -> Estimate:
    """Estimate a figure of the study that is a ratio over all turns: the sum of `top` divided by the sum of
    `bottom`. The interval of confidence is found by drawing groups of turns again and again (bootstrap)."""
    groups = [group for group in tally.groups if group.turns]
    tops, bottoms = np.array([top(group) for group in groups]), np.array([bottom(group) for group in groups])
    bottom_sum = float(bottoms.sum()) if groups else 0.0
    if not bottom_sum:
        return Estimate(0.0, 0.0, math.inf)
    value = float(tops.sum()) / bottom_sum
    if not value:
        return Estimate(0.0, 0.0, _NO_EVENT / bottom_sum)
    if len(groups) < 2:
        return Estimate(value, 0.0, math.inf)
    draws = _resample(len(groups))
    ratios = (draws @ tops) / np.maximum(draws @ bottoms, 1e-12)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def paired_saving(base: Tally, changed: Tally) -> Estimate:
    """Return the figure of how many seconds of trouble a change to the pipeline saves in a turn. `base` and
    `changed` are the tallies without and with the change. They hold the same turns on the same network, so
    they are compared turn by turn. The interval of confidence comes from a bootstrap over groups of turns."""
    pairs = [
        (base_sums.trouble_us - changed_sums.trouble_us, base_sums.turns)
        for base_sums, changed_sums in zip(base.groups, changed.groups, strict=True)
        if base_sums.turns and base_sums.turns == changed_sums.turns
    ]
    saved, turns = (np.array(column) for column in zip(*pairs, strict=True))
    value = float(saved.sum()) / float(turns.sum()) / 1e6
    draws = _resample(len(pairs))
    low, high = np.quantile((draws @ saved) / (draws @ turns) / 1e6, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _offset_estimate(tally: Tally, share: float) -> Estimate:
    """Return the study's figure for a quantile (`share` from 0 to 1) of the lip-sync offset in seconds. Its
    interval of confidence comes from a bootstrap over groups of turns."""
    groups = [group.offsets for group in tally.groups if group.offsets]
    if not groups:
        return Estimate(0.0, 0.0, math.inf)
    width = max(max(offsets) for offsets in groups) + 1
    table = np.zeros((len(groups), width), np.int64)
    for row, offsets in zip(table, groups, strict=True):
        for offset, count in offsets.items():
            row[offset] = count
    value = _quantile_of_counts(table.sum(axis=0), share)
    resampled = [_quantile_of_counts(draw @ table, share) for draw in _resample(len(groups))]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _quantile_of_counts(counts: NDArray[np.int64], share: float) -> float:
    """Return a quantile of the lip-sync offset in seconds, from how often each offset in keyframes was
    counted."""
    sums = np.cumsum(counts)
    return float(np.searchsorted(sums, share * sums[-1])) / KEYFRAMES_PER_SECOND


def _ahead_figure(key: str, title: str, definition: str, seconds: float) -> FigureKind:
    """Return the figure of a study that says during how many per cent of the time the audio is more than
    `seconds` ahead of the face."""

    def ahead(sums: Sums) -> int:
        return sum(count for offset, count in sums.offsets.items() if offset > seconds * KEYFRAMES_PER_SECOND)

    return FigureKind(
        key,
        title,
        "%",
        definition,
        lambda tally: estimate_ratio(tally, ahead, lambda sums: sums.offsets.total()),
    )


def _quantile_figures(
    name: str, title: str, unit: str, definition: str, shares: Sequence[int]
) -> list[FigureKind]:
    """Return the figures of a study for one kind of measured value, such as a delay: one figure for each of
    these percentiles (`shares`, in per cent). The tally keeps the values under the key `name`."""

    def estimate_quantile(share: int) -> Callable[[Tally], Estimate]:
        return lambda tally: quantile(tally.spreads[name], share / 100)

    return [
        FigureKind(f"{name}_p{share}", f"{title} p{share}", unit, definition, estimate_quantile(share))
        for share in shares
    ]


def _offset_figure(share: int) -> FigureKind:
    """Return the figure of a study for one quantile (`share` in per cent) of the lip-sync offset."""
    definition = (
        "How far the audio is ahead of the keyframe that the face shows, at each moment at which a keyframe "
        "is due, from the first motion on."
    )
    return FigureKind(
        f"offset_p{share}",
        f"lip-sync offset p{share}",
        "s",
        definition,
        lambda tally: _offset_estimate(tally, share / 100),
    )


def _share_of_turns_figure(key: str, title: str, definition: str, counted_as: str) -> FigureKind:
    """Return the figure of a study that says which share of all turns had some trouble. A tally counts these
    turns in its sum `counted_as`, such as "stalled_turns"."""

    def estimate(tally: Tally) -> Estimate:
        return wilson(sum(getattr(group, counted_as) for group in tally.groups), tally.turns)

    return FigureKind(key, title, "%", definition, estimate)


FIGURES: dict[str, FigureKind] = {
    figure.key: figure
    for figure in (
        *_quantile_figures(
            "first_audio",
            "first audio",
            "s",
            "From the first chunk of speech at the relay to the first sound at the client.",
            (50, 95, 99),
        ),
        *_quantile_figures(
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
        _share_of_turns_figure(
            "turns_with_stall", "turns with a stall", "Turns in which the sound stops.", "stalled_turns"
        ),
        *_quantile_figures("stall_length", "stall", "s", "How long the sound stops.", (50, 95)),
        FigureKind(
            "keyframes_late",
            "keyframes late",
            "%",
            "Keyframes that are never shown, because their moment has passed when their motion comes.",
            lambda tally: estimate_ratio(tally, lambda sums: sums.late, lambda sums: sums.keyframes),
        ),
        *(_offset_figure(share) for share in (50, 95, 99)),
        _ahead_figure(
            "offset_seen",
            "seen out of step",
            "Moments with the audio more than 45 ms ahead of the face: people see it, by ITU-R BT.1359.",
            DETECTABLE_EARLY,
        ),
        _ahead_figure(
            "offset_outside",
            "out of step",
            "Moments with the audio more than 90 ms ahead of the face: not acceptable by ITU-R BT.1359.",
            ACCEPTABLE_EARLY,
        ),
        _share_of_turns_figure(
            "audio_only", "audio-only turns", "Turns in which the face never moves.", "audio_only"
        ),
        _share_of_turns_figure(
            "unfinished", "unfinished turns", "Turns whose audio never arrives whole.", "unfinished"
        ),
        *_quantile_figures(
            "wait_for_audio",
            "wait for smooth sound",
            "s",
            "How long after its first audio a client had to start, so that the sound never stops.",
            (99,),
        ),
        *_quantile_figures(
            "wait_for_all",
            "wait for a smooth turn",
            "s",
            "How long after its first audio a client had to start, so that the sound never stops and no "
            "keyframe is late.",
            (99,),
        ),
        *_quantile_figures(
            "after_kilobytes",
            "comes after an interrupt",
            "kB",
            "What still reaches the client after the user interrupts: it was sent before the relay knew, or "
            "lies in its socket.",
            (50, 95),
        ),
        *_quantile_figures(
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
