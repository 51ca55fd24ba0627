"""No space is left: a command says so in one sentence, its exit code stays what it is, and nothing is left
half-written. The disk is a tmpfs of our own or, where none may be mounted, a limit for the size of files."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spatius_sim.files.find_resources import resource as folder_of
from spatius_sim.tests.cli.test_bad_places import WRONG_CLIENT
from spatius_sim.tests.processes import PROCESSES

TIMEOUT = 60
DISK, PAGE = 64 * 1024, 4096
TAPE = folder_of("fixtures") / "tapes" / "fails-R-STALE.tape"
RELAY = f"{sys.executable} {PROCESSES / 'miniature_relay_process.py'} {{port}}"
OLD = "# what people wrote\nknown-failures: {}\n"
TOLD = re.compile("(\\S+) cannot be written: (?:No space left on device|File too large)")


@dataclass
class FullDisk:
    """A folder in which only `room` bytes find a place."""

    folder: Path
    limit: Callable[[], None] | None = None
    """Called in a command's process before it starts."""

    def run(self, *arguments: str) -> tuple[int, list[str]]:
        """Run a command there: exit code, and what it printed."""
        return self.python("-m", "spatius_sim", *arguments)

    def python(self, *arguments: str) -> tuple[int, list[str]]:
        """Run Python there: exit code, and what it printed."""
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=os.environ | {"COLUMNS": "300"},
            preexec_fn=self.limit,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.returncode, (ran.stdout + ran.stderr).splitlines()

    def files(self) -> set[str]:
        """What stands there now, without what was there before."""
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        return found - {"fill", "old", "wrong.py", "study.yaml"}


@contextlib.contextmanager
def tmpfs(folder: Path) -> Iterator[bool]:
    """Mount a small tmpfs there, and say whether this machine lets us."""
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = mount is not None and subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True, timeout=30)


@pytest.fixture(params=[PAGE], ids=["room for a page"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FullDisk]:
    room: int = request.param
    with tmpfs(tmp_path) as mounted:
        (tmp_path / "old").write_text(OLD)
        (tmp_path / "wrong.py").write_text(WRONG_CLIENT)
        (tmp_path / "study.yaml").write_text(STUDY)
        if not mounted:
            yield FullDisk(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
            return
        (tmp_path / "fill").write_bytes(b"x" * (shutil.disk_usage(tmp_path).free - room))
        yield FullDisk(tmp_path)


STUDY = """
turns: 2
networks: [cable]
policies: {paced: {audio: paced, audio_lead: 0.3}}
budgets: {first_motion_p95: 0.01 s}
"""
CLIENT = ("verify", f"--client={sys.executable} wrong.py", "--rule=C-ID-NEW", "--profile=smoke")
INIT = ("init", "ws://127.0.0.1:{port}", f"--target-cmd={RELAY}", "--motion-port=0", "--settle=0.4")
REPORTS = ("report.html", "report.json", "junit.xml", "summary.md", "badge.json")


def unwritten(lines: list[str]) -> set[str]:
    """The files of which a line says that there is no space for them."""
    return set(TOLD.findall("\n".join(lines)))


@pytest.mark.parametrize("command", [CLIENT, ("check", str(TAPE))], ids=lambda words: words[0])
def test_a_verdict_stays_and_no_report_is_half_there(command: tuple[str, ...], disk: FullDisk) -> None:
    code, lines = disk.run(*command, "--report-dir=out")
    assert code == 1, lines
    written = disk.files()
    assert {f"out/{name}" for name in REPORTS} <= unwritten(lines) | written
    assert not unwritten(lines) & written
    assert "out/report.html" in unwritten(lines)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("tape", "cut", str(TAPE), "out.tape"), "out.tape"),
        (("tape", "repair", str(TAPE), "out.tape"), "out.tape"),
        (("tape", "export", str(TAPE), "."), "request-0001.json"),
        (("tape", "view", str(TAPE), "--out=old"), "old"),
        ((*CLIENT, "--save-tape=whole.tape"), "whole.tape"),
        ((*INIT,), "conformance.yaml"),
        (("record", "--upstream=http://127.0.0.1:1", "--port=0", "--out=day.tape"), "day.tape"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("disk", [0], indirect=True, ids=[""])
def test_what_was_to_be_made_is_told_and_not_there(
    command: tuple[str, ...], file: str, disk: FullDisk
) -> None:
    code, lines = disk.run(*command)
    assert (code, unwritten(lines)) == (4, {file}), lines
    assert disk.files() == set()
    assert (disk.folder / "old").read_text() == OLD


UPDATE = """
from datetime import date
from pathlib import Path
from spatius_sim.engine.baseline_file import update_baseline
try:
    update_baseline(Path("old"), [], "client", date(2026, 1, 1))
except OSError as error:
    print(f"old cannot be written: {error.strerror}")
"""


@pytest.mark.parametrize("disk", [0], indirect=True, ids=[""])
def test_a_baseline_is_as_it_was(disk: FullDisk) -> None:
    _, lines = disk.python("-c", UPDATE)
    assert unwritten(lines) == {"old"}, lines
    assert (disk.folder / "old").read_text() == OLD
    assert disk.files() == set()


def test_a_study_keeps_its_exit_code(disk: FullDisk) -> None:
    code, lines = disk.run("simulate", "study.yaml", "--report-dir=out")
    assert code == 1, lines
    assert "out/study.html" in unwritten(lines)
    assert not unwritten(lines) & disk.files()
