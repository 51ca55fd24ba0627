"""`spatius-sim schema`: prints the JSON Schema of a file."""

import json
import sys

import click


@click.command()
@click.argument("name", type=click.Choice(["conformance", "baseline", "report", "study"]))
def schema(name: str) -> None:
    """Print the JSON Schema of conformance.yaml, of a baseline, or of the JSON report of a run or a study."""
    from spatius_sim.engine.baseline_file import baseline_schema
    from spatius_sim.engine.conformance_file import conformance_schema
    from spatius_sim.reporting.formats.json_report import report_schema
    from spatius_sim.study.study_json import study_schema

    # `report_schema` returns text; the other functions return values.
    make_schema = {"conformance": conformance_schema, "baseline": baseline_schema, "study": study_schema}
    is_made = name in make_schema
    sys.stdout.write(json.dumps(make_schema[name](), indent=2) + "\n" if is_made else report_schema())
