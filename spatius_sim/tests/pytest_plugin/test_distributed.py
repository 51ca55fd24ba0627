"""`pytest -n 2` says what a serial run says: one Motion Server, one relay, one report."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.tests.engine.test_exit_codes import TIMEOUT, Ran, judge, relay

pytestmark = pytest.mark.long

SMOKE = ("--profile", "smoke", "--settle", "0.4")


def judged(folder: Path, port: int, motion_port: int, *arguments: str) -> Ran:
    return judge(
        "pytest", folder, f"ws://127.0.0.1:{port}", "--motion-port", str(motion_port), *SMOKE, *arguments
    )


def test_the_verdicts_and_the_exit_code_are_those_of_a_serial_run(tmp_path: Path) -> None:
    port, motion_port = free_port(), free_port()
    rules = [f"--rule={name}" for name in ("R-TOKENLESS", "U-TOKEN", "R-TURNS", "R-MOTION-ORDER", "R-LARGE")]
    with relay(port, motion_port, "R-MOTION-ORDER"):
        serial = judged(tmp_path, port, motion_port, *rules)
        distributed = judged(tmp_path, port, motion_port, *rules, "-n", "2")
    assert distributed.code == serial.code == 1, distributed.output
    assert distributed.rules == serial.rules
    assert {"PASSED", "FAILED"} <= set(distributed.rules.values())
    assert "2 workers" in distributed.output
    assert "Motion Server will listen" in distributed.output


def test_what_a_worker_cannot_do_ends_the_run_as_usage(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = judged(tmp_path, 1, port, "-n", "2")
    assert ran.code == 4, ran.output
    assert f"port {port} is in use" in ran.output


def test_the_embedded_subjects_are_judged_once_each(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    suites = [str(resource("conformance") / kind) for kind in ("relay", "client")]
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "--profile", "smoke"]
    command += [f"--report-json={report}", f"--rootdir={tmp_path}", *suites]
    environment = {name: value for name, value in os.environ.items() if name != "SPATIUS_TARGET"}
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    read = json.loads(report.read_text())
    assert sorted(subject["subject"] for subject in read["subjects"]) == ["client", "relay"]
    assert len({rule["id"] for rule in read["rules"]}) == len(read["rules"])
