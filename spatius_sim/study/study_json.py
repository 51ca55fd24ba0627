"""Writes what a study found as JSON, with its schema."""

import json
import math
from typing import Any

from spatius_sim.study.run_study import Outcome, SimulatedCell
from spatius_sim.study.study_figures import FIGURES, Estimate

FORMAT, VERSION = "spatius-sim study", 1


def json_report(outcome: Outcome) -> str:
    """Return the outcome of a study as JSON."""
    return json.dumps(outcome_values(outcome), indent=1, allow_nan=False) + "\n"


def outcome_values(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome of a study as values for JSON. An infinite value, for what never happens, is
    null."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "about": outcome.study.about,
        "seed": outcome.seed,
        "complete": outcome.complete,
        "turns": outcome.study.turns,
        "cells": [_cell_to_json(cell) for cell in outcome.cells],
        "what_would_help": [
            {
                "network": network,
                "changes": [
                    {
                        "change": change.change,
                        "saved_seconds": _estimate(change.saved),
                        "first_motion_p95": _number(change.first_motion_p95),
                        "stalls_per_minute": _number(change.stalls_per_minute),
                        "keyframes_late": _number(change.keyframes_late),
                    }
                    for change in changes
                ],
            }
            for network, changes in outcome.helps.items()
        ],
        "judged": [
            {
                "network": judged.network,
                "policy": judged.policy,
                "turns": judged.turns,
                "broken": judged.broken,
            }
            for judged in outcome.judged
        ],
    }


def _cell_to_json(simulated_cell: SimulatedCell) -> dict[str, Any]:
    """Return one cell of the study, with its figures, as values for JSON. A cell is a network, a policy, and
    a point of the sweep: one value for each setting that the study varies."""
    return {
        "network": simulated_cell.cell.network.name,
        "policy": simulated_cell.cell.policy,
        "point": simulated_cell.cell.point,
        "turns": simulated_cell.tally.turns,
        "worst_turn": simulated_cell.worst,
        "figures": {key: _estimate(estimate) for key, estimate in simulated_cell.figures.items()},
        "budgets": {key: verdict.value for key, verdict in simulated_cell.verdicts.items()},
    }


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    """Return the values for JSON of a figure and its confidence interval."""
    return {name: _number(value) for name, value in estimate._asdict().items()}


def _number(value: float) -> float | None:
    """Return a number with six digits for JSON; None for infinity."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def study_schema() -> dict[str, Any]:
    """Return the JSON Schema of a study's JSON report."""
    number = {"type": ["number", "null"]}
    text = {"type": "string"}
    count = {"type": "integer", "minimum": 0}
    estimate = _schema_of_object({"value": number, "low": number, "high": number})
    estimate["description"] = "A figure and its 95 % interval. null: never, or not bounded."
    change = _schema_of_object(
        {
            "change": text,
            "saved_seconds": estimate,
            "first_motion_p95": number,
            "stalls_per_minute": number,
            "keyframes_late": number,
        }
    )
    cell = _schema_of_object(
        {
            "network": text,
            "policy": text,
            "point": text,
            "turns": count,
            "worst_turn": count,
            "figures": _schema_of_object(
                {key: estimate | {"description": kind.definition} for key, kind in FIGURES.items()}
            ),
            "budgets": {
                "type": "object",
                "additionalProperties": {"enum": ["kept", "FAILED", "INCONCLUSIVE"]},
            },
        }
    )
    judged = _schema_of_object(
        {
            "network": text,
            "policy": text,
            "turns": {"type": "array", "items": count},
            "broken": {"type": "array", "items": text},
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FORMAT,
        **_schema_of_object(
            {
                "format": {"const": FORMAT},
                "version": {"const": VERSION},
                "about": text,
                "seed": {"type": "integer"},
                "complete": {"type": "boolean"},
                "turns": count,
                "cells": {"type": "array", "items": cell},
                "what_would_help": {
                    "type": "array",
                    "items": _schema_of_object(
                        {"network": text, "changes": {"type": "array", "items": change}}
                    ),
                },
                "judged": {"type": "array", "items": judged},
            }
        ),
    }


def _schema_of_object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object that has all of these properties, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
