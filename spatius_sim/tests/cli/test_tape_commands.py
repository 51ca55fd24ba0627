"""The commands on tapes as people and scripts use them."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tests.command_line import pytest_in_process
from spatius_sim.tests.command_line import run_in_process as run
from spatius_sim.tests.rules.traces import Dialogue
from spatius_sim.tests.tape.samples import CLEANED

COMMAND = [sys.executable, "-m", "spatius_sim"]
ENVIRONMENT = os.environ | {"COLUMNS": "120", "NO_COLOR": "1"}
TIMEOUT = 60
TAPES = resource("fixtures") / "tapes"
GOOD, BAD = str(TAPES / "wire-json-envelope.tape"), str(TAPES / "fails-R-MOTION-ORDER.tape")


@contextmanager
def running(
    *arguments: str, largest_file: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A command that serves, and the lines by which it says that it is ready. It may write no file of more
    than `largest_file` bytes."""
    command = [*COMMAND, *arguments]
    if largest_file is not None:
        command = ["bash", "-c", f'ulimit -f {largest_file // 1024}; exec "$@"', "bash", *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout is not None
        yield process, [process.stdout.readline() for _ in range(3)]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()


def test_looking_at_a_tape() -> None:
    assert "motion of request-1: 6 keyframes" in run("tape", "show", GOOD).stdout
    assert json.loads(run("tape", "stats", GOOD, "--json").stdout)["payloads"] == 4
    assert "keyframes" in run("tape", "stats", GOOD).stdout


def test_differences_are_an_exit_code() -> None:
    same = run("tape", "diff", GOOD, GOOD)
    assert (same.returncode, same.stdout) == (0, "")
    other = run("tape", "diff", GOOD, BAD)
    assert other.returncode == 1
    assert "run 1" in other.stdout


def test_working_on_a_tape(tmp_path: Path) -> None:
    out = str(tmp_path / "out.tape")
    assert "events" in run("tape", "cut", GOOD, out, "--until", "0.2").stdout
    assert run("check", out).returncode in (0, 5)
    broken = tmp_path / "broken.tape"
    broken.write_bytes(Path(GOOD).read_bytes()[:-20])
    told = run("tape", "show", str(broken))
    assert told.returncode == 4
    assert "tape repair" in told.stderr and len(told.stderr.splitlines()) == 1
    repaired = run("tape", "repair", str(broken), out)
    assert repaired.returncode == 1 and "events saved" in repaired.stdout
    assert run("tape", "repair", out, out).returncode == 4
    assert run("check", out).returncode == 0
    assert "request-0001.npz" in run("tape", "export", GOOD, str(tmp_path), "--as", "npz").stdout
    exported = run("tape", "export", GOOD, str(tmp_path / "json")).stdout.split()
    assert run("tape", "import", *exported, out, "--keep-audio").returncode == 0
    # The corpus is small: its segments are shorter than recorded ones, and nothing else is wrong with it.
    told = run("check", out)
    assert "\nFAILED: S-MOTION-SEGMENTS. " in told.stdout


def test_checking_a_tape(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run("check", GOOD).returncode == 0
    bad = run("check", BAD, "--report-json", str(report))
    assert bad.returncode == 1
    explained, verdicts, claim, step = re.split(r"(?m)^(?=relay |FAILED: |Exit code )", bad.stdout)
    assert explained.startswith("R-MOTION-ORDER (MUST): ") and "  Expected  " in explained
    assert "R-MOTION-ORDER" in verdicts
    assert claim.startswith("FAILED: R-MOTION-ORDER. ")
    assert step == "Exit code 1. Next: mend R-MOTION-ORDER, then run again\n"
    written = {rule["id"]: rule["verdict"] for rule in json.loads(report.read_text())["rules"]}
    assert written["R-MOTION-ORDER"] == "FAILED"
    write_traces(tmp_path / "empty.tape", CLEANED, [])
    assert run("check", str(tmp_path / "empty.tape")).returncode == 5
    assert run("check", str(report)).returncode == 4


@pytest.mark.parametrize(("tape", "code"), [(GOOD, 0), (BAD, 1), (__file__, 4)])
def test_pytest_judges_a_tape(tmp_path: Path, tape: str, code: int) -> None:
    suite = str(resource("conformance").parent)
    ran = pytest_in_process(f"--rootdir={suite}", f"--tape={tape}", "--report-dir=all", folder=tmp_path)
    assert ran.returncode == code, ran.output
    assert ("Expected" in ran.stdout) is (code == 1)
    written = json.loads((tmp_path / "all" / "report.json").read_text()) if code != 4 else {"exit_code": 4}
    assert written["exit_code"] == code


def test_a_tape_on_which_nothing_is_exercised_is_no_pass(tmp_path: Path) -> None:
    write_traces(tmp_path / "quiet.tape", CLEANED, [Dialogue().trace])
    suite = str(resource("conformance").parent)
    ran = pytest_in_process(f"--rootdir={suite}", "--tape=quiet.tape", folder=tmp_path)
    assert ran.returncode == 5, ran.stdout


def test_a_tape_is_replayed_and_recorded(tmp_path: Path) -> None:
    out = tmp_path / "again.tape"
    with running("replay", GOOD, "--port", "0", "--speed", "0") as (server, ready):
        console = ready[1].partition("=")[2].strip()
        base = console.removesuffix("/v1/console")
        with running("record", "--upstream", base, "--port", "0", "--out", str(out)) as (proxy, lines):
            assert "Recording onto" in lines[0]
        assert proxy.returncode == 0
    assert server.returncode == 0
    (trace,) = read_traces(out)
    assert (trace.header.halves, trace.events) == ("upstream", ())


def test_a_killed_recorder_leaves_a_tape_that_says_so(tmp_path: Path) -> None:
    out = tmp_path / "killed.tape"
    with running("record", "--upstream", "http://127.0.0.1:1", "--port", "0", "--out", str(out)) as (
        process,
        _,
    ):
        process.kill()
        process.wait(timeout=TIMEOUT)
    told = run("check", str(out))
    assert told.returncode == 4
    assert "incomplete" in told.stderr
    assert run("tape", "repair", str(out), str(tmp_path / "saved.tape")).returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", GOOD, "--speed", "-1"],
        ["replay", GOOD, "--as", "client"],
        ["replay", GOOD, "ws://127.0.0.1:1"],
        ["record", "--upstream", "nonsense", "--out", "x.tape"],
        ["tape", "show", "missing.tape"],
        ["tape", "merge", GOOD, BAD, "x.tape"],
    ],
)
def test_a_wrong_call_is_a_usage_error_in_one_line(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.returncode == 4
    assert len(ran.stderr.splitlines()) == 1


def test_a_relay_that_is_away_is_unreachable() -> None:
    assert run("replay", GOOD, "--as", "client", "ws://127.0.0.1:1").returncode == 6


def test_an_existing_tape_is_not_recorded_over_unless_that_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "day.tape"
    out.write_bytes(Path(GOOD).read_bytes())
    arguments = ("record", "--upstream", "http://127.0.0.1:1", "--port", "0", "--out", str(out))
    refused = run(*arguments)
    assert refused.returncode == 4
    assert "exists already" in refused.stderr and "--overwrite" in refused.stderr
    assert out.read_bytes() == Path(GOOD).read_bytes()
    with running(*arguments, "--overwrite") as (process, _):
        pass
    assert process.returncode == 0
    assert next(iter(read_traces(out))).events == ()


def test_a_second_recorder_is_kept_off_a_tape_that_is_being_written(tmp_path: Path) -> None:
    out = tmp_path / "day.tape"
    arguments = ("record", "--upstream", "http://127.0.0.1:1", "--port", "0", "--out", str(out))
    with running(*arguments) as (first, _):
        second = run(*arguments, "--overwrite")
        assert second.returncode == 4
        assert "is being written by another process" in second.stderr
    assert first.returncode == 0
    assert len(list(read_traces(out))) == 1


def test_an_upstream_that_does_not_answer_is_told_at_the_start(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--upstream", f"http://127.0.0.1:{port}", "--port", "0", "--out", str(tmp_path / "day.tape"))
    with running("record", *arguments) as (process, _):
        assert process.stdout is not None
        # Without this line the recorder would be silent for ever.
        ends = Timer(TIMEOUT, process.kill)
        ends.start()
        line = process.stdout.readline()
        ends.cancel()
    assert f"does not answer now: 127.0.0.1:{port} cannot be reached" in line


def ask_for_no_token(console: str) -> int:
    """Send a token request that is refused, and return the status of the answer."""
    request = urllib.request.Request(f"{console}/session-tokens", b"{}", {"X-Api-Key": "k"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_a_recorder_goes_on_when_the_tape_can_grow_no_more(tmp_path: Path) -> None:
    smallest = 4096
    with running("serve", "--port", "0") as (_, ready):
        base = ready[1].split()[-1].removesuffix("/v1/console")
        arguments = ("record", "--upstream", base, "--port", "0", "--out", str(tmp_path / "day.tape"))
        with running(*arguments, largest_file=smallest) as (recorder, lines):
            console = lines[1].partition("=")[2].strip()
            assert {ask_for_no_token(console) for _ in range(100)} == {400}
            assert recorder.stdout is not None
            assert "The tape ends here; what passes goes on" in recorder.stdout.readline()
            assert ask_for_no_token(console) == 400
    assert recorder.returncode == 4
    assert "incomplete" in run("check", str(tmp_path / "day.tape")).stderr
