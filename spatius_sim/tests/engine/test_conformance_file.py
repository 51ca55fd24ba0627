"""conformance.yaml: what it says to a run, and errors that name file, line and key."""

from pathlib import Path

import pytest

from spatius_sim.engine import option_table as judge_options
from spatius_sim.engine.conformance_file import (
    ConformanceFile,
    conformance_schema,
    find_conformance_file,
    read_conformance_file,
)
from spatius_sim.engine.hide_option_secrets import options_for_shell
from spatius_sim.engine.option_table import JUDGE_OPTIONS, JudgeOption, options_as_arguments
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tests.command_line import Ended, pytest_in_process, run_in_process

GOOD = """\
target: ws://127.0.0.1:8765/ws/agent
lacks: [keys, egress]
settle: 1.5
seed: 7
save-tape: day.tape
"""

WRONG = {
    "": (1, "the file is empty"),
    "- 1": (1, "the file must be a mapping"),
    "target: ws://a\ntarget: ws://b": (2, "target stands here twice"),
    "seed: 1\ncolour: red": (2, "'colour' is unknown here"),
    "rule: U-TOKEN": (1, "'rule' is unknown here"),
    "seed: seven": (1, "seed must be a whole number"),
    "\nsettle: soon": (2, "settle must be a number"),
    "target: [ws://a]": (1, "target must be a text"),
    "lacks:\n- keys\n- [egress]": (3, "lacks must be a text"),
    "target: &a ws://a\nserver: *a": (2, "aliases are not taken"),
}


def written(folder: Path, text: str) -> ConformanceFile:
    path = folder / "conformance.yaml"
    path.write_text(text)
    return read_conformance_file(path, "conformance.yaml")


def test_what_a_run_does_not_say_stands_in_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    assert file.subject_kind == "relay"
    filled = file.values_to_add({"seed": 1})
    assert filled == {
        "target": "ws://127.0.0.1:8765/ws/agent",
        "lacks": ["keys", "egress"],
        "settle": 1.5,
        "save-tape": str(tmp_path / "day.tape"),
    }


def test_the_same_relay_elsewhere_keeps_what_the_file_says_of_it(tmp_path: Path) -> None:
    filled = written(tmp_path, GOOD).values_to_add({"target": "ws://staging/ws/agent"})
    assert "target" not in filled
    assert filled["lacks"] == ["keys", "egress"]


def test_a_wire_of_the_teams_own_lies_beside_the_file(tmp_path: Path) -> None:
    assert written(tmp_path, "wire: ours.yaml").values == {"wire": str(tmp_path / "ours.yaml")}
    assert written(tmp_path, "wire: typed-json").values == {"wire": "typed-json"}


def test_a_subject_of_another_kind_takes_nothing_from_the_file(tmp_path: Path) -> None:
    assert written(tmp_path, GOOD).values_to_add({"client": "node shim.js"}) == {}


FROM_ENVIRONMENT = """\
target: wss://${HOST}/ws?token=${TOKEN}
target-header:
  Authorization: Bearer ${TOKEN}
target-env: ["COST=$5 or $${TOKEN}", "KEY=${TOKEN}${HOST}"]
settle: ${SECONDS}
"""


def test_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "relay.test", "TOKEN": "a: ${HOST}", "SECONDS": "1.5"}.items():
        monkeypatch.setenv(name, value)
    assert written(tmp_path, FROM_ENVIRONMENT).values == {
        "target": "wss://relay.test/ws?token=a: ${HOST}",
        "target-header": ["Authorization: Bearer a: ${HOST}"],
        "target-env": ["COST=$5 or ${TOKEN}", "KEY=a: ${HOST}relay.test"],
        "settle": 1.5,
    }


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("level: must\ntarget: ws://${NOT_SET_HERE}", 2, "target"),
        ("target-header:\n  Cookie: id=${NOT_SET_HERE}", 2, "target-header"),
        ("lacks:\n- egress\n- ${NOT_SET_HERE}", 3, "lacks"),
        ("settle: ${NOT_SET_HERE}", 1, "settle"),
    ],
)
def test_a_variable_that_is_not_set_is_told_with_its_place(
    text: str, line: int, key: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        written(tmp_path, text)
    assert str(error.value) == f"conformance.yaml:{line}: {key}: the variable NOT_SET_HERE is not set"


@pytest.mark.parametrize("text", WRONG, ids=repr)
def test_an_error_names_file_line_and_key(text: str, tmp_path: Path) -> None:
    line, told = WRONG[text]
    with pytest.raises(UsageError) as error:
        written(tmp_path, text)
    assert str(error.value).startswith(f"conformance.yaml:{line}: ")
    assert told in str(error.value)


def test_an_option_that_cannot_be_is_told_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    told = file.add_file_and_line(UsageError("--settle 1.5: too short"))
    assert str(told) == "conformance.yaml:3: settle 1.5: too short"
    assert str(file.add_file_and_line(UsageError("--wire x: nobody"))) == "--wire x: nobody"


def test_a_named_file_must_be_there_and_an_unnamed_one_may(tmp_path: Path) -> None:
    assert find_conformance_file(None, tmp_path) is None
    with pytest.raises(UsageError, match=r"other\.yaml"):
        find_conformance_file("other.yaml", tmp_path)


def test_every_option_but_those_of_one_run_is_a_key_of_the_file_and_of_its_schema() -> None:
    keys = {option.name for option in JUDGE_OPTIONS if not option.of_one_run}
    assert set(conformance_schema()["properties"]) == keys
    assert "rule" not in keys


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (JudgeOption("new", "X", "", choices=("a", "b")), "b", "b"),
        (JudgeOption("new", "NAME=VALUE", "", repeatable=True), "{A: 1, B: x y}", ["A=1", "B=x y"]),
        (JudgeOption("new", "NAME=VALUE", "", repeatable=True), "[A=1]", ["A=1"]),
        (JudgeOption("new", "NAME: VALUE", "", repeatable=True), "{A: 1}", ["A: 1"]),
        (JudgeOption("new", "X", "", repeatable=True), "one", ["one"]),
        (JudgeOption("new", "NAME|FILE", ""), "json-envelope", "json-envelope"),
        (JudgeOption("new", "NAME|FILE", ""), "ours.yaml", "{folder}/ours.yaml"),
    ],
)
def test_the_table_says_how_an_option_is_written(
    option: JudgeOption, text: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_options, "JUDGE_OPTIONS", (option,))
    expected = value.format(folder=tmp_path) if isinstance(value, str) else value
    assert written(tmp_path, f"new: {text}").values == {"new": expected}
    assert "new" in conformance_schema()["properties"]


def test_a_choice_is_one_of_those_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_options, "JUDGE_OPTIONS", (JudgeOption("new", "X", "", choices=("a", "b")),))
    with pytest.raises(UsageError, match=r"conformance\.yaml:2: new: 'c' is none of a, b"):
        written(tmp_path, "\nnew: c")


def test_values_become_arguments_and_can_be_typed() -> None:
    values = {"target": "ws://a b", "lacks": ["keys", "ids"], "wire": None}
    assert options_as_arguments(values) == ["--target=ws://a b", "--lacks=keys", "--lacks=ids"]
    assert options_for_shell({"target": "ws://a b"}) == "'--target=ws://a b'"


def ran(folder: Path, program: str, *arguments: str) -> Ended:
    return (pytest_in_process if program == "pytest" else run_in_process)(*arguments, folder=folder)


@pytest.mark.parametrize(
    "front", [["pytest", "--conformance", "conformance.yaml"], ["spatius_sim", "verify"]]
)
def test_the_file_names_the_subject(front: list[str], tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text("target: ws://127.0.0.1:9\nwire: carrier-pigeon\n")
    judged = ran(tmp_path, *front)
    assert judged.returncode == 4
    assert "conformance.yaml:2: wire carrier-pigeon: no wire is named" in judged.stdout + judged.stderr


def test_the_tests_of_a_team_that_has_such_a_file_run_as_ever(tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text("target: ws://127.0.0.1:9\n")
    (tmp_path / "test_theirs.py").write_text("def test_theirs():\n    pass\n")
    judged = ran(tmp_path, "pytest")
    assert judged.returncode == 0
    assert "1 passed" in judged.stdout


def test_without_a_subject_verify_says_how_to_name_one(tmp_path: Path) -> None:
    judged = ran(tmp_path, "spatius_sim", "verify")
    assert judged.returncode == 4
    assert "nothing to judge" in judged.stderr
