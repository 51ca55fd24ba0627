"""On a machine that lacks something: each lack has one line, and costs no verdict."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.study.study_file import EXAMPLE
from spatius_sim.tests.command_line import run_in_process

TIMEOUT = 60
HONEST = ("verify", f"--client={sys.executable} client.py", "--rule=C-ID", "--profile=smoke")
CLIENT = "from spatius_sim.subjects import decoder_as_client as c, client_shim as s; s.serve_stdio(c.OWN)"

WRONG_CLIENT = """
from spatius_sim.subjects import decoder_as_client, client_shim

class Wrong(decoder_as_client.OwnClient):
    def yield_audio_data(self, audio, end):
        self.decoder.yield_audio_data(audio, end)
        return "same"

client_shim.serve_stdio(Wrong)
"""


def verify(
    folder: Path, *arguments: str, output: Path | None = None, variables: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Judge an honest client by one rule: exit code, standard output, standard error."""
    (folder / "client.py").write_text(CLIENT)
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "COLUMNS")}
    with (output or folder / "printed").open("wb") as file:
        ran = subprocess.run(
            [sys.executable, "-m", "spatius_sim", *HONEST, *arguments],
            cwd=folder,
            env=environment | (variables or {}),
            stdout=file,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
        )
    printed = "" if output else (folder / "printed").read_text(errors="replace")
    return ran.returncode, printed, ran.stderr.decode(errors="replace")


def test_where_there_is_no_home_and_no_locale_all_is_as_ever(tmp_path: Path) -> None:
    variables = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "TERM": "dumb"}
    code, printed, complaints = verify(tmp_path, "--report-dir=out", variables=variables)
    assert (code, complaints) == (0, "")
    assert "1 of 1 rules" in printed
    assert (tmp_path / "out" / "report.html").is_file()


def test_forty_columns_hold_every_line(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    ran = run_in_process(*HONEST, folder=tmp_path, columns=40)
    assert ran.returncode == 0
    verdicts = ran.stdout[ran.stdout.index("= spatius-sim =") :].splitlines()[1:]
    assert max(map(len, verdicts)) <= 40


@pytest.mark.parametrize("place", ["a file", "a folder that takes no file"])
def test_reports_that_have_no_place_are_told_before_anything_runs(place: str, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    folder = "reports" if place == "a file" else "/proc/spatius-sim"
    (tmp_path / "client.py").write_text(CLIENT)
    ran = run_in_process(*HONEST, f"--report-dir={folder}", folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "report.html' cannot be written" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_where_no_terminal_and_no_output_is_the_verdict_is_the_exit_code(closed: str, tmp_path: Path) -> None:
    for client, wanted in ((CLIENT, 0), (WRONG_CLIENT, 1)):
        (tmp_path / "client.py").write_text(client)
        command = f"exec {sys.executable} -m spatius_sim verify --client='{sys.executable} client.py'"
        ran = subprocess.run(
            ["sh", "-c", f"{command} --rule=C-ID-NEW --profile=smoke --report-json=report.json {closed}"],
            cwd=tmp_path,
            capture_output=True,
            timeout=TIMEOUT,
        )
        assert (ran.returncode, ran.stderr) == (wanted, b"")
        assert json.loads((tmp_path / "report.json").read_text())["exit_code"] == wanted


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here takes no file, not even of root")
def test_a_folder_that_takes_no_file_costs_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG_CLIENT)
    arguments = [f"--client={sys.executable} {tmp_path / 'wrong.py'}", "--rule=C-ID-NEW", "--profile=smoke"]
    ran = run_in_process("verify", *arguments, folder=Path("/proc"))
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "Actual    'same' once more" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("spatius-sim: reports/C-ID-NEW.tape cannot be written: ")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here takes no file, not even of root")
@pytest.mark.parametrize(
    "command", ["demo", "record --upstream http://127.0.0.1:1 --port 0 --out x.tape", "rules", "scenarios"]
)
def test_every_command_says_in_a_line_what_cannot_be_written(command: str) -> None:
    ran = run_in_process(*command.split(), folder=Path("/proc"))
    assert "Traceback" not in ran.stderr
    writes = command.startswith(("demo", "record"))
    assert ("cannot be written: " in " ".join((ran.stdout + ran.stderr).split())) is writes
    assert ran.returncode == (4 if command.startswith("record") else 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_costs_no_verdict(tmp_path: Path) -> None:
    code, printed, complaints = verify(tmp_path, "--report-json=/dev/full")
    assert (code, complaints) == (0, "")
    assert "/dev/full cannot be written: No space left on device" in printed
    code, _, complaints = verify(tmp_path, output=Path("/dev/full"))
    assert complaints.splitlines() == ["spatius-sim: the verdicts cannot be printed: No space left on device"]
    assert code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize("command", ["rules", "scenarios", "schema"])
def test_what_cannot_be_printed_is_one_line(command: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "spatius_sim", command, *(["report"] if command == "schema" else [])],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            text=True,
        )
    assert ran.returncode == 3
    told = ["spatius-sim: what was to be printed cannot be written: No space left on device"]
    assert ran.stderr.splitlines() == told


def test_a_place_that_takes_no_reports_is_told_before_the_study_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = run_in_process("simulate", str(EXAMPLE), "--turns=4", f"--report-dir={tmp_path / 'file'}")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr == f"spatius-sim: --report-dir {str(tmp_path / 'file')!r} cannot be made: File exists\n"


def into_a_closed_pipe(
    *arguments: str, cwd: Path | None = None, module: str = "spatius_sim"
) -> tuple[int, list[str]]:
    """Run a command whose reader has left: exit code, and what it says on stderr."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        command = [sys.executable, "-m", module, *arguments]
        ran = subprocess.run(
            command, cwd=cwd, stdout=write_end, stderr=subprocess.PIPE, timeout=TIMEOUT, text=True
        )
    finally:
        os.close(write_end)
    return ran.returncode, ran.stderr.splitlines()


@pytest.mark.parametrize("command", ["rules", "scenarios", "--help", "-h", "--version", "serve --help"])
def test_a_closed_pipe_is_one_line(command: str) -> None:
    told = ["spatius-sim: what was to be printed cannot be written: Broken pipe"]
    assert into_a_closed_pipe(*command.split()) == (3, told)


def test_a_closed_pipe_costs_no_verdict(tmp_path: Path) -> None:
    told = ["spatius-sim: the verdicts cannot be printed: Broken pipe"]
    broken = resource("fixtures") / "tapes" / "fails-R-STALE.tape"
    assert into_a_closed_pipe("check", str(broken)) == (1, told)
    (tmp_path / "client.py").write_text(CLIENT)
    assert into_a_closed_pipe(*HONEST, cwd=tmp_path) == (0, told)


@pytest.mark.parametrize(("client", "verdict"), [(CLIENT, 0), (WRONG_CLIENT, 1)], ids=["honest", "wrong"])
def test_a_closed_pipe_costs_no_verdict_under_pytest(client: str, verdict: int, tmp_path: Path) -> None:
    """pytest itself ends with 1 then, as if a rule had failed."""
    (tmp_path / "client.py").write_text(client)
    report = tmp_path / "report.json"
    words = [f"--rootdir={tmp_path}", "-p", "no:cacheprovider", *HONEST[1:], "--rule=C-ID-NEW"]
    words.append(f"--report-json={report}")
    told = ["spatius-sim: nothing more can be printed: Broken pipe"]
    assert into_a_closed_pipe(*words, cwd=tmp_path, module="pytest") == (verdict, told)
    assert json.loads(report.read_text())["exit_code"] == verdict
