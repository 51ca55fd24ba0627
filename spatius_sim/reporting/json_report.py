"""The summary for machines."""

import json
from collections.abc import Sequence
from pathlib import Path

from spatius_sim.reporting.summary import Summary, exit_code, outcome_to_json

FORMAT = "spatius-sim report"
VERSION = 1


def write_json_report(path: Path, summaries: Sequence[Summary]) -> None:
    """Write one object whose `rules` is a list of `{id, level, verdict, ...}` over all subjects."""
    report = {
        "format": FORMAT,
        "version": VERSION,
        "exit_code": int(exit_code(summaries)),
        "subjects": [
            {
                "subject": summary.subject,
                "target": summary.target,
                "seed": summary.seed,
                "kit_version": summary.kit_version,
                "catalogue_revision": summary.catalogue_revision,
                "level": summary.level,
                "profile": summary.profile,
                "required": sorted(summary.required & {o.rule_id for o in summary.outcomes}),
            }
            for summary in summaries
        ],
        "rules": [outcome_to_json(o) for summary in summaries for o in summary.outcomes],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
