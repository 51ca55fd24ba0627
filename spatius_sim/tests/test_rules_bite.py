"""The judge is judged: every miniature is named by its own rule and by no other, and honest subjects by none.

Here each miniature faces the plans of its own rule, until one of them is seen to fail twice, and every rule
judges what happened. `tox -e matrix` has them all judged by whole runs.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spatius_sim.rules.catalogue import RULES, Verdict
from spatius_sim.tests.suspects import HONEST, WRONG, Hearing, Suspect

SEEDS = (1, 2)
PLANS_FOR_A_CLIENT = 20

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
    assert outcome.failure is not None and outcome.failure.confirmed
    kill_matrix.setdefault(f"{suspect.rule_id:20} {suspect.name}", []).append(outcome.scenarios)


@pytest.mark.parametrize("suspect", HONEST, ids=lambda suspect: suspect.name)
def test_an_honest_subject_passes_every_rule(suspect: Suspect, tmp_path: Path) -> None:
    plans = PLANS_FOR_A_CLIENT if suspect.kind == "client" else None
    with Hearing(suspect, SEEDS[0], tmp_path, plans) as hearing:
        verdicts = {rule_id: outcome.verdict for rule_id, outcome in hearing.of_all_rules().items()}
    assert set(verdicts.values()) == {Verdict.PASSED}, verdicts


def test_every_rule_has_a_miniature() -> None:
    assert {suspect.rule_id for suspect in WRONG} == set(RULES)
