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

if TYPE_CHECKING:
    from spatius_sim.engine.settings import Settings

_NAMED_BY_ARGUMENT = "target"

_seed = click.option("--seed", default=1, show_default=True, help="What every random choice comes from.")

_port = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_MOTION_PORT,
    show_default=True,
    help="Where to listen on 127.0.0.1; 0: a free port.",
)

_OF_A_TAPE = ("conformance", "baseline", "level", "rule", "lacks")

_TAPE_OPTIONS = (*REPORT_OPTIONS, *(option for option in JUDGE_OPTIONS if option.name in _OF_A_TAPE))
"""What may be asked of a tape."""

_tape = click.argument("tape_path", metavar="TAPE", type=click.Path(path_type=Path))

_out = click.argument("out", type=click.Path(path_type=Path))

_keep_audio = click.option("--keep-audio", is_flag=True, help="Keep speech, not only its loudness and hash.")


def _say(*lines: str) -> None:
    from spatius_sim.reporting.harmless import harmless

    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def _endpoint_lines(console: str, ingress: str) -> list[str]:
    """The lines that point a relay at these two endpoints, for a shell."""
    return [f"  export SPATIUS_CONSOLE_ENDPOINT={console}", f"  export SPATIUS_INGRESS_ENDPOINT={ingress}"]


def _relay_options(command: click.Command) -> click.Command:
    command.params.extend(map(as_click, ASKED_OF_A_RELAY))
    return command


def _values_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, by name."""
    return {
        option.name: given[option.field]
        for option in ASKED_OF_A_RELAY
        if given[option.field] not in (None, ())
    }


def _checked_settings(said: Mapping[str, Any]) -> "Settings":
    """The settings of these values; raises UsageError for what cannot be."""
    from spatius_sim.engine.settings import settings_of

    options = settings_of(said, os.environ, 1)
    options.check()
    return options


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


def _say_each_on_a_line(*lines: str) -> None:
    from spatius_sim.reporting.harmless import one_line

    sys.stdout.write("".join(f"{one_line(line)}\n" for line in lines))
    sys.stdout.flush()


def _change_texts(change: Callable[[str], str], value: Any) -> Any:
    """Change each text of a value."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return change(value) if isinstance(value, str) else value
