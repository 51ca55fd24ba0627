"""What is on a tape, judged by every rule that the tape can exercise. Each item is one rule."""


def test_it_was_kept(spatius_judge_tape: None) -> None:
    """The fixture judges the rule."""
