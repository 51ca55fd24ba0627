"""However a run ends, its process, its text and every report say the same exit code."""

import json
import os
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from spatius_sim.files import find_resources
from spatius_sim.tests.command_line import pytest_in_process, run_in_process
from spatius_sim.tests.forked import run_forked

pytestmark = pytest.mark.long

TIMEOUT = 120
CLIENT = "from spatius_sim.subjects import decoder_as_client as c, client_shim as s; s.serve_stdio(c.{})"
GOOD = shlex.join([sys.executable, "-c", CLIENT.format("OWN")])
BAD = shlex.join(
    [
        sys.executable,
        "-c",
        "from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES; "
        + CLIENT.format("own_client_factory(CLIENT_MINIATURES['C-EMPTY'][0])"),
    ]
)
SUITE = str(find_resources.resource("conformance") / "client")
REPORTS = "--report-dir=out"
RULES = ("--rule=C-ID", "--rule=C-EMPTY")

KILLED = """\
import os, signal, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if "C-EMPTY" in item.name and not os.path.exists("once"):
        open("once", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
"""
AT_THE_SECOND = """\
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    if "C-EMPTY" in item.name:
        {}
"""
AT_THE_END = """\
from spatius_sim.engine.start_run import Run

close = Run.close

def interrupted(run):
    close(run)
    raise {}

Run.close = interrupted
"""
BROKEN_PLUGIN = "def pytest_runtest_logfinish():\n    raise RuntimeError('a plugin of theirs')\n"
THEIRS = "def test_theirs():\n    assert not 'theirs'\n"


def run(
    folder: Path, *arguments: str, subject: str = f"--client={GOOD}", front: str = "pytest", room: int = 0
) -> tuple[int, str]:
    """The exit code, and what was printed; where there is `room` for so many bytes in each file only."""
    if front == "verify" and not room:
        ended = run_in_process("verify", subject, "--profile=smoke", *arguments, folder=folder, columns=200)
        return ended.returncode, ended.output
    if not room and "-p" not in arguments:
        workers = ("-n1",) if front == "xdist" else ()
        words = (*workers, f"--rootdir={folder}", subject, "--profile=smoke", *arguments)
        ended = pytest_in_process(*words, folder=folder, columns=200)
        return ended.returncode, ended.output
    ours = ["-p", "no:cacheprovider", f"--rootdir={folder}"]
    fronts = {
        "pytest": ["pytest", *ours],
        "xdist": ["pytest", "-n1", *ours],
        "verify": ["spatius_sim", "verify"],
    }
    command = [sys.executable, "-m", *fronts[front], subject, "--profile=smoke", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    done = run_forked(command, folder, environment, timeout=TIMEOUT, errors_apart=False, most_bytes=room)
    return done.returncode, done.stdout


def one_truth(folder: Path, code: int, output: str) -> str:
    """The claim, where the process, the text and every report say the same code."""
    out = folder / "out"
    assert {path.name for path in out.glob("*.*")} >= {"report.json", "junit.xml", "badge.json"}, output
    report = json.loads((out / "report.json").read_text())
    assert report["exit_code"] == code, output
    assert ("Exit code" in output) is bool(code) is (f"Exit code {code}." in output), output
    suites = ElementTree.parse(out / "junit.xml").getroot()
    assert bool(suites.findall(".//failure") + suites.findall(".//error")) is bool(code)
    badge = json.loads((out / "badge.json").read_text())
    assert badge["color"] in (("brightgreen", "yellow") if code == 0 else ("red", "yellow"))
    [subject] = report["subjects"]
    assert subject["exit_code"] == code
    claim = str(subject["claim"])
    assert claim.startswith("PASSED") is (code == 0)
    assert claim in " ".join(output.split())
    return claim


@pytest.mark.parametrize(
    ("plugin", "arguments", "code", "told"),
    [
        (KILLED, ["-n1", *RULES], 3, "the process that judged C-EMPTY died"),
        (KILLED, ["-n1", "--max-worker-restart=0", *RULES], 3, "the process that judged C-EMPTY died"),
        (BROKEN_PLUGIN, RULES, 3, "a plugin of theirs"),
        (AT_THE_SECOND.format("raise KeyboardInterrupt"), RULES, 2, "1 of 2 rules passed"),
        (AT_THE_SECOND.format("pytest.exit('enough', returncode=17)"), RULES, 2, "enough"),
        (AT_THE_SECOND.format("pytest.exit('enough', returncode=0)"), RULES, 5, "C-EMPTY"),
        (AT_THE_END.format("KeyboardInterrupt"), RULES, 2, "by a signal. 2 of 2"),
        (AT_THE_END.format("RuntimeError('it hangs')"), RULES, 3, "could not end what it had started"),
        (AT_THE_END.format("RuntimeError('it hangs')"), ["-n1", *RULES], 3, "could not end what"),
        (AT_THE_SECOND.format("item.session.shouldstop = 'enough'"), RULES, 2, "enough"),
        ("", ["-k", "nothing_of_the_kind", *RULES], 5, "C-ID, C-EMPTY"),
        ("", ["no_such_folder", *RULES], 4, "no_such_folder"),
    ],
    ids=[
        "killed",
        "not replaced",
        "internal error",
        "interrupted",
        "17",
        "0",
        "interrupted at the end",
        "not ended",
        "not ended in a worker",
        "stop",
        "none",
        "no such file",
    ],
)
def test_a_session_that_ends_otherwise(
    plugin: str, arguments: list[str], code: int, told: str, tmp_path: Path
) -> None:
    (tmp_path / "theirs.py").write_text(plugin)
    ended, output = run(tmp_path, REPORTS, "-p", "theirs", *arguments)
    assert ended == code, output
    assert told in one_truth(tmp_path, code, output)


@pytest.mark.parametrize(
    ("test", "arguments", "code", "told"),
    [
        (THEIRS, [], 1, "another test failed: test_theirs.py: test_theirs"),
        (THEIRS, ["-n1"], 1, "another test failed: test_theirs.py: test_theirs"),
        ("import no_such_module\n", [], 2, "1 error during collection"),
        ("import no_such_module\n", ["--continue-on-collection-errors"], 1, "test_theirs.py"),
        ("def test_theirs():\n    pass\n", [], 0, ""),
    ],
    ids=["fails", "fails in a worker", "cannot be collected", "cannot, and they go on", "passes"],
)
def test_a_test_of_their_own_in_the_same_session(
    test: str, arguments: list[str], code: int, told: str, tmp_path: Path
) -> None:
    (tmp_path / "test_theirs.py").write_text(test)
    ended, output = run(tmp_path, REPORTS, SUITE, "test_theirs.py", "--level=must", *arguments)
    assert ended == code, output
    assert told in one_truth(tmp_path, code, output)


@pytest.mark.parametrize("arguments", [("-x",), ("--maxfail=1",)])
def test_a_run_that_ends_with_the_first_failure(arguments: tuple[str, ...], tmp_path: Path) -> None:
    rules = ("--rule=C-EMPTY", "--rule=C-ID")
    ended, output = run(tmp_path, REPORTS, *arguments, *rules, subject=f"--client={BAD}")
    assert ended == 1, output
    assert one_truth(tmp_path, 1, output).startswith("FAILED: C-EMPTY")


def test_workers_that_end_with_the_first_failure(tmp_path: Path) -> None:
    ended, output = run(tmp_path, REPORTS, "-x", *RULES, subject=f"--client={BAD}", front="xdist")
    assert ended == 2, output
    assert "failed by then: C-EMPTY" in one_truth(tmp_path, 2, output)


fronts = pytest.mark.parametrize("front", ["pytest", "verify", "xdist"])


@fronts
def test_a_relay_that_cannot_be_started_is_told_with_its_cause(front: str, tmp_path: Path) -> None:
    started = "--target-cmd=no-such-command {port}"
    relay = "ws://127.0.0.1:{port}" if front == "verify" else "--target=ws://127.0.0.1:{port}"
    ended, output = run(tmp_path, REPORTS, started, "--rule=R-TURNS", subject=relay, front=front)
    assert ended == 4, output
    claim = one_truth(tmp_path, 4, output)
    assert claim.startswith("NOT RUN: --target-cmd 'no-such-command ")
    assert "No such file" in claim
    assert "beside each rule" not in output


@fronts
def test_a_known_failure_that_is_judged_alone_is_no_new_one(front: str, tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(
        "known-failures:\n  C-EMPTY:\n    reason: ours\n    fails-with: idle after 0\n"
    )
    arguments = (REPORTS, "--baseline=known.yaml", "--rule=C-EMPTY")
    ended, output = run(tmp_path, *arguments, subject=f"--client={BAD}", front=front)
    assert ended == 0, output
    claim = one_truth(tmp_path, 0, output)
    assert claim == "PASSED: nothing failed but what is known: C-EMPTY."


@fronts
def test_a_failure_whose_tape_cannot_be_saved_is_told(front: str, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    out = "out/report.json"
    arguments = (f"--report-json={out}", *RULES, "--rule=C-EMPTY-STICKY")
    ended, output = run(tmp_path, *arguments, subject=f"--client={BAD}", front=front)
    assert ended == 1, output
    assert "FAILED: C-EMPTY. 2 of 3 rules passed." in output
    assert "Exit code 1." in output
    assert "reports/C-EMPTY.tape cannot be written: " in output
    judged = json.loads((tmp_path / out).read_text())["rules"]
    assert [(rule["id"], rule["verdict"]) for rule in judged][:2] == [
        ("C-ID", "PASSED"),
        ("C-EMPTY", "FAILED"),
    ]


@fronts
def test_a_report_for_which_there_is_no_room_costs_nothing_else(front: str, tmp_path: Path) -> None:
    arguments = ("--report-dir=out", "--report-markdown=/dev/full")
    ended, output = run(tmp_path, *arguments, *RULES, front=front)
    assert ended == 0, output
    one_truth(tmp_path, 0, output)
    assert "/dev/full cannot be written: No space left on device" in output
    assert "written: out/report.html, out/report.json, out/junit.xml, out/badge.json\n" in output


@fronts
def test_a_tape_for_which_there_is_no_room_costs_nothing_else(front: str, tmp_path: Path) -> None:
    arguments = (REPORTS, "--save-tape=all.tape", *RULES)
    ended, output = run(tmp_path, *arguments, front=front, room=100_000)
    assert ended == 0, output
    one_truth(tmp_path, 0, output)
    assert output.count("all.tape cannot be written: File too large") == 1


def test_a_baseline_that_cannot_be_written_costs_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments = (REPORTS, "--profile=ci", "--baseline=file/known.yaml", "--update-baseline")
    ended, output = run(tmp_path, *arguments, subject=f"--client={BAD}", front="verify")
    assert ended == 1, output
    assert one_truth(tmp_path, 1, output).startswith("FAILED: C-EMPTY")
    assert "file/known.yaml cannot be written: " in output


@pytest.mark.parametrize(("test", "code"), [(THEIRS, 1), ("def test_theirs():\n    pass\n", 0)])
def test_a_test_of_their_own_beside_a_tape(test: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(test)
    tape = find_resources.resource("fixtures") / "tapes" / "wire-json-envelope.tape"
    suite = str(find_resources.resource("conformance") / "tape")
    ended, output = run(tmp_path, REPORTS, suite, "test_theirs.py", subject=f"--tape={tape}")
    assert ended == code, output
    one_truth(tmp_path, code, output)
