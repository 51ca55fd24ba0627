"""A relay that means harm: the log, the reports, the annotations and doctor stay harmless and small."""

import re
import subprocess
import sys
from pathlib import Path

from spatius_sim.tests.processes import PROCESSES

RELAY = PROCESSES / "hostile_relay.py"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMAND = re.compile(r"^\s*(?:::|##)[a-z\[]", re.MULTILINE)
SMALL = 200_000
"""Characters; most of a page is its style."""


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spatius_sim", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def check(text: str) -> None:
    assert not OBEYED.search(text)
    assert not COMMAND.search(text)
    assert len(text) < SMALL


def test_a_run_stays_harmless_and_small(tmp_path: Path) -> None:
    start = f"--target-cmd={sys.executable} {RELAY} {{port}}"
    relay = ("ws://127.0.0.1:{port}", start, "--wire=json-envelope", "--settle=0.3")
    judged = ran(tmp_path, "verify", *relay, "--rule=R-CONVERSATION", "--profile=smoke", "--report-dir=out")
    assert judged.returncode == 6, judged.stdout
    check(judged.stdout)
    check(judged.stderr)
    for name in ("report.html", "report.json", "junit.xml", "summary.md", "badge.json"):
        check((tmp_path / "out" / name).read_text())
    annotated = ran(tmp_path, "report", "annotations", "out/report.json").stdout
    assert len(annotated.splitlines()) <= 10
    assert all(re.match("::(error|warning) title=", line) for line in annotated.splitlines())
    looked_at = ran(tmp_path, "doctor", *relay)
    assert looked_at.returncode == 6, looked_at.stdout
    check(looked_at.stdout)
