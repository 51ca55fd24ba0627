"""Draws what a study found as one page that opens offline, runs no script, and loads nothing."""

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spatius_sim.study.answer_in_words import (
    SHOWN,
    describe_budgets_not_kept,
    format_amount,
    format_interval,
    summarize_outcome,
)
from spatius_sim.study.draw_charts import draw_distribution, draw_ranking, draw_sweep, draw_time_line
from spatius_sim.study.run_study import Outcome, SimulatedCell, worst_turn
from spatius_sim.study.study_definition import BudgetVerdict
from spatius_sim.study.study_figures import FIGURES

_MAX_PICTURES = 40


def make_study_page(outcome: Outcome) -> str:
    """Return what a study found as an HTML page that needs no other file."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("spatius_sim.study"), PackageLoader("spatius_sim.reporting")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"amount": format_amount, "interval": format_interval}
    return environment.get_template("study.html.j2").render(
        **_values_for_template(outcome), **_read_style_sheet()
    )


def _values_for_template(outcome: Outcome) -> dict[str, Any]:
    """Return the values that the template of a study's page shows, by name. The page shows the worst turn of
    each network, charts of the sweep or, without a sweep, of the distributions, and a ranking of the changes
    that help."""
    cells_by_network: dict[str, list[SimulatedCell]] = {}
    for cell in outcome.cells[: _MAX_PICTURES * 10]:  # As many as a study may have: MAX_CELLS.
        cells_by_network.setdefault(cell.cell.network.name, []).append(cell)
    worst_cells = [
        max(cells, key=lambda simulated: simulated.tally.worst or (0, 0))
        for cells in cells_by_network.values()
    ]
    turns = [(cell, worst_turn(cell, outcome.seed)) for cell in worst_cells[:_MAX_PICTURES]]
    swept = bool(outcome.study.sweep)
    return {
        "outcome": outcome,
        "sentence": summarize_outcome(outcome),
        "verdict_style": _choose_verdict_style(outcome),
        "budgets": describe_budgets_not_kept(outcome),
        "shown": SHOWN,
        "kinds": FIGURES,
        "first_policy": next(iter(outcome.study.policies)),
        "distributions": [] if swept else _draw_distributions(cells_by_network),
        "sweeps": _draw_sweeps(cells_by_network) if swept else [],
        "helps": [(network, draw_ranking(helps)) for network, helps in outcome.helps.items() if helps],
        "worst": [(cell, turn, draw_time_line(turn, cell.cell.pipeline.seconds)) for cell, turn in turns],
    }


def _draw_distributions(cells_by_network: dict[str, list[SimulatedCell]]) -> list[tuple[str, Markup]]:
    """Draw for each network, up to `_MAX_PICTURES`, a chart of the time to the first motion. Return the names
    of the networks with their charts."""
    pictures = []
    for network, cells in list(cells_by_network.items())[:_MAX_PICTURES]:
        distributions = {cell.cell.name: cell.tally.distributions["first_motion"] for cell in cells}
        pictures.append((network, draw_distribution(distributions, "seconds to the first motion")))
    return pictures


def _draw_sweeps(cells_by_network: dict[str, list[SimulatedCell]]) -> list[tuple[str, Markup]]:
    """Draw for each network, up to `_MAX_PICTURES`, a chart of the seconds of trouble per turn (the face does
    not move in step with the audio), for each policy and each point of the sweep. Return the names of the
    networks with their charts."""
    pictures = []
    for network, cells in list(cells_by_network.items())[:_MAX_PICTURES]:
        points = list(dict.fromkeys(cell.cell.point for cell in cells))
        rows = {
            policy: [cell.figures["trouble"] for cell in cells if cell.cell.policy == policy]
            for policy in dict.fromkeys(cell.cell.policy for cell in cells)
        }
        pictures.append((network, draw_sweep(points, rows, "trouble a turn, s")))
    return pictures


def _choose_verdict_style(outcome: Outcome) -> str:
    """Return the style of the verdict on the HTML page of a study: good, bad or open."""
    if BudgetVerdict.FAILED in outcome.verdicts or any(judged.broken for judged in outcome.judged):
        return "bad"
    return "open" if BudgetVerdict.INCONCLUSIVE in outcome.verdicts or not outcome.complete else "good"


def _read_style_sheet() -> dict[str, str]:
    """Return the style sheet of a study's page (`css`) and its hash (`css_hash`). By the hash, the page tells
    the browser to allow this style and nothing else."""
    css = "".join(
        files(package).joinpath("templates", name).read_text(encoding="utf-8")
        for package, name in (("spatius_sim.reporting", "report.css"), ("spatius_sim.study", "study.css"))
    )
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return {"css": Markup(css), "css_hash": f"sha256-{digest}"}
