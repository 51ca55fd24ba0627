"""The house keeps its laws, and a planted violation is caught."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

PLANTED = {
    "a room that looks up": ("protocol/audio.py", "import spatius_sim.rules.catalogue\n"),
    "a clock in a pure room": ("model/answers.py", "import time\n"),
    "neighbours that know each other": ("tape/clip.py", "import spatius_sim.net.listening\n"),
    "a rule family that imports another": (
        "rules/upstream.py",
        "import spatius_sim.rules.relay.motion\n",
    ),
}


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
    name, line = PLANTED[violation]
    path = copy / "spatius_sim" / name
    path.write_text(path.read_text() + line)
    checked = lint_imports(copy)
    assert checked.returncode == 1
    assert "1 broken" in checked.stdout
