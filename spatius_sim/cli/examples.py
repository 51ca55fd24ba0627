"""`spatius-sim examples`: prints the folders that a team copies from."""

import click

from spatius_sim.cli.print_output import print_short_lines


@click.command()
def examples() -> None:
    """Say where the example relays, the JavaScript shim for clients, and what a CI runs, lie."""
    from spatius_sim.files.find_resources import resource

    folder = resource("conformance")
    relays = sorted(path for path in (folder / "examples").glob("[!_]*") if path.is_dir())
    print_short_lines(*map(str, (*relays, folder / "client" / "js", folder / "ci")))
