"""Baselines from end to end: how a run with one ends, and what it says."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.tests.processes import PROCESSES

RELAY = PROCESSES / "miniature_relay_process.py"
FEW = ("--rule=R-MOTION-ORDER", "--rule=U-TOKEN")

KNOWN = """\
known-failures:
  R-MOTION-ORDER:
    reason: two workers race
    fails-with: client-1 got the payload sent as event 1 behind the one sent as event 2
"""


def judge(front: str, folder: Path, broken_rule: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    relay = f"--target-cmd={sys.executable} {RELAY} {{port}} {broken_rule}"
    fronts = {
        "verify": ["spatius_sim", "verify", "ws://127.0.0.1:{port}"],
        "xdist": ["pytest", "-n", "1", f"--rootdir={folder}", "--target=ws://127.0.0.1:{port}"],
    }
    command = [sys.executable, "-m", *fronts[front], relay, "--motion-port=0", "--settle=0.4"]
    command += ["--baseline=known.yaml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def verify(folder: Path, broken_rule: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return judge("verify", folder, broken_rule, *arguments)


@pytest.mark.parametrize("front", ["verify", "xdist"])
@pytest.mark.parametrize(
    ("baseline", "broken_rule", "code", "told"),
    [
        (KNOWN, "R-MOTION-ORDER", 0, "known: two workers race"),
        ("known-failures:\n", "R-MOTION-ORDER", 1, "FAILED: R-MOTION-ORDER. "),
        (
            KNOWN.replace("behind the", "before the"),
            "R-MOTION-ORDER",
            1,
            "known.yaml:4: R-MOTION-ORDER fails other",
        ),
        (
            KNOWN + "    expires: 2020-02-29\n",
            "R-MOTION-ORDER",
            1,
            "known.yaml:5: R-MOTION-ORDER expired on 2020",
        ),
        (KNOWN, "", 1, "known.yaml:2: R-MOTION-ORDER passes now: delete lines 2 to 4"),
        ("known-flaky:\n" + KNOWN.partition("\n")[2], "", 0, "all were kept"),
        ("known-failures:\n  R-NONSENSE: {}\n", "", 4, "known.yaml:2: no rule has the id 'R-NONSENSE'"),
    ],
    ids=["tolerated", "new", "fails otherwise", "expired", "passes", "flaky", "wrong"],
)
def test_a_run_with_a_baseline(
    front: str, baseline: str, broken_rule: str, code: int, told: str, tmp_path: Path
) -> None:
    (tmp_path / "known.yaml").write_text(baseline)
    ran = judge(front, tmp_path, broken_rule, *FEW)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert told in " ".join((ran.stdout + ran.stderr).split())


def test_a_baseline_is_made_by_a_whole_run_and_then_tolerates(tmp_path: Path) -> None:
    code = (
        "from spatius_sim.subjects import own_client, python_shim; "
        "from spatius_sim.miniatures.wrong_clients import CLIENT_MINIATURES; "
        "python_shim.serve_stdio(own_client.own_client(CLIENT_MINIATURES['C-EMPTY'][0]))"
    )

    def judge_client(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "spatius_sim", "verify", "--baseline=known.yaml", *arguments]
        command.append(f"--client={shlex.join([sys.executable, '-c', code])}")
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    ran = judge_client("--update-baseline")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "known.yaml: added C-EMPTY" in ran.stdout
    again = judge_client("--rule=C-EMPTY", "--rule=C-ID", "--seed=2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "known to fail: C-EMPTY" in again.stdout


@pytest.mark.parametrize("partial", ["--rule=U-TOKEN", "--profile=smoke", "--time-budget=5"])
def test_a_partial_run_updates_nothing(partial: str, tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN)
    ran = verify(tmp_path, "", "--update-baseline", partial)
    assert ran.returncode == 4
    assert "--update-baseline needs a whole run" in ran.stderr
    assert (tmp_path / "known.yaml").read_text() == KNOWN


def test_a_run_that_leaves_something_open_updates_nothing(tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(KNOWN)
    ran = verify(tmp_path, "", "--update-baseline", "--target-env=SPATIUS_INGRESS_ENDPOINT=ws://127.0.0.1:9")
    assert ran.returncode == 6, ran.stdout + ran.stderr
    assert "known.yaml is left as it is: nothing is known of R-TOKENLESS" in ran.stdout
    assert (tmp_path / "known.yaml").read_text() == KNOWN


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
