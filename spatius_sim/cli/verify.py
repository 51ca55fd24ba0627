"""`spatius-sim verify`: judges a subject. Nothing heavy is imported before a command needs it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli.common import NAMED_BY_ARGUMENT, make_click_option
from spatius_sim.cli.print_output import print_verdicts
from spatius_sim.cli.target_argument import subject_argument
from spatius_sim.engine.option_table import (
    HOOK_START,
    JUDGE_OPTIONS,
    TARGET_VARIABLE,
    check_url,
    find_subject_kind,
    refuse_empty_values,
)
from spatius_sim.protocol.errors import UsageError

_SOCKET_SCHEMES, _HTTP_SCHEMES = ("ws", "wss"), ("http", "https")
_PORT_PLACEHOLDER, _ANY_PORT = "{port}", "1"
_ROOM_PREFIXES = ("packets:", "streams:")
_HTTP_WIRE_HINT = " (an HTTP backend: name its wire, --wire http-document)"

if TYPE_CHECKING:
    from spatius_sim.engine.run_request import RunRequest


def _add_judge_options(command: click.Command) -> click.Command:
    """Add to the command `verify` all options that say what is judged and how, and return the command. The
    option `target` is left out: it is an argument of the command."""
    for option in JUDGE_OPTIONS:
        if option.name != NAMED_BY_ARGUMENT:
            command.params.append(make_click_option(option))
    return command


@_add_judge_options
@click.command()
@subject_argument(required=False)
@click.option("-x", "--exitfirst", is_flag=True, help="End with the first rule that fails.")
def verify(target: str | None, exitfirst: bool, **option_values: Any) -> int:
    """Judge the relay at TARGET (ws://...), rule by rule; or --server, --client or --agent-cmd.

    What is not said here stands in conformance.yaml, in the working directory, or has a default. A relay's
    upstream must be pointed at our Motion Server, which listens while this runs; the environment that it
    needs is printed first.

    \b
    Exit codes:
      0  every required rule passed
      1  a rule failed
      2  interrupted; the reports say what was found by then
      3  the kit failed
      4  usage
      5  a required rule was not exercised
      6  the relay was not reached, or completed no turn
    """
    values = {option.name: option_values.get(option.field) for option in JUDGE_OPTIONS}
    request = _make_run_request(values, target)
    from spatius_sim.cli.verify_output import VerifyView
    from spatius_sim.engine.judge_run import judge_run

    view = VerifyView(request)
    try:
        ending = judge_run(request, view, exit_first=exitfirst)
    finally:
        view.stop()
    print_verdicts(lambda: view.print_ending(ending))
    return int(ending.code)


def _make_run_request(option_values: dict[str, Any], target: str | None) -> "RunRequest":
    """Return the request for a run: what `verify` judges, and how. It is made from the options (value by
    name), the argument `target`, the environment variables, and conformance.yaml.

    Raises UsageError if nothing names a subject to judge, if a value is wrong, or if `--turn hook` is chosen:
    only pytest can call the team's hook (a function) that starts each turn."""
    from spatius_sim.engine.conformance_file import find_conformance_file

    option_values[NAMED_BY_ARGUMENT] = target
    if not find_subject_kind(option_values):
        option_values[NAMED_BY_ARGUMENT] = os.environ.get(TARGET_VARIABLE)
        refuse_empty_values({TARGET_VARIABLE: option_values[NAMED_BY_ARGUMENT]})
    _check_options_early(option_values)
    from spatius_sim.engine.run_request import make_run_request

    file = find_conformance_file(option_values["conformance"], Path.cwd())
    request = make_run_request(option_values, os.environ, file)
    if not request.subject_kind:
        raise UsageError(
            "nothing to judge: name a relay's URL, --server, --client or --agent-cmd, here or in "
            "conformance.yaml (`spatius-sim init URL` writes it)"
        )
    if request.settings.turn == HOOK_START:
        problem = f"--turn {HOOK_START}: the hook stands in a conftest.py, which pytest alone reads"
        raise request.add_file_and_line(
            UsageError(f"{problem}: judge by `pytest --target=URL --turn={HOOK_START}`")
        )
    return request


def _check_options_early(option_values: Mapping[str, Any]) -> None:
    """Check some options (value by name) before any heavy module is imported, so that the user learns of an
    error at once: the URL of the relay, and the names of rules, level and profile. Raises UsageError if one
    of them is wrong."""
    schemes = _SOCKET_SCHEMES + (_HTTP_SCHEMES if option_values.get("wire") else ())
    target = (option_values.get("target") or "").replace(_PORT_PLACEHOLDER, _ANY_PORT)
    if not target.startswith(_ROOM_PREFIXES):
        # Without a wire, `schemes` has no http: a user with an HTTP relay must know how to name its wire.
        is_http = target.startswith(("http://", "https://"))
        check_url("--target", target, schemes, _HTTP_WIRE_HINT if is_http else "")
    if not (option_values.get("rule") or option_values.get("level") or option_values.get("profile")):
        return
    from spatius_sim.engine.run_profiles import profile_named
    from spatius_sim.engine.select_rules import levels_judged_at
    from spatius_sim.rules.catalogue import find_rule

    # Each of these functions raises UsageError if it does not know the name.
    for rule_id in option_values.get("rule") or ():
        find_rule(rule_id)
    if option_values.get("level"):
        levels_judged_at(option_values["level"])
    if option_values.get("profile"):
        profile_named(option_values["profile"])
