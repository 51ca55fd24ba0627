"""`spatius-sim init`: writes conformance.yaml after a few questions to the relay."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli.common import (
    add_relay_options,
    fill_in_http_wire,
    make_checked_settings,
    select_given_options,
)
from spatius_sim.cli.print_output import print_short_lines, write_output_file
from spatius_sim.cli.target_argument import subject_argument
from spatius_sim.engine.option_table import CONFORMANCE_FILE
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.exit_code import ExitCode

if TYPE_CHECKING:
    from spatius_sim.cli.doctor.diagnose_relay import RelayDiagnosis


@add_relay_options
@click.command()
@subject_argument(required=True, metavar="URL")
@click.option("--force", is_flag=True, help="Write over a conformance.yaml that is there.")
def init(target: str, force: bool, **option_values: Any) -> int:
    """Ask the relay at URL a few questions, and write conformance.yaml.

    The relay runs with its endpoints pointed at port 8700 of this machine, or --target-cmd starts it. Exits
    with 6, and writes nothing, if no wire was found on which it answers.
    """
    from spatius_sim.cli.doctor.diagnose_relay import diagnose
    from spatius_sim.cli.doctor.findings_and_advice import relay_findings

    path = Path(CONFORMANCE_FILE)
    if path.exists() and not force:
        raise UsageError(f"{CONFORMANCE_FILE} is there already: --force writes over it")
    values = fill_in_http_wire({"target": target} | select_given_options(option_values))
    settings = make_checked_settings(values)
    diagnosis = diagnose(settings)
    print_short_lines(
        *(
            f"{'ok ' if finding.is_ok else 'NO '} {finding.observation}"
            for finding in relay_findings(diagnosis, settings)
        )
    )
    if diagnosis.unreachable or not diagnosis.understood_count:
        print_short_lines("nothing was written; `spatius-sim doctor` with the same arguments says what to do")
        return ExitCode.UNREACHABLE
    text, variables = _make_conformance_yaml(values, diagnosis)
    write_output_file(path, text)
    if variables:
        exports = " ".join(f"{name}=..." for name in variables)
        print_short_lines(f"what may be a login stands in no file: export {exports}")
    next_command = "verify" if diagnosis.has_whole_turn else "doctor"
    print_short_lines(f"{CONFORMANCE_FILE} is written. Now: spatius-sim {next_command}")
    return 0


def _make_conformance_yaml(
    option_values: Mapping[str, Any], diagnosis: "RelayDiagnosis"
) -> tuple[str, list[str]]:
    """Return the text of a conformance.yaml for this relay, and the names of the environment variables that
    it needs. The text holds the options of the user (value by name), with a variable for each secret, and
    what the diagnosis detected."""
    from spatius_sim.engine.conformance_file import as_conformance_text
    from spatius_sim.engine.hide_option_secrets import Variables, without_secrets

    variables = Variables()
    escaped_values = {
        name: _escape_texts(value, as_conformance_text) for name, value in option_values.items()
    }
    # If the user named a wire, it stays as it is: it may be a file, and a detected wire is only a name.
    detected = {} if option_values.get("wire") else {"wire": diagnosis.wire}
    if diagnosis.turn_option:
        detected["turn"] = as_conformance_text(diagnosis.turn_option)
    entries = {**without_secrets(escaped_values, variables), **detected, "level": "should"}
    lines = [
        "# What spatius-sim knows of this relay: `spatius-sim verify` judges it, and needs no arguments."
    ]
    lines.append("# `spatius-sim schema conformance` prints the JSON Schema of this file, for editors.")
    if variables.names:
        lines.append("# What may be a login stands in no file that is committed.")
        lines.append(f"# Set these variables: {', '.join(variables.names)}")
    for name, value in entries.items():
        lines.append(f"{name}: {json.dumps(list(value) if isinstance(value, tuple) else value)}")
    if diagnosis.has_whole_turn and not diagnosis.interrupts:
        lines.append("# Nothing answered an interrupt. If it has none: lacks: [interrupts]")
    lines.append("# Failures that are known: take in this line, then spatius-sim verify --update-baseline")
    lines.append("# baseline: known-failures.yaml")
    return "\n".join(lines) + "\n", variables.names


def _escape_texts(option_value: Any, escape: Callable[[str], str]) -> Any:
    """Return the value of an option as `spatius-sim init` writes it into conformance.yaml: `escape` is
    applied to a text, or to each text of a tuple. A value that is no text, such as a number, is returned as
    it is."""
    if isinstance(option_value, tuple):
        return tuple(map(escape, option_value))
    return escape(option_value) if isinstance(option_value, str) else option_value
