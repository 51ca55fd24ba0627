"""The C suite, run on a client by `pytest --client`."""

import json
import subprocess
import sys
from pathlib import Path

from spatius_sim.files.find_resources import resource

_SECONDS = 240


def judged(client: str, folder: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """Its exit code, the verdict of each rule, and what it printed."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "pytest", f"--rootdir={resource('conformance').parent}"]
    command += ["-p", "no:cacheprovider", f"--client={client}", "--report-json", str(report), *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    output = ran.stdout + ran.stderr
    assert report.exists(), output
    rules = json.loads(report.read_text())["rules"]
    return ran.returncode, {rule["id"]: rule["verdict"] for rule in rules}, output
