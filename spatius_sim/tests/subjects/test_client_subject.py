"""Testees that go wrong are ERRORED, with their last output; nothing is left behind. Good ones are judged."""

import asyncio
import json
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.files.find_resources import resource
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.client.testee_connection import SocketTestee, StdioTestee
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.client_shim import serve_websocket
from spatius_sim.subjects.client_subject import ClientSubject
from spatius_sim.subjects.decoder_as_client import OWN, OwnClient
from spatius_sim.tests.command_line import pytest_in_process
from spatius_sim.tests.processes import PROCESSES

TESTEE = PROCESSES / "bad_testee.py"
TIMEOUT = 120
OWN_SHIM = (
    "from spatius_sim.subjects.client_shim import serve_stdio;"
    "from spatius_sim.subjects.decoder_as_client import OWN;"
    "serve_stdio(OWN)"
)
GOOD = shlex.join([sys.executable, "-c", OWN_SHIM])


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


def outcome_of(loop: BackgroundLoop, subject: ClientSubject, traces: Path) -> RuleOutcome:
    trial: Trial[ClientPlan] = Trial(subject, loop, 1, traces, 3)
    try:
        return trial.judge("C-ID", client_plans_exercising("C-ID"))
    finally:
        trial.detach()


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # It may end while its file is read.
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def all_ended(pids: Path) -> bool:
    """Whether every process that was noted has ended, or does so within a second."""
    deadline = time.monotonic() + 1.0
    running = [int(line) for line in pids.read_text().split()]
    assert running
    while running and time.monotonic() < deadline:
        running = [pid for pid in running if is_running(pid)]
    return not running


WAYS = {
    "hangs": "did not answer for 3 s",
    "crashes": "RuntimeError: the client fell over",
    "talks rubbish": "Segmentation fault (core dumped)",
    "answers out of turn": "it answered request 4 when 6 was asked",
    "never ends a line": "it ended with code 0",
    "dies between plans": "it ended with code 7",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_testee_that_goes_wrong_is_errored(way: str, loop: BackgroundLoop, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = shlex.join([sys.executable, str(TESTEE), way, str(pids)])
    subject = ClientSubject(StdioTestee(command), command, 1, answer_seconds=3.0 if way == "hangs" else 10.0)
    outcome = outcome_of(loop, subject, tmp_path)
    assert outcome.verdict is Verdict.ERRORED
    assert WAYS[way] in outcome.reason
    assert all_ended(pids)


def test_a_testee_that_makes_no_client_is_errored(loop: BackgroundLoop, tmp_path: Path) -> None:
    code = "from spatius_sim.subjects.client_shim import serve_stdio\n"
    code += "from spatius_sim.subjects.decoder_as_client import OwnClient\n"
    code += "class Mine(OwnClient):\n made = 0\n def __init__(self, rate, mode):\n  Mine.made += 1\n"
    code += "  if Mine.made > 1: raise OSError('no model')\n  super().__init__(rate, mode)\nserve_stdio(Mine)"
    command = shlex.join([sys.executable, "-c", code])
    outcome = outcome_of(loop, ClientSubject(StdioTestee(command), command, 1), tmp_path)
    assert outcome.verdict is Verdict.ERRORED
    assert "asked reset: it made no fresh client: " in outcome.reason
    assert "no model" in outcome.reason


def test_the_next_rule_gets_a_fresh_process(loop: BackgroundLoop, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = shlex.join([sys.executable, str(TESTEE), "crashes", str(pids)])
    trial: Trial[ClientPlan] = Trial(ClientSubject(StdioTestee(command), command, 1), loop, 1, tmp_path, 3)
    for rule_id in ("C-ID", "C-MATCH"):
        assert trial.judge(rule_id, client_plans_exercising(rule_id)).verdict is Verdict.ERRORED
    trial.detach()
    assert len(pids.read_text().split()) == 2
    assert all_ended(pids)


@pytest.mark.parametrize("command", ["no-such-program", "", "'", f"{sys.executable} -c 'exit(3)'"])
def test_a_testee_that_cannot_be_started_is_unreachable(command: str) -> None:
    subject = ClientSubject(StdioTestee(command), command, 1)
    with pytest.raises(UnreachableError) as raised:
        asyncio.run(subject.attach())
    assert "\n" not in str(raised.value)


def test_another_protocol_is_unreachable() -> None:
    answer = '{"id": 1, "result": {"protocol": 2, "modes": []}}'
    command = shlex.join([sys.executable, "-c", f"input(); print('{answer}')"])
    with pytest.raises(UnreachableError, match="does not speak testee protocol 1"):
        asyncio.run(ClientSubject(StdioTestee(command), command, 1).attach())


def test_the_python_shim_over_stdio(loop: BackgroundLoop, tmp_path: Path) -> None:
    outcome = outcome_of(loop, ClientSubject(StdioTestee(GOOD), GOOD, 1), tmp_path)
    assert outcome.verdict is Verdict.PASSED


def test_the_python_shim_over_a_websocket(loop: BackgroundLoop, tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    testee = SocketTestee(url)
    loop.run(testee.listen(), 5.0)
    client = threading.Thread(target=serve_websocket, args=(url, OWN))
    client.start()
    outcome = outcome_of(loop, ClientSubject(testee, url, 1), tmp_path)
    loop.run(testee.stop(), 5.0)
    client.join(5.0)
    assert outcome.verdict is Verdict.PASSED


def test_nobody_connects(loop: BackgroundLoop) -> None:
    testee = SocketTestee(f"ws://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match="no client connected"):
        loop.run(testee.open(0.1), 5.0)
    loop.run(testee.stop(), 5.0)


def test_an_address_in_use_is_a_usage_error(loop: BackgroundLoop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot listen"):
            loop.run(SocketTestee(f"ws://127.0.0.1:{taken.getsockname()[1]}").listen(), 5.0)


@dataclass(frozen=True)
class Ran:
    code: int
    output: str
    rules: dict[str, str]


def pytest_with(client: str, folder: Path, *arguments: str) -> Ran:
    report = folder / "report.json"
    words = [f"--rootdir={resource('conformance').parent}", f"--client={client}", f"--report-json={report}"]
    ran = pytest_in_process(*words, *arguments, folder=folder, columns=200)
    rules = json.loads(report.read_text())["rules"] if report.exists() else []
    return Ran(ran.returncode, ran.output, {rule["id"]: rule["verdict"] for rule in rules})


def test_exit_0(tmp_path: Path) -> None:
    ran = pytest_with(GOOD, tmp_path, "--profile", "smoke")
    assert ran.code == 0, ran.output
    assert len(ran.rules) == 18
    assert set(ran.rules.values()) == {"PASSED"}


def test_exit_1_prints_a_dialogue(tmp_path: Path) -> None:
    (tmp_path / "wrong_client.py").write_text(
        "from spatius_sim.subjects.decoder_as_client import own_client_factory\n"
        "from spatius_sim.subjects.client_shim import serve_stdio\n"
        "from spatius_sim.miniatures.client.wrong_clients import ForgetsAudioOnly\n"
        "serve_stdio(own_client_factory(ForgetsAudioOnly))\n"
    )
    command = shlex.join([sys.executable, "wrong_client.py"])
    ran = pytest_with(command, tmp_path, "--rule", "C-EMPTY-STICKY", "--rule", "C-ID")
    assert ran.code == 1, ran.output
    assert ran.rules == {"C-ID": "PASSED", "C-EMPTY-STICKY": "FAILED"}
    assert "=> yieldFramesData(" in ran.output
    assert (tmp_path / "reports" / "C-EMPTY-STICKY.tape").is_file()
    assert "Traceback" not in ran.output


def test_exit_3_for_a_testee_that_goes_wrong(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, str(TESTEE), "talks rubbish", str(tmp_path / "pids")])
    ran = pytest_with(command, tmp_path, "--rule", "C-ID")
    assert ran.code == 3, ran.output
    assert "Segmentation fault" in ran.output
    assert "Traceback" not in ran.output
    assert all_ended(tmp_path / "pids")


@pytest.mark.parametrize(
    "arguments", [["--target", "ws://127.0.0.1:1"], ["--server", "http://127.0.0.1:1"], ["--rule", "C-NONE"]]
)
def test_exit_4(arguments: list[str], tmp_path: Path) -> None:
    ran = pytest_with(GOOD, tmp_path, *arguments)
    assert ran.code == 4, ran.output


def test_exit_6(tmp_path: Path) -> None:
    ran = pytest_with("no-such-program", tmp_path, "--rule", "C-ID")
    assert ran.code == 6, ran.output
    assert "cannot be started" in ran.output
    assert "Traceback" not in ran.output


class Silent(OwnClient):
    """Lacks what a client may lack."""

    def __getattr__(self, name: str) -> object:
        if name in ("pause", "resume", "get_current_conversation_id"):
            raise AttributeError(name)
        return super().__getattr__(name)


def test_what_is_lacking_is_not_applicable(tmp_path: Path) -> None:
    (tmp_path / "lacking.py").write_text(
        "from spatius_sim.subjects.client_shim import serve_stdio\n"
        "from spatius_sim.tests.subjects.test_client_subject import Silent\n"
        "serve_stdio(Silent)\n"
    )
    command = shlex.join([sys.executable, "lacking.py"])
    ran = pytest_with(command, tmp_path, "--rule", "C-PAUSE", "--rule", "C-ID-CURRENT", "--rule", "C-MATCH")
    assert ran.code == 0, ran.output
    assert ran.rules == {"C-PAUSE": "NOT_APPLICABLE", "C-ID-CURRENT": "NOT_APPLICABLE", "C-MATCH": "PASSED"}
