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
    """Return a number with its unit as text. If the unit is `%`, the value is a share from 0 to 1, and is
    shown in per cent. Infinity stands for what never happens, and becomes "never"."""
    if value == math.inf:
        return "never"
    if unit == "%":
        return f"{100 * value:.3g} %"
    text = f"{value:.2f}" if unit == "s" and value < 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def format_interval(estimate: Estimate, unit: str) -> str:
    """Return the confidence interval of a figure in words."""
    high = "?" if estimate.high == math.inf else format_amount(estimate.high, unit)
    return f"{format_amount(estimate.low, unit)} to {high}"


def describe_budgets_not_kept(outcome: Outcome) -> list[str]:
    """Return a line of text for each budget that is exceeded, or that too few turns leave undecided. A budget
    is the most that a figure of the study may be. The line names the figure, its confidence interval, and the
    budget."""
    lines = []
    for simulated_cell in outcome.cells:
        for key, verdict in simulated_cell.verdicts.items():
            if verdict is BudgetVerdict.KEPT:
                continue
            figure = FIGURES[key]
            estimate = simulated_cell.figures[key]
            limit = next(budget.most for budget in outcome.study.budgets if budget.figure == key)
            lines.append(
                f"{verdict.value}: {simulated_cell.cell.network.name}, {simulated_cell.cell.name}: "
                f"{figure.title} "
                f"{format_amount(estimate.value, figure.unit)} ({format_interval(estimate, figure.unit)}), "
                f"budget {format_amount(limit, figure.unit)}"
            )
    return lines


def summarize_outcome(outcome: Outcome) -> str:
    """Return what a study found as a few sentences: how many budgets are kept, and when the face first moves
    in the cell with the least trouble and in the cell with the most. A cell is one network with one pipeline;
    its trouble is the time in which the face does not move in step with the audio."""
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
