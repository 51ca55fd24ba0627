"""What every relay must keep: an item for each rule, in the order of the catalogue."""

from spatius_sim.pytest_plugin.suite import Judge, every_rule


@every_rule("relay")
def test_rule(spatius_judge: Judge) -> None:
    spatius_judge()
