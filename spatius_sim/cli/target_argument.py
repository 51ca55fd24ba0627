"""The argument that names the relay under test, shared by commands."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from spatius_sim.cli.common import require_value
from spatius_sim.protocol.errors import UsageError

_TARGET_OPTION_KEY = "spatius_sim.target"
"""Where click keeps the value of the option `--target` while it reads the command line."""

_C = TypeVar("_C", bound=Callable[..., Any])


def subject_argument(*, required: bool, metavar: str | None = None) -> Callable[[_C], _C]:
    """Return a decorator for a command. It adds the argument `target`, the URL of a relay; the user may type
    `--target URL` instead, as for pytest. If `required`, one of the two must be there."""

    def choose_url(context: click.Context, argument: click.Parameter, argument_value: Any) -> Any:
        """Return the relay's URL, from the argument or from the option `--target`, which click reads first.
        None if the user gave neither. Raises UsageError if the user gave both, or an empty URL, and
        MissingParameter if the command needs a URL and has none."""
        option_value = context.meta.get(_TARGET_OPTION_KEY)
        if argument_value is not None and option_value is not None:
            raise UsageError(f"two relays are named, {argument_value} and --target {option_value}: name one")
        if argument_value is None and option_value is None and required:
            raise click.MissingParameter(ctx=context, param=argument)
        return option_value if argument_value is None else require_value(context, argument, argument_value)

    def add_argument_and_option(command: _C) -> _C:
        """Add to a command the argument `target`, and the option `--target` that may replace it. Return the
        command."""
        argument = click.argument("target", required=False, metavar=metavar, callback=choose_url)
        option = click.option(
            "--target",
            "target_option",
            metavar="URL",
            is_eager=True,
            expose_value=False,
            callback=_keep_option_value,
            help="The same URL, as pytest takes it.",
        )
        return option(argument(command))

    return add_argument_and_option


def _keep_option_value(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep the value of the option `--target` until the argument is read. Raises UsageError if it is
    empty."""
    context.meta[_TARGET_OPTION_KEY] = require_value(context, option, value)
