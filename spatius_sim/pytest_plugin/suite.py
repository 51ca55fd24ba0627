"""What a conformance suite is written with: one test item for each rule."""

from collections.abc import Callable

import pytest

Judge = Callable[[], None]
"""The fixture `spatius_judge`: judges the item's rule, and passes, fails or skips the item accordingly."""


def rule(rule_id: str) -> pytest.MarkDecorator:
    """Names the rule that a test exercises; the id becomes part of the item's name, and `--rule` takes it."""
    return pytest.mark.parametrize("spatius_rule", [rule_id], indirect=True)
