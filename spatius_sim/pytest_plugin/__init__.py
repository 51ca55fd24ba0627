"""The second front of the engine: the pytest plugin, and nothing else."""
