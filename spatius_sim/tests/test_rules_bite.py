"""The judge is judged: every miniature is named by its own rule and by no other, and honest subjects by none.

Here each miniature faces the plans of its own rule, until one of them is seen to fail twice, and every rule
judges what happened. `tox -e matrix` has them all judged by whole runs.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level
from spatius_sim.tests.kill_matrix import SUSPECTS, row, run_all
from spatius_sim.tests.suspects import WRONG, Hearing, Suspect

SEEDS = (1, 2)

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
@pytest.mark.parametrize("suspect", WRONG, ids=lambda suspect: suspect.name)
def test_a_miniature_is_named_by_its_own_rule_alone(
    suspect: Suspect, seed: int, kill_matrix: Kills, tmp_path: Path
) -> None:
    with Hearing(suspect, seed, tmp_path) as hearing:
        outcome = hearing.of(suspect.rule_id)
        assert hearing.accusations == {suspect.rule_id}
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failure is not None and outcome.failure.confirmed
    kill_matrix.setdefault(f"{suspect.rule_id:20} {suspect.name}", []).append(outcome.scenarios)


@pytest.mark.longest
def test_an_honest_subject_passes_every_rule() -> None:
    """A whole run for each, two processes for each core, for they mostly wait."""
    honest = [number for number, suspect in enumerate(SUSPECTS) if not suspect.rule_id]
    rows = [
        row(SUSPECTS[run.suspect], [run]) for run in run_all(honest, range(1, 2), 2 * (os.cpu_count() or 1))
    ]
    assert len(rows) == len(honest)
    wrong = [line for line, right in rows if not right]
    assert not wrong, "\n".join(wrong)


def test_every_rule_has_a_miniature() -> None:
    can_be_broken = {rule_id for rule_id, rule in RULES.items() if rule.level is not Level.MAY}
    assert {suspect.rule_id for suspect in WRONG} == can_be_broken
