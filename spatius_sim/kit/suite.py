"""What a conformance suite is written with: one test item for each rule."""

import pytest


def rule(rule_id: str) -> pytest.MarkDecorator:
    """Names the rule that a test exercises; the id becomes part of the item's name, and `--rule` takes it."""
    return pytest.mark.parametrize("rule", [rule_id], indirect=True)
