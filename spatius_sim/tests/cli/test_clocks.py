"""A clock that is set while a run is on decides nothing; a relay whose clock is wrong is told so."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.tests.engine.tapes.test_replay_tape import script
from spatius_sim.tests.net.server.test_second_door import enter, knock
from spatius_sim.tests.processes import PROCESSES

HOUR = 3600
TIMEOUT = 60
RELAY = f"{sys.executable} {PROCESSES / 'miniature_relay_process.py'} {{port}}"
SET_CLOCK = """
import os, time
machine = time.time
time.time = lambda: machine() + ({hours} * 3600 if os.path.exists({when!r}) else 0)
"""
"""What every Python process runs at its start: its clock is set as soon as a file is there."""


def clock_folder(folder: Path, hours: int) -> tuple[Path, Path]:
    """A folder for PYTHONPATH in which the clock is set, and the file that sets it."""
    when = folder / "now"
    modules = folder / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(SET_CLOCK.format(hours=hours, when=str(when)))
    return modules, when


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("replayed", [False, True])
async def test_a_token_lives_as_long_as_was_asked_when_the_clock_is_set(
    hours: int, replayed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = time.time
    async with (
        ReplayServer(script(tmp_path), ReplayOptions()) if replayed else SocketMotionServer() as server
    ):
        _, before = await knock(server.console_endpoint)
        monkeypatch.setattr(time, "time", lambda: machine() + hours * HOUR)
        await enter(server.console_endpoint, server.ingress_endpoint, str(before["session_token"]))
        status, after = await knock(server.console_endpoint)
        assert status == 200
        await enter(server.console_endpoint, server.ingress_endpoint, str(after["session_token"]))


def test_a_run_in_which_the_clock_is_set_back_ends_as_ever(tmp_path: Path) -> None:
    modules, when = clock_folder(tmp_path, -1)
    command = [sys.executable, "-m", "spatius_sim", "verify", "ws://127.0.0.1:{port}", "--motion-port=0"]
    command += [f"--target-cmd={RELAY}", "--rule=U-TOKEN", "--rule=R-MOTION-ORDER", "--profile=smoke"]
    with subprocess.Popen(
        [*command, "--settle=0.4", "--report-json=report.json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(modules)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("judging R-MOTION-ORDER"):
                when.touch()  # From here on the clock of the judge and that of the relay are an hour slow.
    assert process.returncode == 0, printed
    assert when.exists(), printed
    assert "2 of 2 rules were exercised" in printed
    assert 0 < json.loads((tmp_path / "report.json").read_text())["occasion"]["seconds"] < HOUR


def test_a_relay_whose_clock_is_an_hour_behind_is_told_so(tmp_path: Path) -> None:
    modules, when = clock_folder(tmp_path, -1)
    when.touch()
    command = [sys.executable, "-m", "spatius_sim", "doctor", "ws://127.0.0.1:{port}", "--motion-port=0"]
    ran = subprocess.run(
        [*command, f"--target-cmd={RELAY}", f"--target-env=PYTHONPATH={modules}", "--settle=0.4"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert "its expireAt lies" in ran.stdout, ran.stdout + ran.stderr
    assert "s in the past" in ran.stdout
    assert "is the clock of the relay's machine right?" in ran.stdout
