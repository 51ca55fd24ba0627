"""In the pytest of a team that has its own settings and plugins: none of them reaches the judge's items, or
it is named as the reason. The environments `guest-...` of tox run this with the plugins of several teams."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

TIMEOUT = 60

CLIENT = """
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.subjects.client_shim import serve_stdio

serve_stdio(own_client_factory())
"""

TWO_RULES = ("C-ID", "C-EMPTY-STICKY")


def run(folder: Path, *arguments: str, program: str = "pytest", **variables: str) -> tuple[int, str]:
    """Return the exit code and the output of a run in this folder."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "SPATIUS_", "COV_"))
    }
    ran = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=plain | {"COLUMNS": "200"} | variables,
    )
    return ran.returncode, ran.stdout + ran.stderr


def judge(folder: Path, *arguments: str, program: str = "pytest", **variables: str) -> tuple[int, str]:
    """Judge an honest client by two rules, in this folder."""
    (folder / "client.py").write_text(CLIENT)
    subject = [f"--client={shlex.quote(sys.executable)} client.py", *(f"--rule={rule}" for rule in TWO_RULES)]
    # pytest-profiling owns --profile.
    command = ["verify", "--profile=smoke"] if program == "spatius_sim" else ["--spatius-profile=smoke"]
    return run(folder, *command, *subject, *arguments, program=program, **variables)


FROZEN_BY_FIXTURE = """
import time

import pytest

@pytest.fixture(autouse=True)
def frozen(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
"""

FROZEN = "import time\n\ntime.monotonic = lambda: 0.0\n"

BREAKING_FIXTURES = """
import pytest

@pytest.fixture(autouse=True, scope="session")
def database():
    raise RuntimeError("no database here")

@pytest.fixture(autouse=True)
def rule(judge):
    raise RuntimeError("theirs")

@pytest.fixture
def judge():
    return "theirs"
"""

SETTINGS = """
[pytest]
python_files = check_*.py
python_classes = Check
python_functions = check_*
testpaths = checks
xfail_strict = true
filterwarnings =
    error
    ignore::pytest.PytestDeprecationWarning
"""

HOMES: dict[str, dict[str, str]] = {
    "settings that hide tests": {"pytest.ini": SETTINGS, "checks/check_x.py": "def check_x(): ..."},
    "a clock that a fixture freezes": {"conftest.py": FROZEN_BY_FIXTURE},
    "fixtures that fail": {"conftest.py": BREAKING_FIXTURES},
    "strict settings": {"pytest.ini": "[pytest]\naddopts = --strict-markers --strict-config -p no:logging\n"},
}

WITH_PLUGINS = {
    "pytest_asyncio": ["-o", "asyncio_mode=auto"],
    "pytest_cov": ["--cov=."],
    "pytest_django": ["--fail-on-template-vars"],
    "pytest_profiling": ["--profile"],
    "pytest_randomly": ["-p", "randomly", "--randomly-seed=7"],
    "pytest_rerunfailures": ["--reruns=2"],
    "pytest_socket": ["--disable-socket"],
    "pytest_timeout": ["--timeout=1"],
    "xdist": ["-n", "2"],
}
"""Options that make a plugin do what it can do to the items of others, by the module of the plugin."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("files", HOMES.values(), ids=HOMES)
def test_their_settings_and_fixtures_do_not_reach_our_items(files: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)
    code, output = judge(tmp_path)
    assert code == 0 and "2 passed" in output, output


@pytest.mark.parametrize("module", [module for module in WITH_PLUGINS if find_spec(module)])
def test_neither_do_their_plugins(module: str, tmp_path: Path) -> None:
    code, output = judge(tmp_path, *WITH_PLUGINS[module])
    assert code == 0 and "2 passed" in output, output


def test_nor_all_that_are_installed_at_once(tmp_path: Path) -> None:
    options = [option for module, options in WITH_PLUGINS.items() if find_spec(module) for option in options]
    code, output = judge(tmp_path, *options)
    assert code == 0 and "2 passed" in output, output


def test_and_their_own_tests_run_as_ever(tmp_path: Path) -> None:
    write(tmp_path, {"test_theirs.py": "def test_theirs(): ..."})
    code, output = run(tmp_path)
    assert code == 0 and "1 passed" in output and "spatius-sim:" not in output, output


def test_the_plugins_that_tox_names_are_there() -> None:
    missing = [name for name in os.environ.get("SPATIUS_SIM_GUESTS", "").split() if find_spec(name) is None]
    assert not missing


def test_our_items_keep_the_order_of_the_catalogue(tmp_path: Path) -> None:
    shuffle = (
        "import pytest\n\n@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
    )
    write(tmp_path, {"conftest.py": shuffle})
    code, output = judge(tmp_path, "-v")
    assert code == 0, output
    assert re.findall(r"test_rule\[(.*)\] PASSED", output) == list(TWO_RULES)


def test_a_clock_that_is_replaced_for_good_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"conftest.py": FROZEN})
    code, output = judge(tmp_path)
    assert code == 4, output
    assert "time.monotonic was replaced by conftest" in output, output


@pytest.mark.skipif(
    find_spec("pytest_socket") is not None, reason="pytest-socket puts the socket back itself"
)
def test_so_are_sockets(tmp_path: Path) -> None:
    blocked = "import socket\n\nclass Blocked(socket.socket): ...\n\nsocket.socket = Blocked\n"
    write(tmp_path, {"conftest.py": blocked})
    code, output = judge(tmp_path)
    assert code == 4 and "socket.socket was replaced by conftest" in output, output


@pytest.mark.parametrize(
    ("options", "reason"),
    [("-k nothing", "-k or -m selects other tests"), ("-m ''", ""), ("theirs", "theirs is to be tested")],
)
def test_what_the_environment_selects_is_named(options: str, reason: str, tmp_path: Path) -> None:
    write(tmp_path, {"theirs/test_theirs.py": "def test_theirs(): ..."})
    code, output = judge(tmp_path, PYTEST_ADDOPTS=options)
    assert code == (5 if reason else 0), output
    assert reason in output, output


def test_verify_reads_none_of_their_settings(tmp_path: Path) -> None:
    dies = "raise RuntimeError('read')\n"
    write(tmp_path, {"pytest.ini": "[pytest]\naddopts = --no-such-option\n", "conftest.py": dies})
    variables = {
        "PYTEST_ADDOPTS": "--no-such-option",
        "PYTEST_PLUGINS": "no_such_plugin",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    code, output = judge(tmp_path, program="spatius_sim", **variables)
    assert code == 0 and "2 of 2 rules" in output, output


def test_without_autoload_the_plugin_is_named_by_hand(tmp_path: Path) -> None:
    plugin = ["-p", "spatius_sim.pytest_plugin.plugin"]
    code, output = judge(tmp_path, *plugin, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert code == 0 and "2 passed" in output, output
