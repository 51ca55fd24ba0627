"""Judges a client by every rule that it must keep. Each item is one rule of the catalogue."""

from spatius_sim.pytest_plugin.one_item_per_rule import Judge, every_rule


@every_rule("client")
def test_rule(spatius_judge: Judge) -> None:
    spatius_judge()
