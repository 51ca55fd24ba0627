"""Runs `spatius-sim verify` as its users do, in a process of its own, with a real LiveKit server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer

SECONDS, BUDGET = 58, 50
"""Seconds: for the whole process, and for its judging. One rule over one short plan takes some ten."""

_TOKEN = re.compile(rb"eyJ[\w-]{16,}\.[\w-]{16,}")
"""Two parts of a JSON Web Token. (Pictures in base64 may hold its first letters.)"""


def run_verify(
    folder: Path, livekit: LiveKitServer, arguments: Sequence[str], secret: str = SECRET
) -> tuple[int, str]:
    """Run `spatius-sim verify` in a process of its own, and return its exit code and its output. A run that
    is cut off shows nothing, and fails."""
    environment = {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": secret, "LIVEKIT_URL": livekit.url}
    command = [sys.executable, "-m", "spatius_sim", "verify", *arguments, "--report-json=report.json"]
    command.append(f"--time-budget={BUDGET}")
    ran = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert "out of time" not in ran.stdout, ran.stdout
    assert secret not in ran.stdout
    assert "eyJ" not in ran.stdout
    return ran.returncode, ran.stdout


def verdicts_in(folder: Path) -> dict[str, str]:
    """Return the verdict of each rule, after a run with --report-json."""
    text = (folder / "report.json").read_text()
    assert SECRET not in text
    assert not _TOKEN.search(text.encode())
    return {rule["id"]: rule["verdict"] for rule in json.loads(text)["rules"]}


def assert_no_credentials(folder: Path) -> None:
    """Look for the secret and for tokens in everything that a run wrote: reports, and what is on tapes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".html", ".json", ".md", ".tape", ".xml"}
    for path in files:
        text = path.read_bytes()
        if path.suffix == ".tape":
            text += repr(list(read_traces(path))).encode()
        assert SECRET.encode() not in text, path
        assert not _TOKEN.search(text), path
