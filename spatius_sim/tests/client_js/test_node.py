"""The JavaScript reference client in Node: its unit tests, a dialogue over stdio, and the C suite."""

import re
import shlex
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spatius_sim.net.client import testee_connection as attached
from spatius_sim.tests.client_js.dialogue import converse, converse_in_real_time
from spatius_sim.tests.client_js.judged import judged
from spatius_sim.tests.client_js.running import CLIENT, SECONDS, TESTS, node, program

BROKEN = TESTS / "broken_testee.mjs"
FAULTS = re.findall(r'^  "(C-[A-Z-]+)": class', BROKEN.read_text(), re.MULTILINE)
Dialogue = Callable[[attached.Testee], Awaitable[None]]
TESTEE = str(CLIENT / "reference_testee.js")


def test_its_unit_tests() -> None:
    tests = sorted(str(path) for path in TESTS.glob("*.test.mjs"))
    assert tests
    ran = subprocess.run([node(), "--test", *tests], capture_output=True, text=True, timeout=3 * SECONDS)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(("options", "dialogue"), [([], converse), (["--real"], converse_in_real_time)])
async def test_a_dialogue_over_stdio(options: list[str], dialogue: Dialogue) -> None:
    testee = attached.StdioTestee(shlex.join([node(), TESTEE, *options]))
    await testee.open(SECONDS)
    try:
        await dialogue(testee)
    finally:
        await testee.close()


@pytest.mark.long
def test_it_keeps_every_rule(tmp_path: Path) -> None:
    code, rules, output = judged(shlex.join([node(), TESTEE]), tmp_path)
    assert (code, set(rules.values())) == (0, {"PASSED"}), output


@pytest.mark.parametrize("rule", FAULTS)
def test_its_faults_are_seen(rule: str, tmp_path: Path) -> None:
    code, rules, output = judged(shlex.join([node(), str(BROKEN), rule]), tmp_path, "--rule", rule)
    assert (code, rules) == (1, {rule: "FAILED"}), output


def test_it_ends_with_its_stdin() -> None:
    request = b'{"id":1,"do":"hello","protocol":1}\n'
    ran = subprocess.run([node(), TESTEE], input=request, capture_output=True, timeout=SECONDS)
    assert (ran.returncode, ran.stdout.count(b"\n"), ran.stderr) == (0, 1, b"")


def test_rubbish_ends_it_with_an_error() -> None:
    ran = subprocess.run([node(), TESTEE], input=b"{\n", capture_output=True, timeout=SECONDS)
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"SyntaxError" in ran.stderr


def test_what_is_missing_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPATIUS_SIM_REQUIRE", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        program("no-such-program")
    monkeypatch.delenv("SPATIUS_SIM_REQUIRE")
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        program("no-such-program")
