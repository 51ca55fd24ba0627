"""`spatius-sim doctor`: finds out why nothing comes from a relay."""

from pathlib import Path
from typing import Any

import click

from spatius_sim.cli.common import checked_settings, relay_options, say_each_on_a_line, values_given
from spatius_sim.cli.report import subject_argument
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.exit_code import ExitCode


@relay_options
@click.command()
@subject_argument(required=False, metavar="[URL]")
@click.option("--conformance", metavar="FILE", help="The conformance file (conformance.yaml).")
def doctor(target: str | None, conformance: str | None, **given: Any) -> int:
    """Find out why nothing comes from the relay at URL, or of conformance.yaml.

    Says what was looked at, and what to do; exits with 6 if something stands in the way of a whole turn.
    """
    from spatius_sim.cli import doctor_findings as practice
    from spatius_sim.cli.diagnosis import diagnose
    from spatius_sim.engine.conformance_file import find_conformance_file

    said = {"target": target} | values_given(given)
    file = find_conformance_file(conformance, Path.cwd())
    if file is not None:
        said = file.fill(said) | {name: value for name, value in said.items() if value}
    if not said.get("target"):
        raise UsageError("which relay? spatius-sim doctor ws://..., or a conformance.yaml with a target")
    settings = checked_settings(said)
    beside = [*practice.version_findings(), practice.telemetry_finding(Path.cwd())]
    try:
        answers = diagnose(settings)
    except UsageError as error:
        port = settings.listens_at
        if port is None or f"port {port}" not in str(error):
            raise
        findings, words = [practice.port_finding(port, str(error))], ""
    else:
        findings = list(practice.relay_findings(answers, settings))
        words = practice.last_words(answers)
    for finding in filter(None, [*beside, *findings]):
        say_each_on_a_line(f"{'ok ' if finding.well else 'NO '} {finding.what}")
        if finding.advice:
            say_each_on_a_line(f"    {finding.advice}")
    in_the_way = not all(finding.well for finding in findings)
    if in_the_way and words:
        say_each_on_a_line(f"    {words}")
    return ExitCode.UNREACHABLE if in_the_way else 0
