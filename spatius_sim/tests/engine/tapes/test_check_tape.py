"""A tape is judged as conformance.yaml, a baseline and the options ask, by `check` and by pytest."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from spatius_sim.cli.main import cli
from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.files.find_resources import resource
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, ServerError
from spatius_sim.rules.findings import Verdict
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.command_line import pytest_in_process
from spatius_sim.tests.tape.samples import CLEANED
from spatius_sim.trace.events import (
    Closed,
    Event,
    EventKind,
    Lane,
    Opened,
    Received,
    Sent,
    Trace,
    TraceHeader,
)
from spatius_sim.trace.read_frames import read_upstream

TAPES = resource("fixtures") / "tapes"
GOOD, BAD = str(TAPES / "wire-json-envelope.tape"), str(TAPES / "fails-R-MOTION-ORDER.tape")
KNOWN = """\
known-failures:
  R-MOTION-ORDER:
    reason: two workers race
    fails-with: "*"
"""


def check(*arguments: str) -> tuple[int, str]:
    ran = CliRunner().invoke(cli, ["check", *arguments], standalone_mode=False)
    if isinstance(ran.exception, UsageError):
        return 4, str(ran.exception)
    assert ran.exception is None, ran.exception
    return int(ran.return_value), " ".join(ran.output.split())


def by_pytest(*arguments: str) -> tuple[int, str]:
    words = [f"--rootdir={resource('conformance').parent}", f"--tape={arguments[0]}", *arguments[1:]]
    ran = pytest_in_process(*words, columns=300)
    return ran.returncode, " ".join(ran.output.split())


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")


@pytest.mark.parametrize(
    ("tape", "baseline", "code", "told"),
    [
        (BAD, KNOWN, 0, "known to fail: R-MOTION-ORDER"),
        (BAD, KNOWN.replace('"*"', "it sings"), 1, "known.yaml:4: R-MOTION-ORDER fails otherwise"),
        (BAD, KNOWN + "    expires: 2020-02-29\n", 1, "known.yaml:5: R-MOTION-ORDER expired on 2020"),
        (
            BAD,
            "known-failures:\n  C-ID: {}\n",
            4,
            "known.yaml:2: C-ID is a rule for a client, not for a relay",
        ),
        (GOOD, KNOWN, 0, "all were kept"),
    ],
    ids=[
        "tolerated",
        "fails otherwise",
        "expired",
        "another subject's",
        "a whole run alone says that it passes",
    ],
)
@pytest.mark.parametrize("judged", [check, by_pytest])
def test_a_tape_with_the_baseline_of_conformance_yaml(
    judged: object, tape: str, baseline: str, code: int, told: str
) -> None:
    Path("known.yaml").write_text(baseline)
    Path("conformance.yaml").write_text("target: ws://127.0.0.1:9\nbaseline: known.yaml\n")
    assert callable(judged)
    ended, output = judged(tape)
    assert ended == code, output
    assert told in output


def test_workers_say_the_same() -> None:
    Path("known.yaml").write_text(KNOWN)
    assert by_pytest(BAD, "-n", "2", "--baseline=known.yaml", "--report-json=r.json")[0] == 0
    code, output = by_pytest(BAD, "-n", "2")
    assert code == 1
    assert "FAILED: R-MOTION-ORDER. " in output and "Exit code 1. Next: mend R-MOTION-ORDER" in output
    assert Path("r.json").is_file()


def test_what_the_file_says_of_another_kind_of_subject_is_left_alone() -> None:
    Path("conformance.yaml").write_text("server: http://127.0.0.1:9\nbaseline: missing.yaml\nlevel: may\n")
    assert check(BAD)[0] == 1


def test_level_lacks_and_rule_choose_what_is_judged() -> None:
    Path("conformance.yaml").write_text("target: ws://127.0.0.1:9\nlevel: must\nreport-dir: all\n")
    code, output = check(BAD, "--lacks=own-stream")
    assert code == 1
    assert "NOT_APPLICABLE R-ISOLATION the subject lacks own-stream" in output
    assert "R-LATENCY" not in output and "R-LATENCY" in check(BAD, "--level=may")[1]
    assert Path("all/report.html").is_file()
    for judged in (check, by_pytest):
        assert judged(BAD, "--rule=U-TOKEN", "--rule=R-MOTION-VERBATIM")[0] == 0
        assert "NOT EXERCISED: R-FALLBACK; this is not a pass" in judged(BAD, "--rule=R-FALLBACK")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rule=R-NONSENSE"], "no rule has the id"),
        (["--rule=C-ID"], "C-ID is a rule for a client, and"),
        (["--lacks=grace"], "no feature is named so"),
        (["--level=can"], "there are must, should, may"),
        (["--conformance=missing.yaml"], "missing.yaml"),
    ],
)
@pytest.mark.parametrize("judged", [check, by_pytest])
def test_what_cannot_be_asked(judged: object, arguments: list[str], told: str) -> None:
    assert callable(judged)
    code, output = judged(BAD, *arguments)
    assert code == 4, output
    assert told in output


@pytest.mark.parametrize(
    ("argument", "told"),
    [("--target=ws://127.0.0.1:9", "judge one in a run"), ("--update-baseline", "needs a whole run")],
)
def test_a_tape_is_no_subject_of_a_whole_run(argument: str, told: str) -> None:
    code, output = by_pytest(BAD, argument, "--baseline=known.yaml")
    assert code == 4
    assert told in output


def test_a_wrong_line_of_the_file_is_named() -> None:
    Path("conformance.yaml").write_text("target: ws://127.0.0.1:9\nlacks: [grace]\n")
    assert check(BAD)[1].startswith("conformance.yaml:2: lacks grace: no feature")


def test_a_proxy_s_tape_exercises_the_server_rules_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "proxy.tape"
    write_traces(path, CLEANED, [proxied_trace()])
    verdicts = {outcome.rule_id: outcome.verdict for outcome in check_tape(path)[0].outcomes}
    passed = {rule_id for rule_id, verdict in verdicts.items() if verdict is Verdict.PASSED}
    assert passed >= {"S-CONFIRM", "S-MOTION-IDS", "S-MOTION-END", "S-MOTION-COUNT", "S-MOTION-SHAPE"}
    assert Verdict.FAILED not in verdicts.values()


def test_a_service_that_refuses_a_configuration_on_a_proxy_s_tape_is_not_accused(tmp_path: Path) -> None:
    path = tmp_path / "proxy.tape"
    refusal = encode(ServerError("", "", 8, "no capacity"))
    write_traces(path, CLEANED, [proxied_trace(refusal)])
    verdicts = {outcome.rule_id: outcome.verdict for outcome in check_tape(path)[0].outcomes}
    assert verdicts["S-CONFIRM"] is Verdict.UNEXERCISED


def test_a_rule_that_a_failed_rule_hides_in_one_run_has_not_passed(tmp_path: Path) -> None:
    path = tmp_path / "proxy.tape"
    write_traces(path, CLEANED, [proxied_trace(), proxied_trace(under="another request")])
    outcomes = {outcome.rule_id: outcome for outcome in check_tape(path)[0].outcomes}
    assert outcomes["S-MOTION-IDS"].verdict is Verdict.FAILED
    hidden = outcomes["S-MOTION-END"]
    assert (hidden.verdict, hidden.blocked_by) == (Verdict.UNEXERCISED, ("S-MOTION-IDS",))


def proxied_trace(refusal: bytes = b"", under: str = "r1") -> Trace:
    """What a proxy sees of one request: the relay's frames are received, the server's are sent. Motion comes
    with the req_id `under`."""
    answer = SynthesizedAnswer("connection", under, 16_000, 1)
    speech_up = speech("proxied", 16_000)
    downward = [encode(ConfirmSession("connection")), *answer.feed(speech_up), *answer.finish()]
    frames = [
        (Received, encode(ConfigureSession(16_000))),
        (Sent, refusal or downward[0]),
        (Received, encode(AudioInput("r1", speech_up, end=True))),
        *((Sent, raw) for raw in downward[1:] if not refusal),
    ]
    events: list[EventKind] = [kind(raw, read_upstream(raw)) for kind, raw in frames]
    taped = [Opened(""), *events, Closed(by_kit=False, code=1000)]
    header = TraceHeader("relay", "", 0, "", "", halves="upstream")
    return Trace(
        header,
        tuple(Event(n, n, Lane.UPSTREAM, "upstream-1", what) for n, what in enumerate(taped)),
    )
