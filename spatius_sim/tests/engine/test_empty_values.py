"""An option without a value, as an unset variable leaves it: told, and nothing is judged or passed over."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from spatius_sim.tests.command_line import Ended, pytest_in_process, run_in_process

FRONTS = ("pytest", "verify", "doctor")
OF_EVERY_FRONT = ("target-cmd", "wire", "turn", "target-header", "target-ca")
OF_THE_JUDGE = (
    "lacks",
    "server",
    "client",
    "rule",
    "plan",
    "profile",
    "level",
    "baseline",
    "save-tape",
    "report-dir",
)


def ran(folder: Path, front: str, *arguments: str, variable: str | None = None) -> Ended:
    (folder / "test_theirs.py").write_text("def test_theirs():\n    pass\n")
    with patch.dict(os.environ):
        os.environ.pop("SPATIUS_TARGET", None)
        if variable is not None:
            os.environ["SPATIUS_TARGET"] = variable
        if front == "pytest":
            return pytest_in_process(*arguments, folder=folder)
        return run_in_process(front, *arguments, folder=folder)


def refused(done: Ended, what: str) -> bool:
    return done.returncode == 4 and what in done.output and "Traceback" not in done.output


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("name", ["target", "server", "client", "tape", "report-json", "conformance"])
def test_a_subject_without_a_name_is_not_the_tests_of_ones_own(name: str, value: str, tmp_path: Path) -> None:
    assert refused(ran(tmp_path, "pytest", f"--{name}={value}"), f"--{name} is empty")


@pytest.mark.parametrize(
    ("front", "name"),
    [(front, name) for front in FRONTS for name in OF_EVERY_FRONT]
    + [(front, name) for front in ("pytest", "verify") for name in OF_THE_JUDGE],
)
def test_an_empty_value_is_no_value(front: str, name: str, tmp_path: Path) -> None:
    named = "--target=ws://127.0.0.1:1" if front == "pytest" else "ws://127.0.0.1:1"
    assert refused(ran(tmp_path, front, named, f"--{name}="), f"--{name} is empty")


@pytest.mark.parametrize("front", ["verify", "doctor"])
def test_the_url_of_a_command_is_not_empty_either(front: str, tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text("target: ws://127.0.0.1:1\n")
    assert refused(ran(tmp_path, front, ""), "TARGET is empty" if front == "verify" else "URL is empty")


@pytest.mark.parametrize("line", ["target: ''", "target:", "wire: typed-json\ntarget: ' '", "baseline:"])
def test_what_stands_in_the_file_without_a_value_is_told_with_its_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text(f"{line}\nsettle: 1\n")
    name = line.splitlines()[-1].partition(":")[0]
    number = len(line.splitlines())
    done = ran(tmp_path, "verify", "ws://127.0.0.1:1")
    assert refused(done, f"conformance.yaml:{number}: {name} is empty")


@pytest.mark.parametrize(("front", "arguments"), [("verify", ()), ("pytest", ("--rule=R-TURNS",))])
def test_an_empty_variable_names_no_subject_where_one_is_meant(
    front: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    assert refused(ran(tmp_path, front, *arguments, variable=""), "SPATIUS_TARGET is empty")


def test_an_empty_variable_lets_the_tests_of_ones_own_run(tmp_path: Path) -> None:
    done = ran(tmp_path, "pytest", variable="")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True)


def test_a_value_may_be_empty_where_it_is_the_value_of_a_variable(tmp_path: Path) -> None:
    arguments = ("ws://127.0.0.1:{port}", "--target-cmd=no-such-command", "--target-env=A=")
    told = ran(tmp_path, "doctor", *arguments)
    assert "no-such-command" in told.output
    assert "is empty" not in told.output
