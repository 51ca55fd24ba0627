"""`--save-tape`: what the suite saw is on the tape, whatever the subject, and is judged alike."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.cli.show_tape import TapeFilter, show_tape
from spatius_sim.engine.run_request import make_run_request
from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.files.find_resources import resource
from spatius_sim.plans.plan_token import plan_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.summary import ExitCode, exit_code
from spatius_sim.rules.findings import Verdict
from spatius_sim.tape.reader import read_header
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tests.forked import run_forked
from spatius_sim.trace.events import Trace, TraceHeader

TIMEOUT = 120
REUSES_IDS = (
    "from spatius_sim.subjects.decoder_as_client import own_client_factory; "
    "from spatius_sim.subjects.client_shim import serve_stdio; "
    "from spatius_sim.miniatures.client.wrong_clients import ReusesIds; "
    "serve_stdio(own_client_factory(ReusesIds))"
)


def saved(folder: Path, tape: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments, f"--save-tape={tape}", f"--report-dir={folder}"]
    return run_forked(command, folder, timeout=TIMEOUT)


def pytest_of(subject: str) -> tuple[str, ...]:
    return "pytest", str(resource("conformance") / subject), "-p", "no:cacheprovider"


@pytest.mark.parametrize(
    ("subject", "rule_id"), [("relay", "R-MOTION-ORDER"), ("server", "S-CONFIRM"), ("client", "C-ID")]
)
def test_a_good_subject_is_good_on_its_tape(subject: str, rule_id: str, tmp_path: Path) -> None:
    tape = tmp_path / "a.tape"
    ran = saved(tmp_path, tape, *pytest_of(subject), f"--rule={rule_id}", "--profile=smoke")
    assert ran.returncode == 0, ran.stdout
    (summary,) = check_tape(tape)
    assert summary.subject == subject
    verdicts = {outcome.rule_id: outcome.verdict for outcome in summary.outcomes}
    assert verdicts[rule_id] is Verdict.PASSED
    assert exit_code((summary,)) is ExitCode.PASSED
    assert read_header(tape).what == "suite"


def test_a_bad_client_is_bad_on_the_tape_that_verify_saved(tmp_path: Path) -> None:
    tape = tmp_path / "a.tape"
    client = shlex.join([sys.executable, "-c", REUSES_IDS])
    ran = saved(
        tmp_path, tape, "spatius_sim", "verify", f"--client={client}", "--rule=C-ID-NEW", "--profile=smoke"
    )
    assert ran.returncode == ExitCode.RULE_FAILED, ran.stdout + ran.stderr
    (summary,) = check_tape(tape)
    failed = [outcome.rule_id for outcome in summary.outcomes if outcome.verdict is Verdict.FAILED]
    assert failed == ["C-ID-NEW"]


def test_a_tape_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = saved(tmp_path, tmp_path / "file" / "a.tape", *pytest_of("client"), "--client=whatever")
    assert ran.returncode == ExitCode.USAGE
    assert "cannot be written" in ran.stderr + ran.stdout


def test_several_workers_do_not_write_over_each_other(tmp_path: Path) -> None:
    ran = saved(tmp_path, tmp_path / "a.tape", *pytest_of("client"), "-n", "2")
    assert ran.returncode == ExitCode.USAGE
    assert "several workers cannot write one tape" in ran.stderr + ran.stdout


def test_the_plan_of_a_failures_tape_can_be_run_again(tmp_path: Path) -> None:
    client = shlex.join([sys.executable, "-c", REUSES_IDS])
    judged = ("spatius_sim", "verify", f"--client={client}", "--rule=C-ID-NEW", "--profile=smoke")
    first = saved(tmp_path, tmp_path / "all.tape", *judged)
    assert first.returncode == ExitCode.RULE_FAILED, first.stdout + first.stderr
    (trace,) = read_traces(tmp_path / "C-ID-NEW.tape")
    token = trace.header.plan_token
    assert str(plan_of(token, "client")) == trace.header.plan
    assert "--plan=" + str(tmp_path / "C-ID-NEW.tape") in "\n".join(
        show_tape(tmp_path / "C-ID-NEW.tape", TapeFilter())
    )
    again = saved(tmp_path, tmp_path / "again.tape", *judged, "--plan=C-ID-NEW.tape")
    assert again.returncode == ExitCode.RULE_FAILED, again.stdout + again.stderr
    assert next(read_traces(tmp_path / "again.tape")).header.plan_token == token
    (repeated,) = read_traces(tmp_path / "C-ID-NEW.tape")
    assert repeated.header.plan_token == token


def test_only_a_tape_with_a_scenario_can_name_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        make_run_request({"plan": "gone.tape"}, {})
    tape, unplanned = tmp_path / "proxy.tape", Trace(TraceHeader("relay", "", 0, "", "1"), ())
    for traces in ([], [unplanned]):
        write_traces(tape, TapeHeader("proxy"), traces)
        with pytest.raises(UsageError, match="holds no scenario"):
            make_run_request({"plan": str(tape)}, {})
