"""A guest in somebody else's pytest: what they own stays theirs, what nobody owns is understood as ours."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.engine.option_table import JUDGE_OPTIONS
from spatius_sim.tests.forked import run_forked

TIMEOUT = 60
SHORT = [option.name for option in JUDGE_OPTIONS] + ["tape"]

THEIR_OPTIONS = f"""
def pytest_addoption(parser):
    for name in {SHORT}:
        parser.addoption("--" + name, dest="their_" + name, default="unset")
"""

THEIR_TEST = f"""
def test_theirs(pytestconfig):
    assert {{pytestconfig.getoption("--" + name) for name in {SHORT}}} == {{"theirs"}}
"""

OURS = """
import json

def test_ours(pytestconfig):
    given = {name: value for name, value in vars(pytestconfig.option).items() if name.startswith("spatius_")}
    print("given:", json.dumps({name: value for name, value in given.items() if value}))
"""

CLIENT = """
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.subjects.client_shim import serve_stdio
from spatius_sim.miniatures.client.wrong_clients import ForgetsAudioOnly

serve_stdio(own_client_factory(ForgetsAudioOnly))
"""
"""It breaks C-EMPTY-STICKY, and keeps C-ID."""

LAUNCH = "import sys; sys.path.append('late'); import pytest; sys.exit(pytest.main())"
"""What lies in `late` is found after everything that is installed, and so is its entry point."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SPATIUS_"))
    }
    return run_forked(
        [sys.executable, "-c", LAUNCH, "-p", "no:cacheprovider", "-s", *arguments],
        folder,
        plain | {"COLUMNS": "200", "PYTHONPATH": "early"} | environment,
        timeout=TIMEOUT,
    )


def said(ran: subprocess.CompletedProcess[str]) -> str:
    return ran.stdout + ran.stderr


def given(folder: Path, *arguments: str, **environment: str) -> str:
    """Which options have a value in a project that owns none of them."""
    write(folder, {"test_ours.py": OURS})
    ran = run(folder, *arguments, **environment)
    found = re.search("given: (.*)", ran.stdout)
    assert ran.returncode == 0 and found, said(ran)
    return found[1]


ENTRY_POINT = "[pytest11]\ntheirs = theirs\n"
METADATA = "Metadata-Version: 2.1\nName: theirs\nVersion: 1\n"
PLUGIN = {"early/theirs.py": THEIR_OPTIONS}

PLACES: dict[str, tuple[dict[str, str], list[str], dict[str, str]]] = {
    "a conftest.py": ({"conftest.py": THEIR_OPTIONS}, [], {}),
    "a conftest.py in the folder that is named": ({"here/conftest.py": THEIR_OPTIONS}, ["here"], {}),
    "a plugin that a conftest.py asks for": (
        PLUGIN | {"conftest.py": "pytest_plugins = ['theirs']"},
        [],
        {},
    ),
    "a plugin by -p": (PLUGIN, ["-p", "theirs"], {}),
    "a plugin in the environment": (PLUGIN, [], {"PYTEST_PLUGINS": "theirs"}),
    "an installed plugin before ours": (
        PLUGIN
        | {"early/theirs-1.dist-info/METADATA": METADATA}
        | {"early/theirs-1.dist-info/entry_points.txt": ENTRY_POINT},
        [],
        {},
    ),
    "an installed plugin after ours": (
        {"late/theirs.py": THEIR_OPTIONS, "late/theirs-1.dist-info/METADATA": METADATA}
        | {"late/theirs-1.dist-info/entry_points.txt": ENTRY_POINT},
        [],
        {},
    ),
}
places = pytest.mark.parametrize(("files", "arguments", "environment"), PLACES.values(), ids=PLACES)


@places
def test_who_owns_the_short_names_keeps_them(
    files: dict[str, str], arguments: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    folder = "here/" if "here/conftest.py" in files else ""
    write(tmp_path, files | {f"{folder}test_theirs.py": THEIR_TEST})
    theirs = [f"--{name}=theirs" for name in SHORT[::2]]
    theirs += [word for name in SHORT[1::2] for word in (f"--{name}", "theirs")]
    ran = run(tmp_path, *arguments, *theirs, **environment)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)
    assert "spatius-sim:" not in said(ran)


@pytest.mark.parametrize("place", list(PLACES)[::2])
def test_and_the_long_names_judge(place: str, tmp_path: Path) -> None:
    files, arguments, environment = PLACES[place]
    write(tmp_path, files | {"client.py": CLIENT})
    command = shlex.join([sys.executable, "client.py"])
    ran = run(tmp_path, *arguments, f"--spatius-client={command}", "--spatius-rule=C-ID", **environment)
    assert ran.returncode == 0 and "spatius-sim: judging" in ran.stdout, said(ran)


def test_a_conftest_that_is_found_while_collecting_may_own_them(tmp_path: Path) -> None:
    quiet = "def test_theirs(pytestconfig):\n    assert pytestconfig.getoption('their_target') == 'unset'\n"
    write(tmp_path, {"a/b/conftest.py": THEIR_OPTIONS, "a/b/test_theirs.py": quiet})
    ran = run(tmp_path, "--seed=3")
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


def test_the_command_that_repeats_a_failure_works_beside_them(tmp_path: Path) -> None:
    write(
        tmp_path, {"conftest.py": THEIR_OPTIONS.replace(str(SHORT), "['seed', 'rule']"), "client.py": CLIENT}
    )
    command = shlex.join([sys.executable, "client.py"])
    ran = run(tmp_path, f"--client={command}", "--spatius-rule=C-EMPTY-STICKY", "--profile=smoke")
    repeat = re.search("pytest (.*--plan=.*)", ran.stdout)
    assert ran.returncode == 1 and repeat, said(ran)
    words = shlex.split(repeat[1])
    assert [word.partition("=")[0] for word in words] == [
        *("--client", "--profile", "--spatius-seed", "--spatius-rule", "--plan")
    ]
    again = run(tmp_path, *words)
    assert again.returncode == 1 and "C-EMPTY-STICKY" in again.stdout, said(again)


WAYS: dict[str, tuple[dict[str, str], list[str], dict[str, str]]] = {
    "with an equals sign": ({}, ["--seed=7", "--lacks=keys", "--lacks=ids", "--update-baseline"], {}),
    "as two words": ({}, ["--seed", "7", "--lacks", "keys", "--update-baseline", "--lacks", "ids"], {}),
    "beside a test": (
        {},
        ["--seed", "7", "test_ours.py", "--lacks=keys", "--lacks=ids", "--update-baseline"],
        {},
    ),
    "in the ini file": (
        {"pytest.ini": "[pytest]\naddopts = --seed=7 --lacks keys --lacks=ids --update-baseline\n"},
        [],
        {},
    ),
    "in the environment": (
        {},
        ["--lacks=ids"],
        {"PYTEST_ADDOPTS": "--seed=7 --lacks keys --update-baseline"},
    ),
    "in a file of arguments": (
        {
            "arguments.txt": "@more.txt\n--update-baseline\n",
            "more.txt": "--seed\n7\n--lacks=keys\n--lacks=ids\n",
        },
        ["@arguments.txt"],
        {},
    ),
    "the long ones": (
        {},
        ["--spatius-seed=7", "--lacks=keys", "--spatius-lacks", "ids", "--update-baseline"],
        {},
    ),
}


@pytest.mark.parametrize(("files", "arguments", "environment"), WAYS.values(), ids=WAYS)
def test_a_short_name_that_nobody_owns_is_ours(
    files: dict[str, str], arguments: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, files)
    assert given(tmp_path, *arguments, **environment) == (
        '{"spatius_lacks": ["keys", "ids"], "spatius_seed": 7, "spatius_update_baseline": true}'
    )


def test_and_in_a_worker(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"test_ours.py": "def test_ours(pytestconfig):\n    assert pytestconfig.option.spatius_seed == 7\n"},
    )
    ran = run(tmp_path, "--seed", "7", "-n", "1")
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


def test_a_value_may_have_spaces_and_an_option_of_theirs_be_required(tmp_path: Path) -> None:
    option = (
        "def pytest_addoption(parser):\n"
        "    parser.addoption('--level', required=True, choices=['very high'])\n"
    )
    test = (
        "def test_theirs(pytestconfig):\n"
        "    assert pytestconfig.option.spatius_target_header == ['A: b', 'C: --seed=1']\n"
    )
    write(tmp_path, {"conftest.py": option, "test_theirs.py": test})
    headers = ["--target-header=A: b", "--target-header", "C: --seed=1"]
    ran = run(tmp_path, *headers, "--level=very high")
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


def test_a_value_of_a_short_name_is_no_place_to_look_for_tests(tmp_path: Path) -> None:
    option = "def pytest_addoption(parser):\n    parser.addoption('--theirs')\n"
    write(
        tmp_path, {"tests/conftest.py": option, "known.yaml": "", "tests/test_theirs.py": "def test(): ..."}
    )
    ran = run(tmp_path, "--baseline", "known.yaml", "--theirs=1")
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


def test_what_belongs_to_their_own_command_is_left_to_it(tmp_path: Path) -> None:
    option = (
        "import argparse\n\ndef pytest_addoption(parser):\n"
        "    parser.addoption('--run', nargs=argparse.REMAINDER)\n"
    )
    swallowed = ["it", "--seed=3", "--rule", "x"]
    test = f"def test_theirs(pytestconfig):\n    assert pytestconfig.option.run == {swallowed}\n"
    write(tmp_path, {"conftest.py": option, "test_theirs.py": test})
    ran = run(tmp_path, "--seed=3", "--run", *swallowed)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


@pytest.mark.parametrize("argument", ["--targ=x", "--spatius-targ=x", "--seeds=3", "--doctor"])
def test_nothing_else_is_understood(argument: str, tmp_path: Path) -> None:
    ran = run(tmp_path, "--seed=3", argument)
    assert ran.returncode == 4, said(ran)
    assert f"unrecognized arguments: {argument}" in ran.stderr


def test_nothing_after_two_dashes_is_an_option_of_ours(tmp_path: Path) -> None:
    ran = run(tmp_path, "--", "--seed=3")
    assert ran.returncode == 4 and "--seed=3" in ran.stderr, said(ran)


def test_a_value_that_cannot_be_is_told_as_ever(tmp_path: Path) -> None:
    assert "invalid int value: 'x'" in run(tmp_path, "--seed=x").stderr
    assert "expected one argument" in run(tmp_path, "--seed").stderr


def test_help_shows_every_option(tmp_path: Path) -> None:
    ran = run(tmp_path, "--help")
    assert ran.returncode == 0, said(ran)
    assert not [name for name in SHORT if f"--spatius-{name}" not in ran.stdout]


THEIR_FIXTURES = """
import pytest

@pytest.fixture
def rule():
    return "theirs"

@pytest.fixture
def judge(rule):
    return "theirs"

@pytest.fixture
def taped_rule():
    return "theirs"

@pytest.fixture
def judge_tape(taped_rule):
    return "theirs"
"""


def in_their_place(files: dict[str, str]) -> dict[str, str]:
    return {name: THEIR_FIXTURES if text == THEIR_OPTIONS else text for name, text in files.items()}


@pytest.mark.parametrize("place", ["a plugin by -p", "an installed plugin before ours"])
def test_fixtures_of_the_same_name_as_ours_once_had_stay_theirs(place: str, tmp_path: Path) -> None:
    names = "rule, judge, taped_rule, judge_tape"
    test = f"def test_theirs({names}):\n    assert {{{names}}} == {{'theirs'}}\n"
    files, arguments, _ = PLACES[place]
    write(tmp_path, in_their_place(files) | {"test_theirs.py": test})
    ran = run(tmp_path, *arguments)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


@pytest.mark.parametrize("place", ["a conftest.py", "an installed plugin after ours"])
def test_and_break_no_suite_of_ours(place: str, tmp_path: Path) -> None:
    write(tmp_path, in_their_place(PLACES[place][0]) | {"client.py": CLIENT})
    command = shlex.join([sys.executable, "client.py"])
    ran = run(tmp_path, f"--client={command}", "--rule=C-ID")
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


def test_every_fixture_of_ours_has_a_name_of_its_own(tmp_path: Path) -> None:
    ran = run(tmp_path, "--fixtures", "-p", "no:anyio")
    ours = set(re.findall(r"^(\w+).* -- .*spatius_sim/pytest_plugin", ran.stdout, re.MULTILINE))
    assert "motion_server" in ours, said(ran)
    assert all(name.startswith("spatius_") for name in ours - {"motion_server"}), ours


def test_a_folder_of_theirs_is_none_of_ours(tmp_path: Path) -> None:
    write(tmp_path, {"conformance/tape/test_theirs.py": "def test_theirs(): ..."})
    ran = run(tmp_path)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


@pytest.mark.parametrize("argument", ["--spatius-level=must", "--spatius-rule=R-ISOLATION"])
def test_an_option_of_ours_without_a_subject_selects_none_of_their_tests(
    argument: str, tmp_path: Path
) -> None:
    test = "import pytest\n\n@pytest.mark.parametrize('rule', ['x'])\ndef test_theirs(rule): ...\n"
    write(tmp_path, {"test_theirs.py": test})
    ran = run(tmp_path, argument)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, said(ran)


def test_the_plugin_is_imported_by_a_pytest_that_names_no_terminal_reporter() -> None:
    code = "import pytest; vars(pytest).pop('TerminalReporter', None)\n"
    code += "from spatius_sim.pytest_plugin import plugin, pytest_progress, judge_tape_items"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 0, said(ran)
