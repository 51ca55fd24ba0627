"""`spatius-sim verify`: judges a subject. Nothing heavy is imported before a command needs it."""

import os
from typing import Any

import click

from spatius_sim.cli.report import subject_argument
from spatius_sim.cli.shared import _NAMED_BY_ARGUMENT, as_click
from spatius_sim.engine.options import JUDGE_OPTIONS, as_arguments, refuse_empty, subject_named
from spatius_sim.protocol.errors import UsageError


def _judge_options(command: click.Command) -> click.Command:
    """Gives a command every option of the judge."""
    for option in JUDGE_OPTIONS:
        if option.name != _NAMED_BY_ARGUMENT:
            command.params.append(as_click(option))
    return command


@_judge_options
@click.command()
@subject_argument(required=False)
def verify(target: str | None, **given: Any) -> int:
    """Judge the relay at TARGET (ws://...), rule by rule; or --server, or --client.

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
    from pathlib import Path

    import pytest

    from spatius_sim.engine.conformance_file import find_conformance_file
    from spatius_sim.files.resources import resource

    said = {option.name: given.get(option.field) for option in JUDGE_OPTIONS} | {_NAMED_BY_ARGUMENT: target}
    if not subject_named(said):
        said[_NAMED_BY_ARGUMENT] = os.environ.get("SPATIUS_TARGET")
    kind = subject_named(said)
    if not kind and (file := find_conformance_file(said["conformance"], Path.cwd())):
        kind, said["conformance"] = file.subject, str(file.path)
    if not kind:
        refuse_empty({"SPATIUS_TARGET": said[_NAMED_BY_ARGUMENT]})
        raise UsageError(
            "nothing to judge: name a relay's URL, --server or --client, here or in conformance.yaml "
            "(`spatius-sim init URL` writes it)"
        )
    suite = resource("conformance") / kind
    arguments = [str(suite), f"--rootdir={suite}", "-c", str(suite.parent / "pytest.ini")]
    arguments += ["-p", "no:cacheprovider", *as_arguments(said, "--spatius-")]
    return int(pytest.main(arguments))
