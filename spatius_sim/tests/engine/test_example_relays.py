"""The example relays of conformance/examples, judged as the quick start says; and broken as it says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.tests.client_js.running import node

pytestmark = pytest.mark.long

EXAMPLES = resource("conformance") / "examples"
MODULES = "SPATIUS_SIM_NODE_MODULES"
BREAKS = {
    "fastapi_relay": ("main.py", "isLast=end", "isLast=False"),
    "node_relay": ("relay.mjs", "isLast: end", "isLast: false"),
}
NEVER_MARKED = ("R-END-AUDIO", "Actual    it was never marked")
STRAYED = ("R-CONVERSATION", "Actual    a payload was discarded: mismatched id")
BROKEN = [
    *((name, *broken, *NEVER_MARKED) for name, broken in BREAKS.items()),
    ("fastapi_relay", "main.py", "=last, turnId=self._id", "=last, turnId='turn-0'", *STRAYED),
    ("node_relay", "relay.mjs", ": last, turnId: this.turnId", ": last, turnId: 'turn-0'", *STRAYED),
]
"""A newcomer's mistakes: what is changed, and what is told of it."""


def example(name: str, folder: Path) -> Path:
    """A copy of the example, with what it needs; skipped or failed where that is not here."""
    copied = shutil.copytree(EXAMPLES / name, folder / name)
    if name == "node_relay":
        node()
        modules = Path(os.environ.get(MODULES, "nowhere"))
        if not (modules / "ws").is_dir():
            missing = f"the npm package ws is not in the folder that {MODULES} names"
            pytest.fail(missing) if os.environ.get("SPATIUS_SIM_REQUIRE") == "1" else pytest.skip(missing)
        (copied / "node_modules").symlink_to(modules)
    return copied


def verify(folder: Path, *arguments: str, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "spatius_sim", "verify", "--motion-port=0", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": commands},
        capture_output=True,
        text=True,
        timeout=seconds,
    )


@pytest.mark.parametrize("name", BREAKS)
def test_an_example_breaks_no_rule(name: str, tmp_path: Path) -> None:
    ran = verify(example(name, tmp_path), "--profile=smoke")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "and all were kept" in ran.stdout


@pytest.mark.parametrize(("name", "file", "right", "wrong", "rule_id", "told"), BROKEN)
def test_a_broken_example_is_told_by_its_rule(
    name: str, file: str, right: str, wrong: str, rule_id: str, told: str, tmp_path: Path
) -> None:
    folder = example(name, tmp_path)
    source = (folder / file).read_text()
    assert source.count(right) == 1
    (folder / file).write_text(source.replace(right, wrong))
    ran = verify(folder, "--profile=smoke", f"--rule={rule_id}", "--settle=1")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert told in ran.stdout
    assert f"Exit code 1. Next: mend {rule_id}, then run again" in ran.stdout


@pytest.mark.nightly
def test_an_error_that_is_swallowed_is_told_by_a_whole_run_at_the_settings_of_users(tmp_path: Path) -> None:
    folder = example("fastapi_relay", tmp_path)
    telling = 'self._client.tell("error", message=f"motion failed: {reason}", turnId=self._id)'
    source = (folder / "main.py").read_text()
    assert source.count(telling) == 1
    (folder / "main.py").write_text(source.replace(telling, "print(reason)"))
    ran = verify(folder, seconds=900.0)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "R-ERROR-TOLD (SHOULD): " in ran.stdout
    assert "seen again when repeated" in ran.stdout
    assert "\nFAILED: R-ERROR-TOLD. 31 of 34 rules passed.\n" in ran.stdout


@pytest.mark.parametrize("name", BREAKS)
def test_the_quick_start_breaks_it_in_that_way(name: str) -> None:
    file, right, wrong = BREAKS[name]
    assert f"sed -i 's/{right}/{wrong}/' {file}" in (EXAMPLES.parent / "docs" / "five-minutes.md").read_text()
