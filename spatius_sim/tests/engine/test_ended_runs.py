"""A run that is ended from outside leaves no process behind, and the report of what it had found."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import FunctionType

import pytest

from spatius_sim.engine.handle_signals import Interruption
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.pytest_plugin.pytest_outcomes import SessionOutcomes
from spatius_sim.tests.engine.test_exit_codes import RELAY, TIMEOUT, all_fronts, command_for, fronts
from spatius_sim.tests.processes import PROCESSES
from spatius_sim.tests.subjects.test_client_subject import is_running

pytestmark = pytest.mark.long

FAMILY = PROCESSES / "family_of_processes.py"
GONE_SECONDS = 15.0
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
AT = "ws://127.0.0.1:{port}"

INTERRUPTED = (2, -signal.SIGINT)
"""The second, if the signal comes amid `exec` of a text, as `dataclass` calls it: CPython takes this for an
interrupt that nobody handled, and at the end of the program raises SIGINT in place of its exit code."""

asked_to_end = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)


def family(pids: Path, *command: str) -> str:
    """The command that becomes that one, with children."""
    return shlex.join([sys.executable, str(FAMILY), str(pids), *command])


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a group of its own, as a shell or `timeout` runs it; its group is killed at the end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=TIMEOUT)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it holds, or does within so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def have_started(pids: Path) -> bool:
    return pids.exists() and pids.read_text().count("\n") >= 4


def left_over(pids: Path) -> list[str]:
    """The processes of the family that are there still after a bounded time, with their state, parent, group
    and session, which say who failed to end them; they are killed then."""
    noted = [int(line) for line in pids.read_text().split()]
    within(GONE_SECONDS, lambda: not any(map(is_running, noted)))
    left = [pid for pid in noted if is_running(pid)]
    told = [" ".join(Path(f"/proc/{pid}/stat").read_text().split()[:6]) for pid in left]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return told


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """The output up to the line that contains the word; the tests' own bound is that of the process."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or word not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    return "".join(lines)


@all_fronts
def test_who_waits_for_a_relay_says_at_once_what_is_judged(front: str, tmp_path: Path) -> None:
    """In a pipe too, as CI gives it."""
    with socket.create_server(("127.0.0.1", 0)) as answers_nothing:
        target = f"ws://127.0.0.1:{answers_nothing.getsockname()[1]}"
        command = command_for(front, target, "--motion-port", str(free_port()), "--wait", "600")
        with running([*command, "--rule", "R-AUDIO-FIRST"], tmp_path) as process:
            too_late = threading.Timer(TIMEOUT, process.kill)
            too_late.daemon = True
            too_late.start()
            read_until(process, "judging R-AUDIO-FIRST")
            too_late.cancel()


@all_fronts
@asked_to_end
def test_a_run_that_is_asked_to_end_is_interrupted_and_reports(
    front: str, number: signal.Signals, tmp_path: Path
) -> None:
    """The whole group is told a second time, as `timeout` does it."""
    pids, report = tmp_path / "pids", tmp_path / "report.json"
    relay = family(pids, sys.executable, str(RELAY), "{port}", "R-MOTION-ORDER")
    command = command_for(front, AT, "--target-cmd", relay, "--report-json", str(report))
    command += ["--rule", "R-MOTION-ORDER", "--rule", "R-SLOWCLIENT"]
    with running(command, tmp_path) as process:
        told = read_until(process, "FAILED R-MOTION-ORDER")
        process.send_signal(number)
        os.killpg(process.pid, number)
        rest, _ = process.communicate(timeout=TIMEOUT)
    left = left_over(pids)
    assert not left
    assert process.returncode in INTERRUPTED, told + rest
    plain = json.loads(report.read_text())
    assert plain["exit_code"] == 2
    verdicts = {rule["id"]: rule["verdict"] for rule in plain["rules"]}
    assert verdicts == {"R-MOTION-ORDER": "FAILED", "R-SLOWCLIENT": "UNEXERCISED"}
    assert "interrupted" in rest.lower()


def without_lines(function: Callable[[], None]) -> Callable[[], None]:
    """That function, with instructions that belong to no line, as a compiler makes some of them: in the table
    of lines, 0xF8 begins an entry without a line for one instruction, 0xFF one for eight."""
    assert isinstance(function, FunctionType)
    code = function.__code__
    instructions = len(code.co_code) // 2
    table = bytes(0xF8 | min(7, instructions - first - 1) for first in range(0, instructions, 8))
    return FunctionType(code.replace(co_linetable=table), function.__globals__)


def end_this_process() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_a_signal_between_two_lines_interrupts_too() -> None:
    """pytest cannot show an instruction without a line; a run that met one ended with exit code 1."""
    interruption, session_outcomes = Interruption(), SessionOutcomes()
    restore_handlers = interruption.install_handlers()
    try:
        with pytest.raises(KeyboardInterrupt) as interrupted:
            without_lines(end_this_process)()
    finally:
        restore_handlers()
    without_line = {None, -1}  # Before Python 3.11.4 it is -1.
    assert without_line.intersection(line for _, line in walk_tb(interrupted.tb))
    session_outcomes.pytest_keyboard_interrupt(interrupted)
    assert "KeyboardInterrupt" in str(interrupted.getrepr(funcargs=True))


@all_fronts
def test_a_judge_that_is_killed_leaves_no_relay(front: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = command_for(front, AT, "--target-cmd", family(pids, *SLEEPER), "--wait", "60")
    with running(command, tmp_path) as process:
        assert within(TIMEOUT, lambda: have_started(pids))
        process.kill()
        process.communicate(timeout=TIMEOUT)
    left = left_over(pids)
    assert not left


@pytest.mark.parametrize("command", ["doctor", "init"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
def test_a_question_that_is_cut_short_leaves_no_relay(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    words = [sys.executable, "-m", "spatius_sim", command, AT, "--target-cmd", family(pids, *SLEEPER)]
    with running([*words, "--wait", "60"], tmp_path) as process:
        assert within(TIMEOUT, lambda: have_started(pids))
        process.send_signal(number)
        process.communicate(timeout=TIMEOUT)
    left = left_over(pids)
    assert not left
    assert process.returncode in ((-number,) if number == signal.SIGKILL else INTERRUPTED)


@fronts
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
def test_a_testee_ends_with_the_judge(front: str, number: signal.Signals, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    client = f"--client={family(pids, *SLEEPER)}"
    command = [word for word in command_for(front, "TARGET", "--rule=C-ID") if "TARGET" not in word]
    with running([*command, client], tmp_path) as process:
        assert within(TIMEOUT, lambda: have_started(pids))
        process.send_signal(number)
        process.communicate(timeout=TIMEOUT)
    left = left_over(pids)
    assert not left
    assert process.returncode in ((-number,) if number == signal.SIGKILL else INTERRUPTED)


def test_who_is_told_to_ignore_hang_ups_ignores_them(tmp_path: Path) -> None:
    """As under `nohup`."""
    pids = tmp_path / "pids"
    relay = family(pids, sys.executable, str(RELAY), "{port}")
    command = ["nohup", *command_for("verify", AT, "--target-cmd", relay, "--rule", "R-AUDIO-FIRST")]
    with running(command, tmp_path) as process:
        assert within(TIMEOUT, lambda: have_started(pids))
        process.send_signal(signal.SIGHUP)
        output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, output
    assert not left_over(pids)
