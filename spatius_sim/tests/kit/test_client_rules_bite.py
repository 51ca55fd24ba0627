"""The judge of clients is judged: every miniature is named by its own rule and by no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.client_exercises import client_plans_exercising
from spatius_sim.kit.client_subject import ClientSubject, InProcessTestee
from spatius_sim.kit.own_client import own_client
from spatius_sim.kit.trial import Trial
from spatius_sim.model.client_decoder import ClientDecoder
from spatius_sim.model.client_miniatures import CLIENT_MINIATURES, HONEST_CLIENTS
from spatius_sim.rules.catalogue import Verdict, rules_for

SEED = 1
EXAMPLES = 20
MINIATURES = [(rule_id, brain) for rule_id, brains in CLIENT_MINIATURES.items() for brain in brains]

Row = dict[str, Verdict]


@pytest.fixture(scope="module")
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


@pytest.fixture(scope="module")
def kill_matrix(pytestconfig: pytest.Config) -> Iterator[dict[str, Row]]:
    matrix: dict[str, Row] = {}
    yield matrix
    marks = {Verdict.PASSED: "P", Verdict.FAILED: "F"}
    lines = ["", "", "kill matrix (P passed, F failed, - not judged: it presumes what failed)"]
    for name, row in matrix.items():
        line = "".join(marks.get(verdict, "-") for verdict in row.values())
        lines.append(f"  {name:28} {line:18} named by {', '.join(failed(row)) or 'none'}")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n".join(lines))


def judge_all(loop: BackgroundLoop, brain: type[ClientDecoder], traces: Path) -> Row:
    subject = ClientSubject(InProcessTestee(own_client(brain)), brain.__name__, SEED)
    trial = Trial(subject, loop, SEED, traces, EXAMPLES, shrink_seconds=0.1)
    return {
        rule.id: trial.judge(rule.id, client_plans_exercising(rule.id)).verdict
        for rule in rules_for("client")
    }


@pytest.mark.parametrize(("rule_id", "brain"), MINIATURES)
def test_a_wrong_client_is_named_by_its_own_rule_alone(
    rule_id: str,
    brain: type[ClientDecoder],
    loop: BackgroundLoop,
    kill_matrix: dict[str, Row],
    tmp_path: Path,
) -> None:
    row = kill_matrix[brain.__name__] = judge_all(loop, brain, tmp_path)
    assert failed(row) == [rule_id]


@pytest.mark.parametrize("brain", [ClientDecoder, *HONEST_CLIENTS])
def test_an_honest_client_passes_every_rule(
    brain: type[ClientDecoder], loop: BackgroundLoop, kill_matrix: dict[str, Row], tmp_path: Path
) -> None:
    row = kill_matrix[brain.__name__] = judge_all(loop, brain, tmp_path)
    assert set(row.values()) == {Verdict.PASSED}


def test_every_rule_has_a_miniature() -> None:
    assert set(CLIENT_MINIATURES) == {rule.id for rule in rules_for("client")}


def failed(row: Row) -> list[str]:
    return [rule_id for rule_id, verdict in row.items() if verdict is Verdict.FAILED]
