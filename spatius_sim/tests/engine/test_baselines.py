"""Baselines from end to end: how a run with one ends, and what it says."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.tests.command_line import Ended, pytest_in_process, run_in_process
from spatius_sim.tests.processes import PROCESSES

pytestmark = pytest.mark.long

RELAY = PROCESSES / "miniature_relay_process.py"
FEW = ("--rule=C-EMPTY", "--rule=C-ID", "--profile=smoke")

KNOWN = """\
known-failures:
  C-EMPTY:
    reason: an empty payload ends it
    fails-with: idle after 0
"""

KNOWN_OF_RELAY = KNOWN.replace("C-EMPTY", "R-MOTION-ORDER")


def client_command(broken_rule: str = "") -> str:
    """Return the command of our own decoder as a testee, or of the first miniature that breaks this rule. A
    client is judged on a clock of its own, so its run takes no waits."""
    brain = f"CLIENT_MINIATURES[{broken_rule!r}][0]" if broken_rule else "ClientDecoder"
    code = (
        "from spatius_sim.subjects import decoder_as_client, client_shim; "
        "from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES; "
        "from spatius_sim.model.client.decoder import ClientDecoder; "
        f"client_shim.serve_stdio(decoder_as_client.own_client_factory({brain}))"
    )
    return shlex.join([sys.executable, "-c", code])


def judge(front: str, folder: Path, broken_rule: str, *arguments: str) -> Ended:
    arguments = (f"--client={client_command(broken_rule)}", "--baseline=known.yaml", *arguments)
    if front == "verify":
        return run_in_process("verify", *arguments, folder=folder)
    workers = ["-n1"] if front == "xdist" else []
    return pytest_in_process(*workers, f"--rootdir={folder}", *arguments, folder=folder)


def verify(folder: Path, *arguments: str) -> Ended:
    relay = f"--target-cmd={sys.executable} {RELAY} {{port}}"
    fixed = ("verify", "ws://127.0.0.1:{port}", relay, "--motion-port=0", "--settle=0.4")
    return run_in_process(*fixed, "--baseline=known.yaml", *arguments, folder=folder)


BASELINES = pytest.mark.parametrize(
    ("baseline", "broken_rule", "code", "told"),
    [
        (KNOWN, "C-EMPTY", 0, "known: an empty payload ends it"),
        ("known-failures:\n", "C-EMPTY", 1, "FAILED: C-EMPTY. "),
        (KNOWN.replace("idle", "playing"), "C-EMPTY", 1, "known.yaml:4: C-EMPTY fails other"),
        (KNOWN + "    expires: 2020-02-29\n", "C-EMPTY", 1, "known.yaml:5: C-EMPTY expired on 2020"),
        (KNOWN, "", 1, "known.yaml:2: C-EMPTY passes now: delete lines 2 to 4"),
        ("known-flaky:\n" + KNOWN.partition("\n")[2], "", 0, "all were kept"),
        ("known-failures:\n  R-NONSENSE: {}\n", "", 4, "known.yaml:2: no rule has the id 'R-NONSENSE'"),
    ],
    ids=["tolerated", "new", "fails otherwise", "expired", "passes", "flaky", "wrong"],
)


@pytest.mark.parametrize("front", ["verify", "pytest"])
@BASELINES
def test_a_run_with_a_baseline(
    front: str, baseline: str, broken_rule: str, code: int, told: str, tmp_path: Path
) -> None:
    (tmp_path / "known.yaml").write_text(baseline)
    ran = judge(front, tmp_path, broken_rule, *FEW)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert told in " ".join((ran.stdout + ran.stderr).split())


@pytest.mark.parametrize(("broken_rule", "code"), [("C-EMPTY", 0), ("", 1)])
def test_what_workers_found_is_held_against_the_baseline(broken_rule: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN)
    ran = judge("xdist", tmp_path, broken_rule, *FEW)
    assert ran.returncode == code, ran.output
    assert ("C-EMPTY passes now: delete lines 2 to 4" in ran.output) is bool(code)


def test_a_baseline_is_made_by_a_whole_run_and_then_tolerates(tmp_path: Path) -> None:
    ran = judge("verify", tmp_path, "C-EMPTY", "--update-baseline")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "known.yaml: added C-EMPTY" in ran.stdout
    again = judge("verify", tmp_path, "C-EMPTY", *FEW, "--seed=2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "known to fail: C-EMPTY" in again.stdout


@pytest.mark.parametrize("partial", ["--rule=U-TOKEN", "--profile=smoke", "--time-budget=5"])
def test_a_partial_run_updates_nothing(partial: str, tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN_OF_RELAY)
    ran = verify(tmp_path, "--update-baseline", partial)
    assert ran.returncode == 4
    assert "--update-baseline needs a whole run" in ran.stderr
    assert (tmp_path / "known.yaml").read_text() == KNOWN_OF_RELAY


def test_a_run_that_leaves_something_open_updates_nothing(tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN_OF_RELAY)
    ran = verify(tmp_path, "--update-baseline", "--target-env=SPATIUS_INGRESS_ENDPOINT=ws://127.0.0.1:9")
    assert ran.returncode == 6, ran.stdout + ran.stderr
    assert "known.yaml is left as it is: nothing is known of R-TOKENLESS" in ran.stdout
    assert (tmp_path / "known.yaml").read_text() == KNOWN_OF_RELAY


def test_an_interrupted_run_updates_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spatius_sim", "verify", "ws://127.0.0.1:9", "--motion-port=0"]
    command += ["--wait=5", "--baseline=known.yaml", "--update-baseline"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while "judging U-" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2
    assert not (tmp_path / "known.yaml").exists()
