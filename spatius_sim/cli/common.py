"""What several commands share: options, arguments, and how they print. Nothing heavy is imported."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli.shell_completion import complete_value
from spatius_sim.engine.option_table import (
    DEFAULT_MOTION_PORT,
    JUDGE_OPTIONS,
    RELAY_OPTIONS,
    REPORT_OPTIONS,
    JudgeOption,
    refuse_empty_values,
)

if TYPE_CHECKING:
    from spatius_sim.engine.run_settings import Settings

NAMED_BY_ARGUMENT = "target"
"""The option of the judge that is an argument on the command line."""


def require_value(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Return the value of an option or argument of a command. Raises UsageError if it is empty."""
    is_option = isinstance(parameter, click.Option)
    shown_name = parameter.opts[0] if is_option else parameter.human_readable_name.strip("[]")
    refuse_empty_values({shown_name: value})
    return value


seed_option = click.option(
    "--seed", default=1, show_default=True, help="What every random choice comes from."
)

port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_MOTION_PORT,
    show_default=True,
    help="Where to listen; 0: a free port.",
)

host_option = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    callback=require_value,
    help="The address to listen at; 0.0.0.0: every address, for containers and phones.",
)

_NAMES_OF_TAPE_OPTIONS = ("conformance", "baseline", "level", "rule", "lacks")

TAPE_OPTIONS = (
    *REPORT_OPTIONS,
    *(option for option in JUDGE_OPTIONS if option.name in _NAMES_OF_TAPE_OPTIONS),
)
"""The options of the commands that judge a tape."""

tape_argument = click.argument("tape_path", metavar="TAPE", type=click.Path(path_type=Path))

out_argument = click.argument("out", type=click.Path(path_type=Path))

keep_audio_option = click.option(
    "--keep-audio", is_flag=True, help="Keep speech, not only its loudness and hash."
)


def add_relay_options(command: click.Command) -> click.Command:
    """Add to a command every option about a relay, and return the command."""
    command.params.extend(map(make_click_option, RELAY_OPTIONS))
    return command


def select_given_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each option about a relay that the user gave to a command, by the option's name.
    `parameters` are all parameters of the command, as click has read them."""
    return {
        option.name: parameters[option.field]
        for option in RELAY_OPTIONS
        if parameters[option.field] not in (None, ())
    }


def make_checked_settings(option_values: Mapping[str, Any]) -> "Settings":
    """Make the settings of a run from these options (value by name) and the environment variables, check the
    settings, and return them. Raises UsageError if an option is wrong. The seed is 1: the commands that ask a
    relay a few questions have no option for it."""
    from spatius_sim.engine.run_settings import settings_of

    settings = settings_of(option_values, os.environ, 1)
    settings.check()
    return settings


def fill_in_http_wire(option_values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the options of a command (value by name). If the relay's URL begins with http and no
    wire (message format) is named, the copy names `http-document`, our only wire for HTTP relays."""
    is_http = str(option_values.get("target") or "").startswith(("http://", "https://"))
    if is_http and not option_values.get("wire"):
        return {**option_values, "wire": "http-document"}
    return dict(option_values)


def make_click_option(option: JudgeOption) -> click.Option:
    """Make an option for click, the library of our command line, from this entry of our table of options. So
    the commands of `spatius-sim` take the same options as pytest."""
    return click.Option(
        [f"--{option.name}", option.field],
        type=click.Choice(option.choices) if option.choices else option.parse,
        is_flag=option.parse is bool or None,
        multiple=option.repeatable,
        callback=require_value,
        metavar=option.metavar or None,
        shell_complete=None if option.choices else complete_value,
        help=f"{option.help[0].upper()}{option.help[1:]}.",
    )
