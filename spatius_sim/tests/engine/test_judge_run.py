"""The engine judges a run without pytest, and `spatius-sim verify` calls it directly."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from spatius_sim.engine.conformance_file import find_conformance_file
from spatius_sim.engine.judge_run import RuleResult, judge_run
from spatius_sim.engine.run_request import make_run_request
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.rules.findings import Verdict

SHIM = "from spatius_sim.subjects import decoder_as_client as c, client_shim as s; s.serve_stdio(c.{})"
GOOD = shlex.join([sys.executable, "-c", SHIM.format("OWN")])
BAD = shlex.join(
    [
        sys.executable,
        "-c",
        "from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES; "
        + SHIM.format("own_client_factory(CLIENT_MINIATURES['C-EMPTY'][0])"),
    ]
)
TIMEOUT = 120


class Diary:
    """Writes down what a run tells; at the rule `stop_at` it does what Ctrl-C does."""

    def __init__(self, stop_at: str = "") -> None:
        self.lines: list[str] = []
        self.results: list[RuleResult] = []
        self.suspects: list[dict[str, str]] = []
        self._stop_at = stop_at

    def run_begins(self, environment: Mapping[str, str], inspector: str) -> None:
        self.lines.append(f"begins with {len(environment)} variables")

    def show_rule_start(self, rule_id: str, number: int, total: int) -> None:
        self.lines.append(f"{rule_id} is {number} of {total}")
        if rule_id == self._stop_at:
            raise KeyboardInterrupt

    def suspects_grow(self, suspects: Mapping[str, str]) -> None:
        self.suspects.append(dict(suspects))

    def show_rule_end(self, result: RuleResult) -> None:
        self.results.append(result)


def values(folder: Path, client: str, *rules: str) -> dict[str, object]:
    return {"client": client, "rule": rules, "profile": "smoke", "report-dir": str(folder / "out")}


def test_rules_are_judged_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    diary = Diary()
    ending = judge_run(make_run_request(values(tmp_path, GOOD, "C-EMPTY", "C-ID"), {}), diary)
    assert diary.lines == ["begins with 0 variables", "C-ID is 1 of 2", "C-EMPTY is 2 of 2"]
    assert [outcome.verdict for outcome in ending.summaries[0].outcomes] == [Verdict.PASSED] * 2
    assert ending.code is ExitCode.PASSED
    assert (tmp_path / "out" / "report.json").is_file()


def test_a_failure_is_told_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    diary = Diary()
    ending = judge_run(make_run_request(values(tmp_path, BAD, "C-EMPTY"), {}), diary)
    assert ending.code is ExitCode.RULE_FAILED
    [complaint] = diary.results[0].complaints
    assert complaint.startswith("C-EMPTY (MUST): ")
    assert [*diary.suspects[0]] == ["C-EMPTY"]  # The first word came before the rule was through.
    assert "  repeat    spatius-sim verify '--client=" in complaint
    assert complaint.rstrip().count(f"--plan={tmp_path / 'out' / 'C-EMPTY.tape'}") == 1
    assert "  seen as   the voice breaks off" in complaint and "  mend it   with an empty list" in complaint


def test_a_run_may_end_with_the_first_failure(tmp_path: Path) -> None:
    diary = Diary()
    request = make_run_request(values(tmp_path, BAD, "C-ID", "C-EMPTY", "C-EMPTY-STICKY"), {})
    ending = judge_run(request, diary, exit_first=True)
    judged = {outcome.rule_id: outcome for outcome in ending.summaries[0].outcomes}
    assert ending.code is ExitCode.RULE_FAILED
    assert [judged[rule_id].verdict for rule_id in ("C-ID", "C-EMPTY")] == [Verdict.PASSED, Verdict.FAILED]
    assert judged["C-EMPTY-STICKY"].reason == "it was never run"
    assert len(diary.results) == 2


def test_an_interrupted_run_reports_what_it_found(tmp_path: Path) -> None:
    ending = judge_run(make_run_request(values(tmp_path, GOOD, "C-ID", "C-EMPTY"), {}), Diary("C-EMPTY"))
    verdicts = [outcome.verdict for outcome in ending.summaries[0].outcomes]
    assert (ending.code, verdicts) == (ExitCode.INTERRUPTED, [Verdict.PASSED, Verdict.UNEXERCISED])
    assert '"exit_code":2' in (tmp_path / "out" / "report.json").read_text().replace(" ", "")


@pytest.mark.parametrize(
    ("rule_id", "told"), [("R-TURNS", "R-TURNS is a rule for a relay"), ("R-NONSENSE", "no rule has the id")]
)
def test_a_request_that_cannot_be_starts_nothing(rule_id: str, told: str, tmp_path: Path) -> None:
    diary = Diary()
    with pytest.raises(UsageError, match=told):
        judge_run(make_run_request(values(tmp_path, GOOD, rule_id), {}), diary)
    assert diary.lines == []


def test_a_command_says_only_what_the_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text("target: ws://127.0.0.1:9\nwait: 3\nseed: 5\n")
    request = make_run_request({"settle": 1.0}, {}, find_conformance_file(None, tmp_path))
    assert (request.subject_kind, request.settings.seed) == ("relay", 5)
    assert request.options_to_repeat("R-TURNS", "word") == {
        "settle": 1.0,
        "conformance": "conformance.yaml",
        "seed": 5,
        "rule": "R-TURNS",
        "plan": "word",
    }
    assert request.doctor_command() == "spatius-sim doctor --settle=1.0"


def verify(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\n"
        "from spatius_sim.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('pytest' in sys.modules, file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "verify", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | environment,
    )


def test_verify_imports_no_pytest_and_reads_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("raise RuntimeError('read')\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    ran = verify(tmp_path, f"--client={GOOD}", "--rule=C-ID", PYTEST_ADDOPTS="--no-such-option")
    assert (ran.returncode, ran.stderr) == (0, "False\n"), ran.stdout
    assert "PASSED: 1 of 1 rules were exercised, and all were kept.\n" in ran.stdout


def test_a_turn_that_a_conftest_starts_is_left_to_pytest(tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text("target: ws://127.0.0.1:9\nturn: hook\n")
    ran = verify(tmp_path)
    assert ran.returncode == ExitCode.USAGE
    assert "conformance.yaml:2: turn hook: the hook stands in a conftest.py" in ran.stderr
    assert "pytest --target=URL --turn=hook" in ran.stderr
