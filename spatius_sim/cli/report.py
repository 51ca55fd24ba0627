"""`spatius-sim report`: commands on reports, and the checks of arguments that others share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from spatius_sim.engine.options import refuse_empty
from spatius_sim.protocol.errors import UsageError

_TARGET = "spatius_sim.target"

_C = TypeVar("_C", bound=Callable[..., Any])


def subject_argument(*, required: bool, metavar: str | None = None) -> Callable[[_C], _C]:
    """Return the decorator that adds the argument `target`, the URL of a relay, to a command. The user may
    also write the URL as `--target URL`, as for pytest."""

    def take_either(context: click.Context, argument: click.Parameter, value: Any) -> Any:
        """Return the URL that the argument or the option `--target` names; the option is read first. Raises
        UsageError if both name one, and MissingParameter if neither does and the command needs one."""
        by_option = context.meta.get(_TARGET)
        if value is not None and by_option is not None:
            raise UsageError(f"two relays are named, {value} and --target {by_option}: name one")
        if value is None and by_option is None and required:
            raise click.MissingParameter(ctx=context, param=argument)
        return by_option if value is None else require_value(context, argument, value)

    def decorate(command: _C) -> _C:
        """Add the argument and the option `--target` to a command."""
        argument = click.argument("target", required=False, metavar=metavar, callback=take_either)
        option = click.option(
            "--target",
            "target_option",
            metavar="URL",
            is_eager=True,
            expose_value=False,
            callback=_keep_target,
            help="The same URL, as pytest takes it.",
        )
        return option(argument(command))

    return decorate


def _keep_target(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep the value of the option `--target` for the argument. Raises UsageError if it is empty."""
    context.meta[_TARGET] = require_value(context, option, value)


def require_value(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Return the value of an option or argument of a command. Raises UsageError if it is empty."""
    is_option = isinstance(parameter, click.Option)
    refuse_empty({parameter.opts[0] if is_option else parameter.human_readable_name.strip("[]"): value})
    return value


_file = click.Path(path_type=Path)


@click.group("report")
def report() -> None:
    """Work on reports that were written as JSON (--report-json, --report-dir)."""


@report.command("html")
@click.argument("source", metavar="REPORT", type=_file)
@click.argument("out", type=_file)
def html(source: Path, out: Path) -> None:
    """Draw the page of REPORT again."""
    from spatius_sim.reporting.formats.files import make_folders_for, write_reports
    from spatius_sim.reporting.formats.json_report import read_report

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
    from spatius_sim.cli.common import write_page
    from spatius_sim.reporting.formats.files import make_folders_for
    from spatius_sim.reporting.formats.html_report import html_matrix
    from spatius_sim.reporting.formats.json_report import read_report
    from spatius_sim.reporting.formats.markdown_report import markdown_matrix
    from spatius_sim.reporting.formats.matrix_table import print_matrix
    from spatius_sim.reporting.formats.output_console import OutputConsole
    from spatius_sim.reporting.matrix import matrix_of

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
