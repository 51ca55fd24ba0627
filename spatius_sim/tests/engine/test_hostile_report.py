"""A relay that means harm is judged: the log and every report stay harmless and small."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from spatius_sim.reporting.formats.write_report_files import WRITERS
from spatius_sim.tests.forked import run_forked
from spatius_sim.tests.processes import PROCESSES
from spatius_sim.tests.reporting.formats.test_hostile_text import OBEYED, Page

RELAY = PROCESSES / "hostile_relay_process.py"
MINIATURE = PROCESSES / "miniature_relay_process.py"
TARGET = "ws://127.0.0.1:{port}"
RULE = "R-END-AUDIO"
TIMEOUT = 300


def test_a_hostile_relay_reaches_neither_the_log_nor_a_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spatius_sim", "verify", TARGET]
    command += ["--target-cmd", shlex.join([sys.executable, str(RELAY), "{port}"]), "--profile", "smoke"]
    command += ["--rule", RULE, "--settle", "1", "--report-dir", "all"]
    ran = run_forked(command, tmp_path, timeout=TIMEOUT)
    log = ran.stdout + ran.stderr
    # Where the machine was too busy to see it twice, or once, it stays open. Harmless it is in any case.
    verdict = {1: "FAILED", 5: "UNEXERCISED", 6: "INCONCLUSIVE"}[ran.returncode]
    assert len(log) < 20_000
    assert not OBEYED.search(log)
    assert not re.search(r"^\s*::|##\[|##vso", log, re.MULTILINE)

    files = {path.name: path for path in (tmp_path / "all").iterdir()}
    tapes = set() if verdict == "UNEXERCISED" else {f"{RULE}.tape"}
    assert files.keys() == {file for file, _ in WRITERS.values()} | tapes
    for name in files.keys() - tapes:
        text = files[name].read_text("utf-8")
        # On a busy machine a longer scenario than the shortest may be told.
        assert len(text) < 400_000, name
        assert not OBEYED.search(text), name
    page = Page(files["report.html"].read_text("utf-8"))
    assert not tapes or "<img src=x onerror=alert(1)>" in page.text
    assert "img" not in page.elements
    (judged,) = json.loads(files["report.json"].read_text("utf-8"))["rules"]
    assert (judged["id"], judged["verdict"]) == (RULE, verdict)


@pytest.mark.parametrize("front", ["verify", "xdist"])
def test_where_the_kit_crashes_over_what_was_said_that_is_harmless(front: str, tmp_path: Path) -> None:
    plugin = "spatius_sim.tests.engine.crashing_kit"
    crashing = f"import {plugin}; from spatius_sim.cli.main import main; main()"
    fronts = {
        "verify": ["-c", crashing, "verify", TARGET],
        "xdist": ["-m", "pytest", "-p", plugin, "-n", "2", "--target", TARGET],
    }
    command = [sys.executable, *fronts[front]]
    command += ["--target-cmd", shlex.join([sys.executable, str(MINIATURE), "{port}"]), "--profile", "smoke"]
    command += ["--rule", RULE, "--report-json", "report.json"]
    ran = run_forked(command, tmp_path, timeout=TIMEOUT)
    log = ran.stdout + ran.stderr
    assert ran.returncode == 3, log[-3000:]
    assert f"ERRORED {RULE}: RuntimeError(" in log
    assert re.search(r"crashing_kit\.py(:\d+: RuntimeError|\", line \d+, in crash)", log), log[-3000:]
    assert "Exit code 3. Next: " in log
    assert len(log) < 60_000
    assert not OBEYED.search(log)
    assert not re.search(r"^\s*::|##\[|##vso", log, re.MULTILINE)
    annotations = [sys.executable, "-m", "spatius_sim", "report", "annotations", "report.json"]
    marked = run_forked(annotations, tmp_path, timeout=TIMEOUT).stdout
    assert marked.startswith(f"::error title={RULE}::the kit failed: RuntimeError(")
    assert (len(marked.splitlines()), len(marked) < 1000) == (1, True)
    assert not OBEYED.search(marked)
