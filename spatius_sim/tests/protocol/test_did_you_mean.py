"""An unknown name: what is near is proposed, few names are listed, many are said to be listed elsewhere."""

import pytest

from spatius_sim.protocol.did_you_mean import suggest_names

MANY = [f"R-NUMBER-{number:02}" for number in range(40)]


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("nigthly", ["smoke", "ci", "nightly"], "did you mean nightly?"),
        ("r-number-07", MANY, "did you mean R-NUMBER-07 or"),
        ("crash", ["mid-turn-crash", "idle-timeout"], "did you mean mid-turn-crash?"),
        ("dawn", ["smoke", "ci"], "there are smoke, ci"),
        ("", ["smoke", "ci"], "there are smoke, ci"),
        ("zzz", MANY, "`list` lists them"),
    ],
)
def test_what_is_said_of_an_unknown_name(name: str, known: list[str], said: str) -> None:
    assert suggest_names(name, known, "`list` lists them").startswith(said)
