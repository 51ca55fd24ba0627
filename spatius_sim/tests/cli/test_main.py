"""The command line as people and scripts use it."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from spatius_sim import __version__
from spatius_sim.rules.catalogue import RULES
from spatius_sim.tests.command_line import run_in_process as run

COMMAND = [sys.executable, "-m", "spatius_sim"]
TIMEOUT = 60


@pytest.mark.parametrize("command", [[], ["demo"], ["serve"], ["verify"], ["rules"]])
def test_help_says_what_a_command_does(command: list[str]) -> None:
    ran = run(*command, "--help")
    assert ran.returncode == 0
    assert "Usage:" in ran.stdout


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"spatius-sim {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["serve", "--port", "many"], ["verify"], ["verify", "ws://one", "--server", "http://two"]],
)
def test_a_wrong_call_is_a_usage_error_in_one_line(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.returncode == 4
    assert len(ran.stderr.splitlines()) == 1


def test_verify_judges_a_client_too() -> None:
    shim = "from spatius_sim.subjects import decoder_as_client as c, client_shim as s; s.serve_stdio(c.OWN)"
    testee = shlex.join([sys.executable, "-c", shim])
    ran = run("verify", "--client", testee, "--rule", "C-ID")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 of 1 rules were exercised" in ran.stdout


def test_rules_lists_the_catalogue() -> None:
    listed = run("rules").stdout
    assert all(rule_id in listed for rule_id in RULES)
    assert "S-MOTION-END" not in run("rules", "relay").stdout
    assert run("rules", "nobody").returncode == 4


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_when_it_is_ready_issues_tokens_and_stops_cleanly(end: signal.Signals) -> None:
    command = [*COMMAND, "serve", "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        console = ready["environment"]["SPATIUS_CONSOLE_ENDPOINT"]
        body = json.dumps({"expireAt": int(time.time()) + 60}).encode()
        asked = Request(f"{console}/session-tokens", body, {"X-Api-Key": "any"})
        with urlopen(asked, timeout=TIMEOUT) as answer:
            assert json.load(answer)["sessionToken"]
    finally:
        process.send_signal(end)
        printed, complaints = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, printed, complaints) == (0, "", "")


def test_serve_prints_the_export_lines() -> None:
    command = [*COMMAND, "serve", "--port", "0", "--api-key", "the-only-key"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(12)]
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)
    exports = [line.split()[1].partition("=")[0] for line in lines if "export" in line]
    assert exports == [
        "SPATIUS_CONSOLE_ENDPOINT",
        "SPATIUS_INGRESS_ENDPOINT",
        "SPATIUS_API_KEY",
        "SPATIUS_APP_ID",
        "SPATIUS_AVATAR_ID",
    ]
    assert any("SPATIUS_API_KEY=the-only-key" in line for line in lines)


def test_serve_on_a_taken_port_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = run("serve", "--port", str(taken.getsockname()[1]))
    assert ran.returncode == 4
    assert "is in use: end what listens there" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_the_demo_ends_with_a_verdict() -> None:
    pytest.importorskip("spatius")
    ran = run("demo")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "11 of 11 rules were exercised, and all were kept" in ran.stdout
    assert "NO " not in ran.stdout.partition("act two")[2]
    assert "see it: open reports/demo.html" in ran.stdout


def test_without_the_server_sdk_the_demo_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "spatius.py").write_text("raise ModuleNotFoundError(name='spatius')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, timeout=TIMEOUT, env=environment)
    assert ran.returncode == 4
    assert "pip install 'spatius>=1.1.1,<2'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_starting_imports_nothing_heavy() -> None:
    heavy = "('numpy', 'aiohttp', 'hypothesis', 'rich', 'pytest', 'asyncio')"
    code = f"import sys, spatius_sim.cli.main; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.stdout.strip() == "[]"
