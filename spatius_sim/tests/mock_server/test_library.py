"""The simulator as teams use it: the examples run, and the fixture does what it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.mock_server.run_in_thread import RunningMotionServer
from spatius_sim.model.scenario.scenario import NO_FAULTS
from spatius_sim.protocol.errors import UsageError

EXAMPLES = resource("conformance") / "examples"
TIMEOUT = 60


def test_the_library_example_meets_what_it_says() -> None:
    pytest.importorskip("spatius")
    command = [sys.executable, str(EXAMPLES / "library.py")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("creditsExhausted")


def test_the_fixture_example_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, f"--rootdir={tmp_path}", str(EXAMPLES / "test_fixture.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout


def test_the_fixture_can_be_told_what_to_do(motion_server: RunningMotionServer) -> None:
    motion_server.play(NO_FAULTS)
    motion_server.play("no-motion")
    with pytest.raises(UsageError):
        motion_server.play("nobody")
    motion_server.die()
    motion_server.reset()
    assert motion_server.sessions() == []
    assert str(motion_server.port) in motion_server.environment["SPATIUS_INGRESS_ENDPOINT"]
