"""A report says when, where and how the run was made, and a failure what its testee wrote to stderr."""

import json
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path

CLIENT = """
import sys
from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.subjects.client_shim import serve_stdio

print("the decoder was configured wrongly", file=sys.stderr, flush=True)
serve_stdio(own_client_factory(CLIENT_MINIATURES["C-EMPTY"][0]))
"""


def test_a_run_is_dated_repeatable_and_tells_the_stderr_of_its_testee(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True, timeout=20)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True)
    subject = f"--client={shlex.quote(sys.executable)} client.py"
    options = [subject, "--rule=C-EMPTY", "--profile=smoke", "--report-dir=out"]
    ran = subprocess.run(
        [sys.executable, "-m", "spatius_sim", "verify", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=80,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "its stderr ends so:\n     the decoder was configured wrongly" in ran.stdout
    report = json.loads((tmp_path / "out/report.json").read_text())
    occasion = report["occasion"]
    assert datetime.fromisoformat(occasion["began"]).utcoffset() is not None
    assert occasion["commit"] == head.stdout.strip()
    words = shlex.split(occasion["command"])
    assert words[:2] == ["spatius-sim", "verify"]
    assert set(words[2:]) == set(options)
    # The run is told to a tenth of a second.
    assert occasion["seconds"] + 0.05 >= report["rules"][0]["seconds"] > 0
