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
    from spatius_sim.reporting.formats.write_report_files import prepare_report_files, write_reports

    path_by_format = {"html": out}
    run_report = read_report(source)
    prepare_report_files(path_by_format)
    for error in write_reports(path_by_format, run_report).values():
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
    from spatius_sim.cli.print_output import write_output_file
    from spatius_sim.reporting.formats.html_report import html_matrix
    from spatius_sim.reporting.formats.json_report import read_report
    from spatius_sim.reporting.formats.markdown_report import markdown_matrix
    from spatius_sim.reporting.formats.matrix_table import print_matrix
    from spatius_sim.reporting.formats.output_console import OutputConsole
    from spatius_sim.reporting.formats.write_report_files import prepare_report_files
    from spatius_sim.reporting.report_matrix import matrix_of

    column_names = labels or tuple(map(str, sources))
    if len(column_names) != len(sources):
        raise UsageError(
            f"{len(sources)} reports have {len(column_names)} labels: give --label once for each, or never"
        )
    columns = zip(column_names, sources, strict=True)
    comparison = matrix_of([(name, read_report(source)) for name, source in columns])
    make_page_by_format = {"html": html_matrix, "markdown": markdown_matrix}
    options = {"html": html_out, "markdown": markdown_out}
    path_by_format = {page_format: path for page_format, path in options.items() if path is not None}
    prepare_report_files(path_by_format)
    for page_format, path in path_by_format.items():
        write_output_file(path, make_page_by_format[page_format](comparison))
    if not path_by_format:
        print_matrix(OutputConsole(), comparison)
