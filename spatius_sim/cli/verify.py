"""`spatius-sim verify`: judges a subject. Nothing heavy is imported before a command needs it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli.common import NAMED_BY_ARGUMENT, as_click
from spatius_sim.cli.print_output import print_verdicts
from spatius_sim.cli.target_argument import subject_argument
from spatius_sim.engine.option_table import (
    HOOK_START,
    JUDGE_OPTIONS,
    TARGET_VARIABLE,
    check_url,
    refuse_empty,
    subject_named,
)
from spatius_sim.protocol.errors import UsageError

_SOCKETS, _DOCUMENTS = ("ws", "wss"), ("http", "https")
_PLACEHOLDER, _ANY_PORT = "{port}", "1"
_ROOMS = ("packets:", "streams:")
_DOCUMENT_HINT = " (an HTTP backend: name its wire, --wire http-document)"

if TYPE_CHECKING:
    from spatius_sim.engine.run_request import RunRequest


def _judge_options(command: click.Command) -> click.Command:
    """Add to the command `verify` all options of the judge but its target, which is an argument, and return
    the command."""
    for option in JUDGE_OPTIONS:
        if option.name != NAMED_BY_ARGUMENT:
            command.params.append(as_click(option))
    return command


@_judge_options
@click.command()
@subject_argument(required=False)
@click.option("-x", "--exitfirst", is_flag=True, help="End with the first rule that fails.")
def verify(target: str | None, exitfirst: bool, **given: Any) -> int:
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
    request = _make_run_request({option.name: given.get(option.field) for option in JUDGE_OPTIONS}, target)
    from spatius_sim.cli.verify_output import VerifyView
    from spatius_sim.engine.judge_run import judge_run

    view = VerifyView(request)
    try:
        ending = judge_run(request, view, exit_first=exitfirst)
    finally:
        view.stop()
    print_verdicts(lambda: view.print_ending(ending))
    return int(ending.code)


def _make_run_request(values: dict[str, Any], target: str | None) -> "RunRequest":
    """Return what `verify` judges and how: the request for a run, from the command line, the environment
    variables and conformance.yaml.

    Raises UsageError if they name no subject, or if the run needs a conftest.py, which pytest alone reads."""
    from spatius_sim.engine.conformance_file import find_conformance_file

    values[NAMED_BY_ARGUMENT] = target
    if not subject_named(values):
        values[NAMED_BY_ARGUMENT] = os.environ.get(TARGET_VARIABLE)
        refuse_empty({TARGET_VARIABLE: values[NAMED_BY_ARGUMENT]})
    _check_early(values)
    from spatius_sim.engine.run_request import request_of

    file = find_conformance_file(values["conformance"], Path.cwd())
    request = request_of(values, os.environ, file)
    if not request.kind:
        raise UsageError(
            "nothing to judge: name a relay's URL, --server, --client or --agent-cmd, here or in "
            "conformance.yaml (`spatius-sim init URL` writes it)"
        )
    if request.settings.turn == HOOK_START:
        problem = f"--turn {HOOK_START}: the hook stands in a conftest.py, which pytest alone reads"
        raise request.with_place(UsageError(f"{problem}: judge by `pytest --target=URL --turn={HOOK_START}`"))
    return request


def _check_early(values: Mapping[str, Any]) -> None:
    """Check the URL of the relay to verify, and the names of rules, level and profile, before anything heavy
    is imported. `values` are the options by name; the settings check them again. Raises UsageError if one of
    them is wrong."""
    schemes = _SOCKETS + (_DOCUMENTS if values.get("wire") else ())
    target = (values.get("target") or "").replace(_PLACEHOLDER, _ANY_PORT)
    if not target.startswith(_ROOMS):
        is_document = target.startswith(("http://", "https://"))
        check_url("--target", target, schemes, _DOCUMENT_HINT if is_document else "")
    if not (values.get("rule") or values.get("level") or values.get("profile")):
        return
    from spatius_sim.engine.run_profiles import profile_named
    from spatius_sim.engine.select_rules import levels_judged_at
    from spatius_sim.rules.catalogue import find_rule

    for rule_id in values.get("rule") or ():
        find_rule(rule_id)
    if values.get("level"):
        levels_judged_at(values["level"])
    if values.get("profile"):
        profile_named(values["profile"])
