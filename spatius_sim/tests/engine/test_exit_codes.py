"""Each exit code, provoked, from `pytest --target` and from `spatius-sim verify`."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spatius_sim.engine.run_profiles import profile_named
from spatius_sim.files.find_resources import resource
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.plan_token import token_of
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.tests.command_line import pytest_in_process, run_in_process
from spatius_sim.tests.processes import PROCESSES

RELAY = PROCESSES / "miniature_relay_process.py"
BAD_TESTEE = PROCESSES / "bad_testee.py"
SUITE = resource("conformance").parent
TIMEOUT = 120
ONE_TURN = f"--plan={token_of(Plan(((TurnPlan(PLAN_SAMPLE_RATE, 3200),),)))}"
"""A scenario for a run that needs no more than some verdict on a relay, with one --rule."""


@dataclass(frozen=True)
class Ran:
    code: int
    output: str
    rules: dict[str, str]


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)


@contextmanager
def relay(port: int, motion_port: int, broken_rule: str = "", api_key: str = canary_key(1)) -> Iterator[None]:
    environment = os.environ | {
        "SPATIUS_API_KEY": api_key,
        "SPATIUS_CONSOLE_ENDPOINT": f"http://127.0.0.1:{motion_port}/v1/console",
        "SPATIUS_INGRESS_ENDPOINT": f"ws://127.0.0.1:{motion_port}/v2/driveningress",
    }
    command = [sys.executable, str(RELAY), str(port), *([broken_rule] if broken_rule else [])]
    with ended(subprocess.Popen(command, env=environment, text=True)):
        yield


def command_for(front: str, target: str, *arguments: str) -> list[str]:
    if front == "verify":
        return [sys.executable, "-m", "spatius_sim", "verify", target, *arguments]
    workers = ["-n", "2"] if front == "xdist" else []
    return [sys.executable, "-m", "pytest", f"--rootdir={SUITE}", f"--target={target}", *workers, *arguments]


def judge(front: str, folder: Path, target: str, *arguments: str) -> Ran:
    report = folder / "report.json"
    arguments = ("--report-json", str(report), *arguments)
    words = command_for(front, target, *arguments)[3:]
    ran = (run_in_process if front == "verify" else pytest_in_process)(*words, folder=folder)
    rules = json.loads(report.read_text())["rules"] if report.exists() else []
    return Ran(ran.returncode, ran.output, {rule["id"]: rule["verdict"] for rule in rules})


fronts = pytest.mark.parametrize("front", ["pytest", "verify"])
all_fronts = pytest.mark.parametrize("front", ["pytest", "verify", "xdist"])


@fronts
def test_0_every_required_rule_passed(front: str, tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    with relay(port, motion_port):
        arguments = ("--motion-port", str(motion_port), "--profile", "smoke")
        ran = judge(front, tmp_path, f"ws://127.0.0.1:{port}", *arguments)
    assert ran.code == 0, ran.output
    left_out = {rule_id for rule_id in ran.rules if profile_named("smoke").why_left_out(rule_id)}
    expected = dict.fromkeys(ran.rules, "PASSED") | dict.fromkeys(left_out, "UNEXERCISED")
    # This relay publishes in no room, and no client on its wire drops late motion.
    elsewhere = dict.fromkeys(("E-LIMIT", "R-LATE-MARK"), "NOT_APPLICABLE")
    assert ran.rules == expected | elsewhere
    assert list(ran.rules) == [rule.id for rule in rules_for("relay")]
    judged = len(ran.rules) - len(left_out) - len(elsewhere)
    assert f"{judged} of {len(ran.rules)} rules were exercised" in ran.output
    assert f"SPATIUS_API_KEY={canary_key(1)}" in ran.output


def test_0_the_one_required_rule_passed_on_a_worker(tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    plan = token_of(Plan(((TurnPlan(6 * PLAN_SAMPLE_RATE, 3200),) * 2,)))
    with relay(port, motion_port):
        arguments = ("--motion-port", str(motion_port), "--rule", "R-MOTION-ORDER", "--plan", plan)
        ran = judge("xdist", tmp_path, f"ws://127.0.0.1:{port}", *arguments)
    assert ran.code == 0, ran.output
    assert ran.rules == {"R-MOTION-ORDER": "PASSED"}
    assert "1 of 1 rules were exercised" in ran.output
    assert f"SPATIUS_API_KEY={canary_key(1)}" in ran.output


@all_fronts
def test_1_a_rule_failed(front: str, tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    with relay(port, motion_port, "R-MOTION-ORDER"):
        ran = judge(
            front,
            tmp_path,
            f"ws://127.0.0.1:{port}",
            *("--motion-port", str(motion_port)),
            *("--rule", "R-MOTION-ORDER", "--rule", "R-MOTION-COMPLETE", "--settle", "0.4"),
            *("--profile", "smoke"),
        )
    assert ran.code == 1, ran.output
    # Where payloads come in another order, nobody can tell whether one is missing.
    assert ran.rules == {"R-MOTION-ORDER": "FAILED", "R-MOTION-COMPLETE": "UNEXERCISED"}
    for word in (
        "Expected",
        "Actual",
        "scenario",
        "--rule=R-MOTION-ORDER",
        "not judged where R-MOTION-ORDER",
    ):
        assert word in ran.output
    assert (tmp_path / "reports" / "R-MOTION-ORDER.tape").is_file()
    assert "Traceback" not in ran.output


def test_the_printed_command_repeats_the_very_scenario(tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    with relay(port, motion_port, "R-MOTION-ORDER"):
        arguments = ("--motion-port", str(motion_port), "--rule", "R-MOTION-ORDER", "--seed", "3")
        first = judge("verify", tmp_path, f"ws://127.0.0.1:{port}", *arguments)
        [(scenario, command)] = re.findall(
            r"  scenario  (.*), seen again .*\n(?s:.*?)  repeat    (.*)", first.output
        )
        report = tmp_path / "again.json"
        command = f"{command.replace('spatius-sim', 'spatius_sim')} --report-json={report}"
        again = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    assert again.returncode == first.code == 1
    [rule] = json.loads(report.read_text())["rules"]
    assert rule["failure"]["scenario"] == scenario
    assert rule["scenarios"] == 1


@all_fronts
def test_2_interrupted(front: str, tmp_path: Path) -> None:
    """While it waits for an answer: amid an import, Python and pytest themselves are not sure of the code."""
    with socket.create_server(("127.0.0.1", 0)) as answers_nothing:
        answers_nothing.settimeout(TIMEOUT)
        target = f"ws://127.0.0.1:{answers_nothing.getsockname()[1]}"
        command = command_for(front, target, "--motion-port", str(free_port()), "--wait", "60")
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        with ended(process):
            kept, _ = answers_nothing.accept()
            with kept:
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 2, output


@all_fronts
def test_3_the_kit_failed(front: str, tmp_path: Path) -> None:
    command = command_for(front, "TARGET", "--rule=C-ID")
    testee = f"{sys.executable} {BAD_TESTEE} crashes {tmp_path / 'pids'}"
    named = [f"--client={testee}" if argument.endswith("TARGET") else argument for argument in command]
    ran = subprocess.run(named, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 3, ran.stdout + ran.stderr
    assert "This says nothing of the subject" in " ".join(ran.stdout.split())


@all_fronts
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--wire", "carrier-pigeon"], "no wire is named 'carrier-pigeon'"),
        (["--rule", "R-NONSENSE"], "no rule has the id 'R-NONSENSE'"),
    ],
)
def test_4_usage(front: str, arguments: list[str], told: str, tmp_path: Path) -> None:
    target = f"ws://127.0.0.1:{free_port()}"
    ran = judge(front, tmp_path, target, "--motion-port", str(free_port()), *arguments)
    assert ran.code == 4, ran.output
    assert told in ran.output
    assert "Traceback" not in ran.output


@fronts
@pytest.mark.parametrize("target", ["http://127.0.0.1:1", "nonsense", "ws://[::1", "ws://a:99999999"])
def test_4_a_target_that_is_no_websocket_url(front: str, target: str, tmp_path: Path) -> None:
    ran = judge(front, tmp_path, target, "--motion-port", str(free_port()))
    assert ran.code == 4, ran.output
    assert "ws://" in ran.output
    assert "Traceback" not in ran.output


@fronts
def test_4_a_port_in_use(front: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = judge(front, tmp_path, "ws://127.0.0.1:1", "--motion-port", port)
    assert ran.code == 4, ran.output
    assert f"port {port} is in use" in ran.output
    assert "Traceback" not in ran.output


@all_fronts
def test_5_a_required_rule_was_not_exercised(front: str, tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    with relay(port, motion_port, api_key="short"):
        arguments = ["--motion-port", str(motion_port), "--rule", "R-SECRETS", "--rule", "U-TOKEN"]
        arguments += ["--profile", "smoke"]
        ran = judge(front, tmp_path, f"ws://127.0.0.1:{port}", *arguments)
    assert ran.code == 5, ran.output
    assert ran.rules == {"R-SECRETS": "UNEXERCISED", "U-TOKEN": "PASSED"}
    assert "this is not a pass" in ran.output


@all_fronts
def test_6_an_unreachable_target(front: str, tmp_path: Path) -> None:
    port = free_port()
    arguments = ["--motion-port", str(free_port()), "--wait", "0.3"]
    ran = judge(front, tmp_path, f"ws://127.0.0.1:{port}", *arguments)
    assert ran.code == 6, ran.output
    assert ran.output.count("cannot be reached") == 1
    assert "No rule was judged." in " ".join(ran.output.split())
    doctor = f"spatius-sim doctor ws://127.0.0.1:{port} {arguments[0]}={arguments[1]} --wait=0.3"
    assert f"Exit code 6. Next: {doctor}  (finds out why)\n" in ran.output
    assert set(ran.rules.values()) == {"INCONCLUSIVE"}
    assert "Traceback" not in ran.output


@fronts
def test_6_a_relay_that_is_not_pointed_at_us(front: str, tmp_path: Path) -> None:
    port = free_port()
    arguments = ["--motion-port", str(free_port()), "--settle", "0.2", "--rule", "R-TURNS"]
    with relay(port, free_port()):
        ran = judge(front, tmp_path, f"ws://127.0.0.1:{port}", *arguments)
    assert ran.code == 6, ran.output
    assert "completed no turn" in ran.output
    assert "Traceback" not in ran.output


@fronts
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--motion-port", "99999"], "a port is a number"),
        (["--wait", "nan"], "a number of seconds"),
        (["--settle", "-1"], "a number of seconds"),
        (["--rule", "S-MOTION-END"], "a rule for a server"),
        (["--profile", "dawn"], "there are smoke, ci, nightly"),
        (["--plan", "x", "--rule", "U-TOKEN"], "names no scenario for a relay"),
        (["--plan", "x"], "goes with one --rule"),
        (["--level", "can"], "there are must, should, may"),
        (["--time-budget", "0"], "a number of seconds"),
        (["--report-json", "/dev/null/report.json"], "cannot be written"),
    ],
)
def test_4_options_that_cannot_be(front: str, arguments: list[str], told: str, tmp_path: Path) -> None:
    ran = judge(front, tmp_path, f"ws://127.0.0.1:{free_port()}", *arguments)
    assert ran.code == 4, ran.output
    assert told in ran.output
    assert "Traceback" not in ran.output


def test_the_plugin_imports_nothing_heavy_where_it_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n\ndef test_theirs():\n    assert not {'numpy', 'aiohttp', 'rich'} & set(sys.modules)\n"
    )
    environment = os.environ | {"SPATIUS_TARGET": "ws://127.0.0.1:1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "test_theirs.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT, env=environment
    )
    assert ran.returncode == 0, ran.stdout


def test_the_plugin_leaves_the_failures_of_others_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('rule', ['x'])\n"
        "def test_theirs(rule):\n    assert rule == 'y', '::theirs'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "test_theirs.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert (ran.returncode, "AssertionError: ::theirs" in ran.stdout) == (1, True), ran.stdout
