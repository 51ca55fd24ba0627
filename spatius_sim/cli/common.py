"""What several commands share: options, arguments, and how they print. Nothing heavy is imported."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli.shell_completion import complete_value
from spatius_sim.cli.target_argument import require_value
from spatius_sim.engine.option_table import (
    ASKED_OF_A_RELAY,
    DEFAULT_MOTION_PORT,
    JUDGE_OPTIONS,
    REPORT_OPTIONS,
    JudgeOption,
)

if TYPE_CHECKING:
    from spatius_sim.engine.run_settings import Settings

OUTPUT_LOST = (errno.ENOSPC, errno.EPIPE, errno.EDQUOT, errno.EIO)
"""Why nothing more can be printed: a full disk, or a reader that has left."""

NAMED_BY_ARGUMENT = "target"
"""The option of the judge that is an argument on the command line."""

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

_OF_A_TAPE = ("conformance", "baseline", "level", "rule", "lacks")

TAPE_OPTIONS = (*REPORT_OPTIONS, *(option for option in JUDGE_OPTIONS if option.name in _OF_A_TAPE))
"""The options of the commands that judge a tape."""

tape_argument = click.argument("tape_path", metavar="TAPE", type=click.Path(path_type=Path))

out_argument = click.argument("out", type=click.Path(path_type=Path))

keep_audio_option = click.option(
    "--keep-audio", is_flag=True, help="Keep speech, not only its loudness and hash."
)


def relay_options(command: click.Command) -> click.Command:
    """Give a command every option that concerns a relay, and return it."""
    command.params.extend(map(as_click, ASKED_OF_A_RELAY))
    return command


def values_given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options about a relay that the user typed for a command, each value by the name of its
    option. `parameters` are all parameters of the command, as click has read them."""
    return {
        option.name: parameters[option.field]
        for option in ASKED_OF_A_RELAY
        if parameters[option.field] not in (None, ())
    }


def checked_settings(values: Mapping[str, Any]) -> "Settings":
    """Return the settings of a run that the shared options of a command make. Raises UsageError if no run
    could use them. These commands start no run, so the seed is always 1."""
    from spatius_sim.engine.run_settings import settings_of

    settings = settings_of(values, os.environ, 1)
    settings.check()
    return settings


def with_document_wire(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with the wire of HTTP backends, if the relay has an http:// URL and the user names
    no wire: it is the only shipped wire of such relays."""
    is_http = str(values.get("target") or "").startswith(("http://", "https://"))
    return {**values, "wire": "http-document"} if is_http and not values.get("wire") else dict(values)


def as_click(option: JudgeOption) -> click.Option:
    """Return an option for click, made from this option of the judge. Several commands of `spatius-sim` have
    the options of the judge."""
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
