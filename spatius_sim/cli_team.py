"""The commands for a team that begins: init, doctor, and what its editor and its readers need. Nothing heavy
is imported before a command needs it.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spatius_sim.cli_report import as_click, subject_argument
from spatius_sim.kit.judge_options import ASKED_OF_A_RELAY, CONFORMANCE_FILE
from spatius_sim.protocol.errors import UsageError

if TYPE_CHECKING:
    from spatius_sim.kit.bench import Options
    from spatius_sim.kit.inquiry import Answers

_UNREACHABLE = 6


def _relay_options(command: click.Command) -> click.Command:
    command.params.extend(map(as_click, ASKED_OF_A_RELAY))
    return command


def _say(*lines: str) -> None:
    from spatius_sim.reporting.harmless import one_line

    sys.stdout.write("".join(f"{one_line(line)}\n" for line in lines))
    sys.stdout.flush()


@_relay_options
@click.command()
@subject_argument(required=True, metavar="URL")
@click.option("--force", is_flag=True, help="Write over a conformance.yaml that is there.")
def init(target: str, force: bool, **given: Any) -> int:
    """Ask the relay at URL a few questions, and write conformance.yaml.

    The relay runs with its endpoints pointed at port 8700 of this machine, or --target-cmd starts it. Exits
    with 6, and writes nothing, where no wire was found on which it answers.
    """
    from spatius_sim.kit.doctor import relay_findings
    from spatius_sim.kit.inquiry import ask

    path = Path(CONFORMANCE_FILE)
    if path.exists() and not force:
        raise UsageError(f"{CONFORMANCE_FILE} is there already: --force writes over it")
    said = {"target": target} | _said(given)
    options = _options(said)
    answers = ask(options)
    _say(*(f"{'ok ' if found.well else 'NO '} {found.what}" for found in relay_findings(answers, options)))
    if answers.unreachable or not answers.understood:
        _say("nothing was written; `spatius-sim doctor` with the same arguments says what to do")
        return _UNREACHABLE
    text, variables = _conformance_yaml(said, answers)
    path.write_text(text, encoding="utf-8")
    if variables:
        exports = " ".join(f"{name}=..." for name in variables)
        _say(f"what may be a login stands in no file: export {exports}")
    _say(f"{CONFORMANCE_FILE} is written. Now: spatius-sim {'verify' if answers.whole_turn else 'doctor'}")
    return 0


@_relay_options
@click.command()
@subject_argument(required=False, metavar="[URL]")
@click.option("--conformance", metavar="FILE", help="The conformance file (conformance.yaml).")
def doctor(target: str | None, conformance: str | None, **given: Any) -> int:
    """Find out why nothing comes from the relay at URL, or of conformance.yaml.

    Says what was looked at, and what to do; exits with 6 where something stands in the way of a whole turn.
    """
    from spatius_sim.kit import doctor as practice
    from spatius_sim.kit.conformance_file import find_conformance_file
    from spatius_sim.kit.inquiry import ask

    said = {"target": target} | _said(given)
    file = find_conformance_file(conformance, Path.cwd())
    if file is not None:
        said = file.fill(said) | {name: value for name, value in said.items() if value}
    if not said.get("target"):
        raise UsageError("which relay? spatius-sim doctor ws://..., or a conformance.yaml with a target")
    options = _options(said)
    beside = [*practice.version_findings(), practice.telemetry_finding(Path.cwd())]
    try:
        answers = ask(options)
    except UsageError as error:
        port = options.listens_at
        if port is None or f"port {port}" not in str(error):
            raise
        findings, words = [practice.port_finding(port, str(error))], ""
    else:
        findings = list(practice.relay_findings(answers, options))
        words = practice.last_words(answers)
    for finding in filter(None, [*beside, *findings]):
        _say(f"{'ok ' if finding.well else 'NO '} {finding.what}")
        if finding.advice:
            _say(f"    {finding.advice}")
    in_the_way = not all(finding.well for finding in findings)
    if in_the_way and words:
        _say(f"    {words}")
    return _UNREACHABLE if in_the_way else 0


@click.command()
@click.argument("name", type=click.Choice(["conformance", "baseline", "report"]))
def schema(name: str) -> None:
    """Print the JSON Schema of conformance.yaml, of a baseline, or of a JSON report."""
    from spatius_sim.kit.baseline_file import baseline_schema
    from spatius_sim.kit.conformance_file import conformance_schema
    from spatius_sim.reporting.json_report import report_schema

    ours = {"conformance": conformance_schema, "baseline": baseline_schema}
    sys.stdout.write(json.dumps(ours[name](), indent=2) + "\n" if name in ours else report_schema())


@click.command()
def examples() -> None:
    """Say where the example relays lie, and what a CI runs."""
    from spatius_sim.kit.resources import resource

    folder = resource("conformance")
    relays = sorted(path for path in (folder / "examples").glob("[!_]*") if path.is_dir())
    _say(*map(str, (*relays, folder / "ci")))


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, by name."""
    return {
        option.name: given[option.field]
        for option in ASKED_OF_A_RELAY
        if given[option.field] not in (None, ())
    }


def _options(said: Mapping[str, Any]) -> "Options":
    from spatius_sim.kit.asked import options_of

    options = options_of(said, os.environ, 1)
    options.check()
    return options


def _conformance_yaml(said: Mapping[str, Any], answers: "Answers") -> tuple[str, list[str]]:
    """What was said and found out, as the file that every command reads, and the variables that it needs."""
    from spatius_sim.kit.confidence import Variables, without_secrets
    from spatius_sim.kit.conformance_file import as_conformance_text

    variables = Variables()
    escaped = {name: _each(as_conformance_text, value) for name, value in said.items()}
    values = {**without_secrets(escaped, variables), "wire": answers.wire, "level": "should"}
    lines = [
        "# What spatius-sim knows of this relay: `spatius-sim verify` judges it, and needs no arguments."
    ]
    lines.append("# `spatius-sim schema conformance` prints the JSON Schema of this file, for editors.")
    if variables.names:
        lines.append("# What may be a login stands in no file that is committed.")
        lines.append(f"# Set these variables: {', '.join(variables.names)}")
    for name, value in values.items():
        lines.append(f"{name}: {json.dumps(list(value) if isinstance(value, tuple) else value)}")
    if answers.whole_turn and not answers.interrupts:
        lines.append("# Nothing answered an interrupt. Where it has none: lacks: [interrupts]")
    lines.append("# Failures that are known: take in this line, then spatius-sim verify --update-baseline")
    lines.append("# baseline: known-failures.yaml")
    return "\n".join(lines) + "\n", variables.names


def _each(change: Callable[[str], str], value: Any) -> Any:
    """The value with each of its texts changed."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return change(value) if isinstance(value, str) else value


TEAM_COMMANDS: list[click.Command] = [init, doctor, schema, examples]
