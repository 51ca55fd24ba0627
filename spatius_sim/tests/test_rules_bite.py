"""The judge is judged: every miniature is named by its own rule and by no other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.exercises import exercise_of
from spatius_sim.kit.plans import Plan
from spatius_sim.kit.server_subject import Place, ServerSubject
from spatius_sim.kit.subjects import Subject, canary_key
from spatius_sim.kit.trial import Trial
from spatius_sim.model.client_miniatures import CLIENT_MINIATURES
from spatius_sim.model.miniatures import RELAY_MINIATURES
from spatius_sim.model.plain_relay import PlainRelay
from spatius_sim.model.plain_server import PlainServer
from spatius_sim.model.server_miniatures import SERVER_MINIATURES
from spatius_sim.net.miniature_server import MiniatureServer
from spatius_sim.net.recorder import Recorder
from spatius_sim.rules.catalogue import RULES, Verdict, rules_for
from spatius_sim.tests.running_miniature import PATIENCE, SEED, miniature_relay

EXAMPLES = 5

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
    for broken, row in matrix.items():
        line = "".join(marks.get(verdict, "-") for verdict in row.values())
        lines.append(f"  {broken:21} {line:13} named by {', '.join(failed(row)) or 'none'}")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n".join(lines))


@asynccontextmanager
async def miniature_server(brain: type[PlainServer]) -> AsyncIterator[Subject[Plan]]:
    numbers = count(1)
    key = canary_key(SEED)
    async with MiniatureServer(brain(key, lambda: f"connection-{next(numbers)}", SEED)) as server:
        place = Place(server.console_endpoint, server.ingress_endpoint, key, find_lacks=False)
        yield ServerSubject(place, Recorder(), SEED, PATIENCE)


@pytest.fixture
def bench(loop: BackgroundLoop) -> Iterator[AsyncExitStack]:
    stack = AsyncExitStack()
    yield stack
    loop.run(stack.aclose(), 10.0)


def judge_all(loop: BackgroundLoop, subject: Subject[Plan], traces: Path) -> Row:
    trial = Trial(subject, loop, SEED, traces, EXAMPLES)
    return {rule.id: trial.judge(rule.id, *exercise_of(rule.id)).verdict for rule in rules_for(subject.kind)}


@pytest.mark.parametrize(
    ("rule_id", "brain"),
    [
        pytest.param(rule_id, brain, id=brain.__name__)
        for rule_id, brains in RELAY_MINIATURES.items()
        for brain in brains
    ],
)
def test_a_wrong_relay_is_named_by_its_own_rule_alone(
    rule_id: str,
    brain: type[PlainRelay],
    loop: BackgroundLoop,
    bench: AsyncExitStack,
    kill_matrix: dict[str, Row],
    tmp_path: Path,
) -> None:
    subject = loop.run(bench.enter_async_context(miniature_relay(brain)), 10.0)
    row = kill_matrix[brain.__name__] = judge_all(loop, subject, tmp_path)
    assert failed(row) == [rule_id]


@pytest.mark.parametrize(
    ("rule_id", "brain"),
    [
        pytest.param(rule_id, brain, id=brain.__name__)
        for rule_id, brains in SERVER_MINIATURES.items()
        for brain in brains
    ],
)
def test_a_wrong_motion_server_is_named_by_its_own_rule_alone(
    rule_id: str,
    brain: type[PlainServer],
    loop: BackgroundLoop,
    bench: AsyncExitStack,
    kill_matrix: dict[str, Row],
    tmp_path: Path,
) -> None:
    subject = loop.run(bench.enter_async_context(miniature_server(brain)), 10.0)
    row = kill_matrix[brain.__name__] = judge_all(loop, subject, tmp_path)
    assert failed(row) == [rule_id]


def test_an_honest_relay_passes_every_rule(
    loop: BackgroundLoop, bench: AsyncExitStack, kill_matrix: dict[str, Row], tmp_path: Path
) -> None:
    subject = loop.run(bench.enter_async_context(miniature_relay(PlainRelay)), 10.0)
    row = kill_matrix["an honest relay"] = judge_all(loop, subject, tmp_path)
    assert set(row.values()) == {Verdict.PASSED}


def test_an_honest_motion_server_passes_every_rule(
    loop: BackgroundLoop, bench: AsyncExitStack, kill_matrix: dict[str, Row], tmp_path: Path
) -> None:
    subject = loop.run(bench.enter_async_context(miniature_server(PlainServer)), 10.0)
    row = kill_matrix["an honest server"] = judge_all(loop, subject, tmp_path)
    assert set(row.values()) == {Verdict.PASSED}


def test_every_rule_has_a_miniature() -> None:
    assert {*RELAY_MINIATURES, *SERVER_MINIATURES, *CLIENT_MINIATURES} == set(RULES)


def failed(row: Row) -> list[str]:
    return [rule_id for rule_id, verdict in row.items() if verdict is Verdict.FAILED]
