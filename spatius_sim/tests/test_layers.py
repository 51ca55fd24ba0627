"""The house keeps its laws, and a planted violation is caught."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

PLANTED = {
    "a room that looks up": ("tape/names_to_references.py", "spatius_sim.subjects.wait_for_events"),
    "neighbours that know each other": ("tape/clip_of_a_tape.py", "spatius_sim.reporting.summary"),
    "a clock in a pure room": ("model/server/motion_answers.py", "time"),
    "a rule family that imports another": (
        "rules/relay/upstream_sessions.py",
        "spatius_sim.rules.relay.motion_to_clients",
    ),
    "a rule of a server that imports one of a client": (
        "rules/server/access.py",
        "spatius_sim.rules.client.ids",
    ),
    "a server that knows its clients": (
        "net/server/one_port_server.py",
        "spatius_sim.net.client.find_leaked_secrets",
    ),
    "a brain that knows its peer": ("model/server/response_pace.py", "spatius_sim.model.client.decoder"),
    "a kind of subject that knows another": (
        "subjects/client_subject.py",
        "spatius_sim.subjects.server_subject",
    ),
    "a room that imports the wrong subjects": (
        "engine/run_profiles.py",
        "spatius_sim.miniatures.server.plain_server",
    ),
    "pytest in the engine": ("engine/run_profiles.py", "pytest"),
    "a room that imports the tests": ("cli/schema.py", "spatius_sim.tests.suspects"),
}
"""What is wrong, the module in which it is planted, and what that imports."""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    # The copy must be the package that is analysed, whatever is installed.
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    command = [sys.executable, "-c", code, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("the contracts are kept in the clone's pyproject.toml")
    shutil.copytree(ROOT / "spatius_sim", tmp_path / "spatius_sim")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_house_keeps_its_laws(copy: Path) -> None:
    checked = lint_imports(copy)
    assert checked.returncode == 0, checked.stdout
    assert "0 broken" in checked.stdout


@pytest.mark.parametrize("violation", PLANTED)
def test_a_planted_violation_is_caught(copy: Path, violation: str) -> None:
    name, imported = PLANTED[violation]
    with (copy / "spatius_sim" / name).open("a") as module:
        module.write(f"import {imported}\n")
    checked = lint_imports(copy)
    assert checked.returncode == 1
    assert "1 broken" in checked.stdout
