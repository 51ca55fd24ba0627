"""The options of the kit on the command line, and where its reports go."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from spatius_sim.kit.judge_options import REPORT_OPTIONS, JudgeOption

if TYPE_CHECKING:
    from pathlib import Path


def as_click(option: JudgeOption) -> click.Option:
    """An option of the judge as click has it."""
    return click.Option(
        [f"--{option.name}", option.field],
        type=click.Choice(option.choices) if option.choices else option.parse,
        is_flag=option.parse is bool or None,
        multiple=option.repeatable,
        metavar=option.metavar or None,
        help=f"{option.help[0].upper()}{option.help[1:]}.",
    )


def report_options(command: click.Command) -> click.Command:
    """Gives a command the options that say where reports go."""
    command.params.extend(as_click(option) for option in REPORT_OPTIONS)
    return command


def report_paths(given: Mapping[str, str | None]) -> "dict[str, Path]":
    """Where each format goes, by the values of these options."""
    from spatius_sim.reporting.files import paths_of

    named = {field.removeprefix("spatius_report_"): path for field, path in given.items() if path}
    folder = named.pop("dir", "")
    return paths_of(named, folder)
