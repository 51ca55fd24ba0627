"""The judge is judged: a miniature of each family is named by its own rule, over sockets and in virtual time.
`tox -e bites` and `tox -e honest` have every miniature and every honest subject judged in CI."""

from pathlib import Path

import pytest

from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level
from spatius_sim.tests.suspects import WRONG, Hearing, Suspect

OVER_SOCKETS = {
    "R-TOKENLESS",
    "U-CONFIGURE",
    "U-AUDIO-COMPLETE",
    "R-MOTION-VERBATIM",
    "R-AUDIO-FIRST",
    "R-CONVERSATION",
    "R-LARGE",
    "R-BADINPUT",
    "R-SECRETS",
    "S-TOKEN-KEY",
    "S-CONFIRM",
    "S-MOTION-END",
}
"""A rule of each family whose plans take no long waits in real time."""
OVER_SOCKETS_TOO = [
    next(suspect for suspect in WRONG if suspect.rule_id == name) for name in sorted(OVER_SOCKETS)
]


@pytest.mark.parametrize("suspect", OVER_SOCKETS_TOO, ids=lambda suspect: suspect.name)
def test_verdicts_over_sockets_are_those_in_virtual_time(suspect: Suspect, tmp_path: Path) -> None:
    for over_sockets in (True, False):
        with Hearing(suspect, 1, tmp_path, over_sockets=over_sockets) as hearing:
            verdict = hearing.of(suspect.rule_id).verdict
            assert (verdict, hearing.accusations) == (Verdict.FAILED, {suspect.rule_id})


def test_every_rule_has_a_miniature() -> None:
    can_be_broken = {rule_id for rule_id, rule in RULES.items() if rule.level is not Level.MAY}
    assert {suspect.rule_id for suspect in WRONG} == can_be_broken
