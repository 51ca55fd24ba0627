"""The C suite, run on a client: by `pytest --client`, or by `verify` in the process of the test."""

import json
import subprocess
import sys
from pathlib import Path

from spatius_sim.files.find_resources import resource
from spatius_sim.tests.command_line import run_in_process

_SECONDS = 240


def judged(client: str, folder: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """Its exit code, the verdict of each rule, and what it printed."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "pytest", f"--rootdir={resource('conformance').parent}"]
    command += ["-p", "no:cacheprovider", f"--client={client}", "--report-json", str(report), *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    output = ran.stdout + ran.stderr
    return ran.returncode, _verdicts(report, output), output


def verified(client: str, folder: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """The same, by `verify`: what it judges is the same, and it starts no pytest."""
    report = folder / "report.json"
    ran = run_in_process("verify", f"--client={client}", f"--report-json={report}", *arguments, folder=folder)
    output = ran.stdout + ran.stderr
    return ran.returncode, _verdicts(report, output), output


def _verdicts(report: Path, output: str) -> dict[str, str]:
    assert report.exists(), output
    return {rule["id"]: rule["verdict"] for rule in json.loads(report.read_text())["rules"]}
