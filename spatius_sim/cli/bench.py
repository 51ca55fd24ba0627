"""`spatius-sim bench`: measures the simulator."""

import json
import sys

import click

from spatius_sim.reporting.exit_code import ExitCode

_JSON_KEYS = ("name", "value", "unit", "mark", "kept")


@click.command()
@click.option("--quick", is_flag=True, help="Every figure in a few seconds, none of them worth reading.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--mitmdump",
    metavar="PATH",
    help="Where mitmproxy's mitmdump is, to measure beside it; default: on the path.",
)
def bench(quick: bool, as_json: bool, mitmdump: str | None) -> int:
    """Measure how fast the simulator is, beside the least that could do its job.

    Takes four minutes. Ends with 1 if a promised figure is missed on this machine.
    """
    from rich.console import Console

    from spatius_sim.benchmarks.figure import FULL, QUICK
    from spatius_sim.benchmarks.measure_figures import measure_figures
    from spatius_sim.benchmarks.print_figures import print_figures
    from spatius_sim.reporting.formats.output_console import OutputConsole

    console = Console(stderr=True)
    figures = []
    with console.status("measuring") as status:
        for figure in measure_figures(QUICK if quick else FULL, mitmdump):
            status.update(f"measured: {figure.name}")
            figures.append(figure)
    if as_json:
        entries = [dict(zip(_JSON_KEYS, (*figure, figure.keeps_promise), strict=True)) for figure in figures]
        sys.stdout.write(json.dumps(entries, indent=2) + "\n")
    else:
        print_figures(OutputConsole(), [(*figure, figure.keeps_promise) for figure in figures])
    return 0 if quick or all(figure.keeps_promise for figure in figures) else ExitCode.RULE_FAILED
