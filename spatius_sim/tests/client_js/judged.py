"""The C suite, run on a client by `pytest --client`."""

import json
from pathlib import Path

from spatius_sim.files.find_resources import resource
from spatius_sim.tests.command_line import pytest_in_process


def judged(client: str, folder: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """Its exit code, the verdict of each rule, and what it printed."""
    report = folder / "report.json"
    words = [f"--rootdir={resource('conformance').parent}", f"--client={client}", f"--report-json={report}"]
    ran = pytest_in_process(*words, *arguments, folder=folder)
    assert report.exists(), ran.output
    rules = json.loads(report.read_text())["rules"]
    return ran.returncode, {rule["id"]: rule["verdict"] for rule in rules}, ran.output
