"""Judges a tape by every rule that it can exercise. Each item is one rule."""


def test_it_was_kept(spatius_judge_tape: None) -> None:
    """The fixture judges the rule."""


test_it_was_kept.__test__ = True  # type: ignore[attr-defined]  # Whatever `python_functions` says.
