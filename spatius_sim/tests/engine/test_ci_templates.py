"""The templates for CI, as far as they run without their host: the scripts behind them run for real."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from spatius_sim.files.find_resources import resource
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.plan_token import token_of
from spatius_sim.tests.engine.test_baselines import client_command
from spatius_sim.tests.processes import PROCESSES

pytestmark = pytest.mark.long

CI = resource("conformance") / "ci"
DOCS = CI.parent / "docs"
RELAY = PROCESSES / "miniature_relay_process.py"
TARGET = "ws://127.0.0.1:{port}"
COPIED = ("action.yml", "judge.sh")
ONE_PLAN = token_of(Plan(((TurnPlan(6 * PLAN_SAMPLE_RATE, 3200),) * 2,)))
FEW = f"--rule=R-MOTION-ORDER\n--plan={ONE_PLAN}\n--settle=0.4\n"


def environment(**given: str) -> dict[str, str]:
    """What a step sees: our command, and nothing of the CI that runs this test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_"))}
    return kept | {"PATH": path, "NO_COLOR": "1"} | given


def bash(script: str, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=120,
    )


def command(broken_rule: str = "") -> str:
    return f"{sys.executable} {RELAY} {{port}} {broken_rule}".strip()


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CI / "action.yml").read_text())
    return loaded


def act(action: dict[str, Any], folder: Path, **inputs: str) -> tuple[int, str, dict[str, str], str]:
    """Run the steps of a copy of the action, as its host would: exit code, log, outputs, and job summary."""
    copied = folder / ".github" / "actions" / "spatius-sim"
    copied.mkdir(parents=True)
    for name in COPIED:
        shutil.copy(CI / name, copied)
    defaults = {name: str(described["default"]) for name, described in action["inputs"].items()}
    values = defaults | {name.replace("_", "-"): value for name, value in inputs.items()}
    assert set(values) == set(defaults)
    output, summary = folder / "output", folder / "summary"
    host = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    log, code = "", 0
    for step in action["runs"]["steps"]:
        given = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        }
        ran = bash(step["run"], folder, **host, **given, GITHUB_ACTION_PATH=str(copied))
        log, code = log + ran.stdout + ran.stderr, ran.returncode
        if code:
            break
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return code, log, outputs, summary.read_text() if summary.exists() else ""


def test_inputs_reach_a_shell_through_the_environment_alone(action: dict[str, Any]) -> None:
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
    used = {text for step in action["runs"]["steps"] for text in step["env"].values()}
    elsewhere = {"working-directory"}
    assert used == {f"${{{{ inputs.{name} }}}}" for name in action["inputs"].keys() - elsewhere}
    assert {named["value"] for named in action["outputs"].values()} == {
        f"${{{{ steps.judge.outputs.{name} }}}}" for name in action["outputs"]
    }


def test_the_workflow_in_the_document_can_be_used_as_it_is(action: dict[str, Any]) -> None:
    told = (DOCS / "ci.md").read_text()
    (workflow,) = re.findall(r"```yaml\n(.*?)```", told, re.DOTALL)
    (step,) = [step for step in yaml.safe_load(workflow) if step.get("id") == "conformance"]
    assert step["uses"] == "./spatius-sim/conformance/ci"
    assert step["with"].keys() <= action["inputs"].keys()
    assert all(f"[{name}](../ci/{name})" in told for name in COPIED)


def test_the_action_passes_with_a_good_relay(action: dict[str, Any], tmp_path: Path) -> None:
    code, log, outputs, summary = act(action, tmp_path, target=TARGET, target_cmd=command(), arguments=FEW)
    assert code == 0, log
    assert outputs == {"verdict": "passed", "exit-code": "0", "report": "spatius-sim-report"}
    assert "Passed" in summary
    assert "::error" not in log
    assert (tmp_path / "spatius-sim-report" / "report.html").is_file()


def test_the_action_names_what_a_broken_relay_breaks(action: dict[str, Any], tmp_path: Path) -> None:
    inputs = {"target": TARGET, "target_cmd": command("R-MOTION-ORDER"), "arguments": FEW}
    code, log, outputs, summary = act(action, tmp_path, **inputs, report="else where")
    assert code == 1, log
    assert outputs == {"verdict": "failed", "exit-code": "1", "report": "else where"}
    annotations = [line for line in log.splitlines() if line.startswith("::")]
    assert [line.split("::")[1] for line in annotations] == ["error title=R-MOTION-ORDER (MUST)"]
    assert "R-MOTION-ORDER" in summary.replace("&#45;", "-")


def test_an_input_is_no_shell_text(action: dict[str, Any], tmp_path: Path) -> None:
    hostile = "ws://x/$(touch owned)`touch owned`; touch owned"
    code, log, outputs, _ = act(action, tmp_path, target=hostile, arguments="--settle=$(touch owned)")
    assert code == 4, log
    assert outputs["verdict"] == "usage"
    assert not (tmp_path / "owned").exists()


def test_the_shell_recipe_reads_the_conformance_file(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(f"target: {TARGET}\ntarget-cmd: {command()}\n")
    ran = bash(
        f"bash {CI / 'judge.sh'}", tmp_path, SPATIUS_SIM_CONFORMANCE="ours.yaml", SPATIUS_SIM_ARGUMENTS=FEW
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("spatius-sim: passed; the reports are in spatius-sim-report\n")


def test_the_gitlab_job_leaves_what_it_promises(tmp_path: Path) -> None:
    job = yaml.safe_load((CI / "gitlab.yml").read_text())[".spatius-sim"]
    (tmp_path / "conformance.yaml").write_text(f"client: {json.dumps(client_command())}\n")
    variables = job["variables"] | {"SPATIUS_SIM_PROFILE": "smoke"}
    ran = bash("\n".join(job["script"]), tmp_path, **variables)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    named = [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]
    for path in named:
        assert (tmp_path / path.replace("$SPATIUS_SIM_REPORT", variables["SPATIUS_SIM_REPORT"])).exists()


PIP = '#!/bin/sh\necho "$@" >> "$PIP_LOG"\n'
"""In the place of python3: writes down what pip is asked for."""


def installed_by(script: str, folder: Path, **given: str) -> list[str]:
    """Return what this script lets pip install, in a folder where spatius-sim is not installed."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").write_text(PIP)
    (folder / "bin" / "python3").chmod(0o755)
    log = folder / "pip.log"
    subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "PIP_LOG": str(log)} | given,
        check=True,
        timeout=30,
    )
    return [line.removeprefix("-m pip install --quiet ") for line in log.read_text().splitlines()]


@pytest.mark.parametrize("requirements", [True, False])
def test_the_gitlab_job_installs_the_clone_and_what_the_relay_needs(
    requirements: bool, tmp_path: Path
) -> None:
    job = yaml.safe_load((CI / "gitlab.yml").read_text())[".spatius-sim"]
    if requirements:
        (tmp_path / "requirements.txt").touch()
    asked = installed_by("\n".join(job["before_script"]), tmp_path, **job["variables"])
    assert asked == ["./spatius-sim", *(["-r requirements.txt"] if requirements else [])]


@pytest.mark.parametrize("install", ["", "vendor/it.whl"])
def test_the_action_installs_the_clone_that_it_is_in_or_what_is_named(
    install: str, action: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").touch()
    steps = action["runs"]["steps"][:2]
    given = {
        "SPATIUS_SIM_INSTALL": install,
        "SPATIUS_SIM_REQUIREMENTS": action["inputs"]["requirements"]["default"],
        "GITHUB_ACTION_PATH": str(CI),
    }
    asked = installed_by("\n".join(step["run"] for step in steps), tmp_path, **given)
    assert asked == [install or f"{CI}/../..", "-r requirements.txt"]
    assert (CI / "../../pyproject.toml").is_file()


def test_no_recipe_needs_an_index_that_does_not_have_us() -> None:
    told = [path.read_text() for path in (*CI.iterdir(), *DOCS.glob("*.md"), *CI.parents[1].glob("*.md"))]
    assert not [text for text in told if re.search(r"pip install[^\n]*[ '\"]spatius-sim(\[|'|\"|$)", text)]
