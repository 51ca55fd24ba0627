"""`spatius-sim schema` and `examples`: what a team copies."""

import json
import sys

import click

from spatius_sim.cli.print_output import print_short_lines


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


@click.command()
def examples() -> None:
    """Say where the example relays, the JavaScript shim for clients, and what a CI runs, lie."""
    from spatius_sim.files.find_resources import resource

    folder = resource("conformance")
    relays = sorted(path for path in (folder / "examples").glob("[!_]*") if path.is_dir())
    print_short_lines(*map(str, (*relays, folder / "client" / "js", folder / "ci")))
