"""What several commands share: options, arguments, and how they print. Nothing heavy is imported."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli.report import _not_empty
from spatius_sim.engine.options import (
    ASKED_OF_A_RELAY,
    DEFAULT_MOTION_PORT,
    JUDGE_OPTIONS,
    REPORT_OPTIONS,
    JudgeOption,
)
from spatius_sim.protocol.environment import endpoint_variables

if TYPE_CHECKING:
    from spatius_sim.engine.settings import Settings

_NAMED_BY_ARGUMENT = "target"

seed_option = click.option(
    "--seed", default=1, show_default=True, help="What every random choice comes from."
)

port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_MOTION_PORT,
    show_default=True,
    help="Where to listen on 127.0.0.1; 0: a free port.",
)

_OF_A_TAPE = ("conformance", "baseline", "level", "rule", "lacks")

_TAPE_OPTIONS = (*REPORT_OPTIONS, *(option for option in JUDGE_OPTIONS if option.name in _OF_A_TAPE))
"""What may be asked of a tape."""

tape_argument = click.argument("tape_path", metavar="TAPE", type=click.Path(path_type=Path))

out_argument = click.argument("out", type=click.Path(path_type=Path))

keep_audio_option = click.option(
    "--keep-audio", is_flag=True, help="Keep speech, not only its loudness and hash."
)


def print_lines(*lines: str) -> None:
    """Print these lines, made harmless; what came from outside may stand in them."""
    from spatius_sim.reporting.harmless import harmless

    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def endpoint_lines(console: str, ingress: str) -> list[str]:
    """The lines that point a relay at these two endpoints, for a shell."""
    return [f"  export {name}={value}" for name, value in endpoint_variables(console, ingress).items()]


def relay_options(command: click.Command) -> click.Command:
    command.params.extend(map(as_click, ASKED_OF_A_RELAY))
    return command


def values_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, by name."""
    return {
        option.name: given[option.field]
        for option in ASKED_OF_A_RELAY
        if given[option.field] not in (None, ())
    }


def checked_settings(said: Mapping[str, Any]) -> "Settings":
    """The settings of these values; raises UsageError for what cannot be."""
    from spatius_sim.engine.settings import settings_of

    settings = settings_of(said, os.environ, 1)
    settings.check()
    return settings


def as_click(option: JudgeOption) -> click.Option:
    """Make an option of the judge into one of click."""
    return click.Option(
        [f"--{option.name}", option.field],
        type=click.Choice(option.choices) if option.choices else option.parse,
        is_flag=option.parse is bool or None,
        multiple=option.repeatable,
        callback=_not_empty,
        metavar=option.metavar or None,
        help=f"{option.help[0].upper()}{option.help[1:]}.",
    )


def say_each_on_a_line(*lines: str) -> None:
    from spatius_sim.reporting.harmless import one_line

    sys.stdout.write("".join(f"{one_line(line)}\n" for line in lines))
    sys.stdout.flush()


def change_texts(change: Callable[[str], str], value: Any) -> Any:
    """Change each text of a value."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return change(value) if isinstance(value, str) else value
