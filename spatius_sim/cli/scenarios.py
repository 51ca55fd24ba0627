"""`spatius-sim scenarios`: lists what can go wrong at the mock Motion Server."""

import sys

import click


@click.command()
def scenarios() -> None:
    """List the scenarios (what can go wrong) by name, and the ids that make something happen."""
    from spatius_sim.files.scenario_file import shipped_scenarios
    from spatius_sim.model.scenario.faults_by_id import list_fault_ids

    lines = [f"{scenario.name:24}{scenario.about}" for scenario in shipped_scenarios()]
    lines += ["", "Ids with a meaning, by how they begin, need no scenario:"]
    lines += [f"{id_pattern:24}{meaning}" for id_pattern, meaning in list_fault_ids()]
    sys.stdout.write("\n".join(lines) + "\n")
