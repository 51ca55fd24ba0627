"""`spatius-sim doctor`: finds out why nothing comes from a relay."""

from pathlib import Path
from typing import Any

import click

from spatius_sim.cli.common import (
    add_relay_options,
    fill_in_http_wire,
    make_checked_settings,
    select_given_options,
)
from spatius_sim.cli.print_output import print_short_lines
from spatius_sim.cli.target_argument import subject_argument
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.exit_code import ExitCode


@add_relay_options
@click.command()
@subject_argument(required=False, metavar="[URL]")
@click.option("--conformance", metavar="FILE", help="The conformance file (conformance.yaml).")
def doctor(target: str | None, conformance: str | None, **option_values: Any) -> int:
    """Find out why nothing comes from the relay at URL, or of conformance.yaml.

    Says what was looked at, and what to do; exits with 6 if something stands in the way of a whole turn.
    """
    from spatius_sim.cli.doctor import findings_and_advice
    from spatius_sim.cli.doctor.diagnose_relay import diagnose
    from spatius_sim.engine.conformance_file import find_conformance_file

    values = {"target": target} | select_given_options(option_values)
    file = find_conformance_file(conformance, Path.cwd())
    if file is not None:
        values = file.values_to_add(values) | {name: value for name, value in values.items() if value}
    if not values.get("target"):
        raise UsageError("which relay? spatius-sim doctor ws://..., or a conformance.yaml with a target")
    settings = make_checked_settings(fill_in_http_wire(values))
    findings_about_us = [
        *findings_and_advice.version_findings(),
        findings_and_advice.telemetry_finding(Path.cwd()),
    ]
    try:
        diagnosis = diagnose(settings)
    except UsageError as error:
        port = settings.motion_server_port
        if port is None or f"port {port}" not in str(error):
            raise
        findings, last_output = [findings_and_advice.port_finding(port, str(error))], ""
    else:
        findings = list(findings_and_advice.relay_findings(diagnosis, settings))
        last_output = findings_and_advice.last_output_line(diagnosis)
    for finding in filter(None, [*findings_about_us, *findings]):
        print_short_lines(f"{'ok ' if finding.is_ok else 'NO '} {finding.observation}")
        if finding.advice:
            print_short_lines(f"    {finding.advice}")
    turn_is_blocked = not all(finding.is_ok for finding in findings)
    if turn_is_blocked and last_output:
        print_short_lines(f"    {last_output}")
    return ExitCode.UNREACHABLE if turn_is_blocked else 0
