"""What a conformance suite is written with: one test item for each rule."""

from collections.abc import Callable

import pytest

from spatius_sim.rules.catalogue import rules_for

Judge = Callable[[], None]
"""The fixture `spatius_judge`: judges the item's rule, and passes, fails or skips the item accordingly."""


def every_rule(subject: str) -> pytest.MarkDecorator:
    """Make an item for each rule of that kind of subject. The rule's id stands in the name of the item, as in
    `test_rule[R-STALE]`, and `--rule` takes it."""
    return pytest.mark.parametrize("spatius_rule", [rule.id for rule in rules_for(subject)], indirect=True)
