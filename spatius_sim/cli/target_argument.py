"""The argument that names the relay under test, shared by commands; refuses empty values of arguments."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from spatius_sim.engine.option_table import refuse_empty
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
        """Add the argument `target`, and the option `--target` that may replace it, to a command."""
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
