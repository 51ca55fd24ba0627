"""Helps to write a conformance suite, with one test item for each rule."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from spatius_sim.rules.catalogue import rules_for

Test = TypeVar("Test", bound=Callable[..., None])

Judge = Callable[[], None]
"""The fixture `spatius_judge`: judges the item's rule, and passes, fails or skips the item accordingly."""


def every_rule(subject: str) -> Callable[[Test], Test]:
    """Return a decorator for the test function of a suite: pytest then runs the function once for each rule
    of this kind of subject. The name of each test item holds the rule's id, as in `test_rule[R-STALE]`.
    pytest collects the function even if its name does not match `python_functions` in the team's settings."""
    mark_with_rules = pytest.mark.parametrize(
        "spatius_rule", [rule.id for rule in rules_for(subject)], indirect=True
    )

    def decorate(test: Test) -> Test:
        """Mark the function as a test with an item for each rule."""
        test.__test__ = True  # type: ignore[attr-defined]
        marked_test: Test = mark_with_rules(test)
        return marked_test

    return decorate
