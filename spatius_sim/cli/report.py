"""`spatius-sim report`: commands on reports."""

from pathlib import Path

import click

from spatius_sim.protocol.errors import UsageError

_file = click.Path(path_type=Path)


@click.group("report")
def report() -> None:
    """Work on reports that were written as JSON (--report-json, --report-dir)."""


@report.command("html")
@click.argument("source", metavar="REPORT", type=_file)
@click.argument("out", type=_file)
def html(source: Path, out: Path) -> None:
    """Write the HTML page of REPORT, a JSON report, to OUT."""
    from spatius_sim.reporting.formats.json_report import read_report
    from spatius_sim.reporting.formats.write_report_files import make_folders_for, write_reports

    paths = {"html": out}
    run_report = read_report(source)
    make_folders_for(paths)
    for error in write_reports(paths, run_report).values():
        raise UsageError(error)


@report.command("annotations")
@click.argument("source", metavar="REPORT", type=_file)
def annotations(source: Path) -> None:
    """Print what GitHub is to mark in a run: ten lines at most, the worst first."""
    from spatius_sim.reporting.formats.annotations import github_annotations
    from spatius_sim.reporting.formats.json_report import read_report

    for line in github_annotations(read_report(source)):
        click.echo(line)


@report.command("matrix")
@click.argument("sources", metavar="REPORT...", nargs=-1, required=True, type=_file)
@click.option("--html", "html_out", metavar="FILE", type=_file, help="Write it as a page.")
@click.option("--markdown", "markdown_out", metavar="FILE", type=_file, help="Write it as Markdown.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME", help="The head of a column; one per report."
)
def matrix(
    sources: tuple[Path, ...], html_out: Path | None, markdown_out: Path | None, labels: tuple[str, ...]
) -> None:
    """Put subjects or releases side by side, and show what changed from left to right."""
    from spatius_sim.cli.print_output import write_page
    from spatius_sim.reporting.formats.html_report import html_matrix
    from spatius_sim.reporting.formats.json_report import read_report
    from spatius_sim.reporting.formats.markdown_report import markdown_matrix
    from spatius_sim.reporting.formats.matrix_table import print_matrix
    from spatius_sim.reporting.formats.output_console import OutputConsole
    from spatius_sim.reporting.formats.write_report_files import make_folders_for
    from spatius_sim.reporting.report_matrix import matrix_of

    names = labels or tuple(map(str, sources))
    if len(names) != len(sources):
        raise UsageError(
            f"{len(sources)} reports have {len(names)} labels: give --label once for each, or never"
        )
    comparison = matrix_of([(name, read_report(source)) for name, source in zip(names, sources, strict=True)])
    makers = {"html": html_matrix, "markdown": markdown_matrix}
    out_paths = {"html": html_out, "markdown": markdown_out}
    paths = {name: path for name, path in out_paths.items() if path is not None}
    make_folders_for(paths)
    for name, out in paths.items():
        write_page(out, makers[name](comparison))
    if not paths:
        print_matrix(OutputConsole(), comparison)
