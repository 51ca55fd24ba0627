"""Says figures in words: numbers with their units, and the answer of a study in a sentence."""

import math

from spatius_sim.study.run_study import Outcome
from spatius_sim.study.study_definition import BudgetVerdict
from spatius_sim.study.study_figures import FIGURES, Estimate

SHOWN = (
    "first_audio_p50",
    "first_motion_p50",
    "first_motion_p95",
    "stalls_per_minute",
    "turns_with_stall",
    "keyframes_late",
    "offset_outside",
    "wait_for_all_p99",
)
"""The figures that a table shows; JSON and page have all."""


def format_amount(value: float, unit: str) -> str:
    """Return a figure in words: a number with its unit. `%` turns a share (0 to 1) into per cent. An
    infinite time is "never"."""
    if value == math.inf:
        return "never"
    if unit == "%":
        return f"{100 * value:.3g} %"
    text = f"{value:.2f}" if unit == "s" and value < 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def format_interval(estimate: Estimate, unit: str) -> str:
    """Return the interval of confidence of a figure in words."""
    high = "?" if estimate.high == math.inf else format_amount(estimate.high, unit)
    return f"{format_amount(estimate.low, unit)} to {high}"


def budget_lines(outcome: Outcome) -> list[str]:
    """Return in words which budgets of a study are not kept: for each a sentence with the figure, its
    interval and the budget."""
    lines = []
    for simulated in outcome.cells:
        for key, verdict in simulated.verdicts.items():
            if verdict is BudgetVerdict.KEPT:
                continue
            figure = FIGURES[key]
            estimate = simulated.figures[key]
            most = next(budget.most for budget in outcome.study.budgets if budget.figure == key)
            lines.append(
                f"{verdict.value}: {simulated.cell.network.name}, {simulated.cell.name}: {figure.title} "
                f"{format_amount(estimate.value, figure.unit)} ({format_interval(estimate, figure.unit)}), "
                f"budget {format_amount(most, figure.unit)}"
            )
    return lines


def answer(outcome: Outcome) -> str:
    """Say the answer of a study in words: when the face first moves on the network with the least trouble and
    on the one with the most, and how many budgets are kept."""
    if not outcome.cells:
        return "No turn was simulated."
    verdicts = outcome.verdicts
    best = min(outcome.cells, key=lambda cell: cell.figures["trouble"].value)
    text = (
        f"On {best.cell.network.name} ({best.cell.name}) the face moves after "
        f"{format_amount(best.figures['first_motion_p50'].value, 's')} at the median; "
    )
    worst = max(outcome.cells, key=lambda cell: cell.figures["trouble"].value)
    text += (
        f"on {worst.cell.network.name} ({worst.cell.name}) after "
        f"{format_amount(worst.figures['first_motion_p50'].value, 's')}, with "
        f"{format_amount(worst.figures['stalls_per_minute'].value, '')} stalls a minute."
    )
    if not verdicts:
        return text
    failed = verdicts.count(BudgetVerdict.FAILED)
    undecided = verdicts.count(BudgetVerdict.INCONCLUSIVE)
    if failed:
        return f"{failed} of {len(verdicts)} budgets are exceeded. {text}"
    if undecided:
        return f"{undecided} of {len(verdicts)} budgets are not decided by so few turns. {text}"
    return f"All {len(verdicts)} budgets are kept. {text}"
