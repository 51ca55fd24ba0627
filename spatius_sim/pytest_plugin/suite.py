"""Helps to write a conformance suite, with one test item for each rule."""

from collections.abc import Callable

import pytest

from spatius_sim.rules.catalogue import rules_for

Judge = Callable[[], None]
"""The fixture `spatius_judge`: judges the item's rule, and passes, fails or skips the item accordingly."""


def every_rule(subject: str) -> pytest.MarkDecorator:
    """Return a mark that makes an item for each rule of this kind of subject. The name of the item holds the
    rule's id, as in `test_rule[R-STALE]`."""
    return pytest.mark.parametrize("spatius_rule", [rule.id for rule in rules_for(subject)], indirect=True)
