"""The judge is judged: every miniature is named by its own rule and by no other, and honest subjects by none.

Here each miniature faces the plans of its own rule, until one of them is seen to fail twice, and every rule
judges what happened. Some honest subjects are judged by whole runs; `tox -e honest` has all of them judged so
in CI, and `tox -e matrix` all subjects.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level
from spatius_sim.tests.kill_matrix import SUSPECTS, judged, row
from spatius_sim.tests.suspects import WRONG, Hearing, Suspect

SEEDS = (1, 2)

HONEST_SUSPECTS = [number for number, suspect in enumerate(SUSPECTS) if not suspect.rule_id]
SAMPLE = HONEST_SUSPECTS[::6]
"""So few that the test command does not last long: relays, servers, clients and rooms."""

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

NOT_CAUGHT_YET: dict[str, str] = {}
"""The miniatures whose situation never comes up, by name, with the reason."""


def _suspect_param(suspect: Suspect) -> object:
    """Return the suspect as a parameter of a test, which must fail if the suspect is not caught yet."""
    reason = NOT_CAUGHT_YET.get(suspect.name)
    marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
    return pytest.param(suspect, id=suspect.name, marks=marks)


Kills = dict[str, list[int]]


@pytest.fixture(scope="module")
def kill_matrix(pytestconfig: pytest.Config) -> Iterator[Kills]:
    matrix: Kills = {}
    yield matrix
    lines = ["", "", "kill matrix: scenarios until the fault was seen, for each seed"]
    lines += [f"  {name:44} {', '.join(map(str, scenarios))}" for name, scenarios in matrix.items()]
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n".join(lines))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("suspect", [*map(_suspect_param, WRONG)])
def test_a_miniature_is_named_by_its_own_rule_alone(
    suspect: Suspect, seed: int, kill_matrix: Kills, tmp_path: Path
) -> None:
    with Hearing(suspect, seed, tmp_path) as hearing:
        outcome = hearing.of(suspect.rule_id)
        assert hearing.accusations == {suspect.rule_id}
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failure is not None and outcome.failure.confirmed
    kill_matrix.setdefault(f"{suspect.rule_id:20} {suspect.name}", []).append(outcome.scenarios)


@pytest.mark.parametrize("number", SAMPLE, ids=lambda number: SUSPECTS[number].name)
def test_an_honest_subject_passes_every_rule_in_a_whole_run(number: int) -> None:
    line, right = row(SUSPECTS[number], [judged(number, 1)])
    assert right, line


@pytest.mark.parametrize("suspect", OVER_SOCKETS_TOO, ids=lambda suspect: suspect.name)
def test_verdicts_over_sockets_are_those_in_virtual_time(suspect: Suspect, tmp_path: Path) -> None:
    found = []
    for over_sockets in (True, False):
        with Hearing(suspect, 1, tmp_path, over_sockets=over_sockets) as hearing:
            outcome = hearing.of(suspect.rule_id)
            found.append((outcome.verdict, hearing.accusations))
    assert found[0] == found[1]


def test_every_rule_has_a_miniature() -> None:
    can_be_broken = {rule_id for rule_id, rule in RULES.items() if rule.level is not Level.MAY}
    assert {suspect.rule_id for suspect in WRONG} == can_be_broken
