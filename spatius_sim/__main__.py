"""`python -m spatius_sim` is `spatius-sim`."""

from spatius_sim.cli.main import run

run()
