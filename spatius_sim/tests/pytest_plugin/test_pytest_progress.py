"""What is shown while a subject is judged, on a terminal and without one."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.tests.processes import PROCESSES

pytestmark = pytest.mark.long

RELAY = PROCESSES / "miniature_relay_process.py"
SETTLE = "2.5"
"""Seconds that a relay which never ends its audio keeps the judge waiting: long enough for several lines."""

SHORT_SETTLE = "0.8"


def command(broken_rule: str, settle: str = SETTLE) -> list[str]:
    relay = f"{sys.executable} {RELAY} {{port}} {broken_rule}"
    arguments = ["verify", "ws://127.0.0.1:{port}", f"--target-cmd={relay}", "--motion-port=0"]
    rules = ["--rule=R-END-AUDIO", "--rule=U-TOKEN", "--rule=R-MOTION-ORDER"]
    return [sys.executable, "-m", "spatius_sim", *arguments, "--profile=smoke", f"--settle={settle}", *rules]


def seen_on_a_terminal(folder: Path, **environment: str) -> str:
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        command("R-END-AUDIO", SHORT_SETTLE),
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=inherited | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:
        pass  # Linux says so when the other side is closed.
    finally:
        os.close(ours)
        process.wait(timeout=60)
    return seen.decode(errors="replace")


def test_without_a_terminal_plain_lines_say_how_far_it_is(tmp_path: Path) -> None:
    ran = subprocess.run(command("R-END-AUDIO"), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran.stdout
    lines = [
        line
        for line in ran.stdout.splitlines()
        if re.fullmatch(r"judging \S+ \(\d of 3, \d+ s(, some \d+ s left)?\)", line)
    ]
    assert lines[0].startswith("judging U-TOKEN (1 of 3, ")
    assert len(lines) > 1
    assert "\x1b" not in ran.stdout
    # The verdict comes last, and once.
    claim, step = ran.stdout.splitlines()[-2:]
    assert claim == "FAILED: R-END-AUDIO. 2 of 3 rules passed."
    assert step == "Exit code 1. Next: mend R-END-AUDIO, then run again"
    assert ran.stdout.count("Expected  ") == 1
    # What is broken is told as soon as it is seen, and again when it is confirmed.
    told = ran.stdout.partition(" FAILURES ")[0]
    seen, confirmed = (
        "broken already, to be judged: R-END-AUDIO: it was never marked (",
        "FAILED R-END-AUDIO: ",
    )
    assert told.index("judging U-TOKEN") < told.index(seen) < told.index(confirmed)
    assert (told.count(seen), told.count(confirmed)) == (1, 1)


def test_on_a_terminal_one_line_is_written_over_and_goes(tmp_path: Path) -> None:
    seen = seen_on_a_terminal(tmp_path)
    assert re.search(r"\x1b\[2Kjudging \S+ \(\d of 3, \d+ s\)", seen), seen
    assert "Captured stdout" not in seen
    assert "FAILED R-END-AUDIO: it was never marked (" in seen.partition(" FAILURES ")[0]


def test_no_color_is_kept_to_on_a_terminal(tmp_path: Path) -> None:
    seen = seen_on_a_terminal(tmp_path, NO_COLOR="1")
    assert "judging U-TOKEN (1 of 3, " in seen
    assert "\x1b[2K" not in seen


@pytest.mark.parametrize("wanted", ["-v", "-q"])
def test_who_asks_pytest_for_more_or_less_gets_that(wanted: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "pytest", wanted, "--client=no-such-program", "--rule=C-ID"]
    ran = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "judging C-ID (" not in ran.stdout
