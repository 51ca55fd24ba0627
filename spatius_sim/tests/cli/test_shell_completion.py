"""The line of the README lets a shell complete commands, options and the names that options take."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from spatius_sim.cli.main import cli
from spatius_sim.tests.test_docs import ROOT


@pytest.mark.parametrize(
    ("words", "begun", "offered"),
    [
        ([], "ver", {"verify"}),
        (["verify"], "--prof", {"--profile"}),
        (["verify", "--rule"], "r-end", {"R-END-AUDIO", "R-END-MOTION"}),
        (["verify", "--profile"], "n", {"nightly"}),
        (["verify", "--level"], "", {"must", "should", "may"}),
        (["verify", "--wire"], "json-e", {"json-envelope"}),
        (["verify", "--lacks"], "own-", {"own-stream", "own-upstream"}),
        (["serve", "--scenario"], "mid-turn-cr", {"mid-turn-crash"}),
        (["verify", "--settle"], "", set()),
    ],
)
def test_what_may_follow_is_offered(words: list[str], begun: str, offered: set[str]) -> None:
    found = ShellComplete(cli, {}, "spatius-sim", "_SPATIUS_SIM_COMPLETE").get_completions(words, begun)
    assert {item.value for item in found} == offered


def test_the_line_of_the_readme_works_in_bash() -> None:
    (line,) = re.findall(r"`(eval .*?)`", (ROOT / "README.md").read_text())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", f"{line}; complete -p spatius-sim"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0 and "_spatius_sim_completion" in ran.stdout, ran.stderr
