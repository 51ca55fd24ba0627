"""init and doctor: what they ask a relay, what they find, and what they say to do."""

import json
import shlex
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import validate

from spatius_sim.cli.doctor.diagnose_relay import RelayDiagnosis, ask_subject
from spatius_sim.cli.doctor.doctor import doctor
from spatius_sim.cli.doctor.findings_and_advice import (
    Finding,
    port_finding,
    relay_findings,
    telemetry_finding,
)
from spatius_sim.engine.conformance_file import read_conformance_file
from spatius_sim.engine.option_table import options_as_arguments
from spatius_sim.engine.run_settings import Settings
from spatius_sim.mock_server.run_in_thread import run_motion_server_in_thread
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.plans.plan import Plan
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.subjects.relay.relay_options import RelayStart
from spatius_sim.tests.command_line import Ended, run_in_process
from spatius_sim.tests.engine.test_exit_codes import ONE_TURN
from spatius_sim.tests.processes import PROCESSES
from spatius_sim.trace.events import Trace

RELAY = PROCESSES / "miniature_relay_process.py"
START = f"{sys.executable} {RELAY} {{port}}"
AT = "ws://127.0.0.1:{port}"
WELL = RelayDiagnosis(
    "json-envelope",
    greets=True,
    understood_count=5,
    asked_for_token=True,
    token_status=200,
    opened_session=True,
    sent_audio_up=True,
    sent_audio_down=True,
    sent_motion_down=True,
)
NOWHERE = replace(
    WELL,
    asked_for_token=False,
    token_status=0,
    opened_session=False,
    sent_audio_up=False,
    sent_motion_down=False,
)


@pytest.mark.parametrize(
    ("answers", "what", "advice"),
    [
        (replace(WELL, unreachable="r cannot be reached: HTTP 404"), "HTTP 404", "/ws/agent"),
        (replace(WELL, unreachable="r cannot be reached: HTTP 401"), "HTTP 401", "--target-header"),
        (replace(WELL, unreachable="'x' ended with code 1; ..."), "ended", "by hand with the same command"),
        (replace(WELL, unreachable="CERTIFICATE_VERIFY_FAILED"), "CERT", "--target-ca"),
        (replace(WELL, unreachable="r cannot be reached: refused"), "refused", "--target-cmd"),
        (
            replace(WELL, unreachable="the room at ws://r cannot be joined: look at key and secret"),
            "cannot be joined",
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        ),
        (
            replace(WELL, unreachable="the room at ws://r cannot be joined: no LiveKit server answers there"),
            "no LiveKit server",
            "--room ws://HOST:PORT",
        ),
        (
            replace(WELL, unreachable="nobody but the kit came to the room 'demo'"),
            "nobody but the kit came",
            "--target-cmd",
        ),
        (replace(WELL, unreachable="the wire of r was not found out"), "wire", "wire try"),
        (
            replace(NOWHERE, understood_count=0, garbage_count=2, first_garbage="no JSON"),
            "another wire than json-envelope: no JSON",
            "YAML",
        ),
        (replace(WELL, garbage_count=1, first_garbage="type x"), "1 of its messages", "YAML"),
        (
            NOWHERE,
            "never came to our Motion Server",
            "SPATIUS_INGRESS_ENDPOINT=ws://127.0.0.1:8700/v2/driveningress",
        ),
        (replace(NOWHERE, asked_for_token=True, token_status=401), "HTTP 401", "SPATIUS_API_KEY"),
        (
            replace(NOWHERE, asked_for_token=True, token_status=400, token_life_seconds=-3300.2),
            "its expireAt lies 3300 s in the past",
            "clock of the relay's machine",
        ),
        (
            replace(NOWHERE, asked_for_token=True, token_status=400, token_life_seconds=9e4),
            "25 h ahead",
            "clock",
        ),
        (replace(NOWHERE, asked_for_token=True, token_status=200), "opened no session", "ingress endpoint"),
        (replace(NOWHERE, refusal="HTTP 400 app id mismatch"), "app id mismatch", "SPATIUS_APP_ID"),
        (replace(NOWHERE, asked_for_token=True, opened_session=True), "no audio went up", "client's audio"),
        (
            replace(WELL, sent_motion_down=False, first_trouble="it said: no"),
            "no motion came down to the client: it said",
            "callback",
        ),
        (replace(NOWHERE, unknown_path="GET /v1/x"), "was asked GET /v1/x", "another path than ours"),
        (replace(NOWHERE, close_code=1006), "it hung up with code 1006, and never came", "its own output"),
    ],
)
def test_what_stands_in_the_way_is_found_with_what_to_do(
    answers: RelayDiagnosis, what: str, advice: str
) -> None:
    findings = list(relay_findings(answers, Settings(target="ws://r")))
    [wrong] = [finding for finding in findings if not finding.is_ok]
    assert what in wrong.observation
    assert advice in wrong.advice


class Dies:
    """A relay that is found on its wire, and is gone when it is to answer."""

    kind, target, wire = "relay", "ws://r", "typed-json"
    cut_a_wait_short = False

    async def attach(self) -> None: ...

    async def run(self, plan: Plan, *, patient: bool = False) -> Trace:
        raise UnreachableError("it is gone")

    async def detach(self) -> None: ...


def test_the_wire_of_a_relay_that_dies_is_remembered() -> None:
    loop = BackgroundLoop()
    try:
        answers = ask_subject(Dies(), loop, Settings(target="ws://r"))
    finally:
        loop.stop()
    assert (answers.wire, answers.unreachable) == ("typed-json", "it is gone")


def test_where_all_is_well_nothing_is_wrong() -> None:
    assert all(finding.is_ok for finding in relay_findings(WELL, Settings(target="ws://r")))


def test_a_relay_that_we_start_is_pointed_here_by_its_own_variables() -> None:
    options = Settings(target=AT, relay_start=RelayStart(command=START))
    assert any("target-env" in finding.advice for finding in relay_findings(NOWHERE, options))


def test_a_proxy_in_the_environment_is_named_where_a_relay_never_came() -> None:
    proxy = {"HTTP_PROXY": "http://proxy.example:3128"}
    settings = Settings(target="ws://r", environment=proxy)
    [advice] = [finding.advice for finding in relay_findings(NOWHERE, settings) if not finding.is_ok]
    assert "HTTP_PROXY" in advice
    assert "NO_PROXY=127.0.0.1" in advice
    ours = replace(settings, target=AT, relay_start=RelayStart(command=START))
    assert not [finding for finding in relay_findings(NOWHERE, ours) if "PROXY" in finding.advice]


def test_who_has_the_port_is_found_out() -> None:
    with run_motion_server_in_thread() as server:
        assert "a spatius-sim that runs already" in port_finding(server.port, "in use").observation
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert port_finding(taken.getsockname()[1], "in use").observation == "in use"


@pytest.mark.parametrize(
    ("source", "well"),
    [
        ("import spatius\n", False),
        ("import spatius\nspatius.configure_telemetry('')\n", True),
        ('from avatarkit import new_avatar_session\nconfigure_telemetry("")\n', True),
        ("import json  # import spatius\n", None),
    ],
)
def test_telemetry_of_the_sdk_is_noticed(source: str, well: bool | None, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "relay.py").write_text(source)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "other.py").write_text("import spatius")
    finding = telemetry_finding(tmp_path)
    assert (finding.is_ok if finding else None) is well


def ran(folder: Path, *arguments: str) -> Ended:
    return run_in_process(*arguments, folder=folder)


def test_init_writes_a_file_that_doctor_and_verify_read(tmp_path: Path) -> None:
    made = ran(tmp_path, "init", AT, "--target-cmd", START, "--settle", "0.5")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "it speaks json-envelope, and greets" in made.stdout
    file = read_conformance_file(tmp_path / "conformance.yaml", "conformance.yaml")
    assert file.values == {
        "target": AT,
        "target-cmd": START,
        "settle": 0.5,
        "wire": "json-envelope",
        "level": "should",
    }
    validate(dict(file.values), json.loads(ran(tmp_path, "schema", "conformance").stdout))
    again = ran(tmp_path, "init", AT)
    assert again.returncode == 4
    assert "--force" in again.stderr
    looked_at = ran(tmp_path, "doctor")
    assert looked_at.returncode == 0, looked_at.stdout
    judged = ran(tmp_path, "verify", "--rule", "U-TOKEN", ONE_TURN)
    assert judged.returncode == 0, judged.stdout


def test_init_writes_the_file_that_declares_the_wire(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(ran(tmp_path, "wire", "show", "json-envelope").stdout)
    made = ran(tmp_path, "init", AT, "--target-cmd", START, "--settle", "0.5", "--wire", "mine.yaml")
    assert made.returncode == 0, made.stdout + made.stderr
    assert '\nwire: "mine.yaml"\n' in (tmp_path / "conformance.yaml").read_text()
    judged = ran(tmp_path, "verify", "--rule", "U-TOKEN", ONE_TURN)
    assert judged.returncode == 0, judged.stdout


def test_init_writes_references_in_place_of_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "target": "ws://me:pass-word@127.0.0.1:{port}/ws?room=demo&token=abcdef",
        "target-cmd": f"env LOGIN_TOKEN=for-the-command {START}",
        "target-env": ["KEY=for the model", "AT={port}"],
        "target-header": ["Authorization: Bearer for-tests", "Cookie: a=b", "cookie: c=d"],
    }
    url, *options = options_as_arguments(given)
    made = ran(tmp_path, "init", url.partition("=")[2], *options, "--settle", "0.5")
    assert made.returncode == 0, made.stdout + made.stderr
    written = (tmp_path / "conformance.yaml").read_text()
    for value in (
        "pass-word",
        "demo",
        "abcdef",
        "for-the-command",
        "for the model",
        "for-tests",
        "a=b",
        "c=d",
    ):
        assert value not in written + made.stdout
    variables = {
        "RELAY_LOGIN": "me:pass-word",
        "RELAY_ROOM": "demo",
        "RELAY_TOKEN": "abcdef",
        "RELAY_LOGIN_TOKEN": "for-the-command",
        "KEY": "for the model",
        "RELAY_AUTHORIZATION": "Bearer for-tests",
        "RELAY_COOKIE": "a=b",
        "RELAY_COOKIE_2": "c=d",
    }
    assert f"# Set these variables: {', '.join(variables)}" in written
    assert "AT={port}" in written
    unset = ran(tmp_path, "doctor")
    assert (unset.returncode, "RELAY_LOGIN is not set" in unset.stderr) == (4, True)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file = read_conformance_file(tmp_path / "conformance.yaml", "conformance.yaml")
    told = {name: file.values[name] for name in given}
    command, given_command = (values.pop("target-cmd") for values in (told, given))
    assert (told, shlex.split(str(command))) == (given, shlex.split(str(given_command)))
    assert ran(tmp_path, "doctor").returncode == 0


def test_init_writes_nothing_where_nobody_answers(tmp_path: Path) -> None:
    made = ran(tmp_path, "init", "ws://127.0.0.1:9", "--wait", "0.1", "--motion-port", "0")
    assert made.returncode == 6
    assert "cannot be reached" in made.stdout
    assert not (tmp_path / "conformance.yaml").exists()


def test_doctor_tells_of_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        looked_at = ran(tmp_path, "doctor", "ws://127.0.0.1:9", "--motion-port", port)
    assert looked_at.returncode == 6
    assert f"lsof -i :{port}" in looked_at.stdout


def test_doctor_needs_to_know_whom_to_look_at(tmp_path: Path) -> None:
    assert "which relay?" in ran(tmp_path, "doctor").stderr


DIES = """
import asyncio, os, sys
from websockets.asyncio.server import serve

async def greet(client):
    print("SPATIUS_FACE is missing", flush=True)
    EXIT

async def main():
    async with serve(greet, "127.0.0.1", int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("last_deed", "told"),
    [
        ("os._exit(3)", "ended with code 3; its last output: SPATIUS_FACE is missing"),
        ("raise KeyError('SPATIUS_FACE')", "it hung up with code 1011, and never came to our Motion Server"),
    ],
)
def test_doctor_tells_the_last_words_of_a_relay_that_dies_before_it_greets(
    last_deed: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "relay.py").write_text(DIES.replace("EXIT", last_deed))
    command = f"{sys.executable} {tmp_path / 'relay.py'} {{port}}"
    looked_at = ran(tmp_path, "doctor", AT, "--target-cmd", command, "--wire", "json-envelope")
    assert looked_at.returncode == 6, looked_at.stdout + looked_at.stderr
    assert told in looked_at.stdout
    assert looked_at.stdout.count("its last output: ") == 1
    assert "SPATIUS_FACE" in looked_at.stdout.partition("its last output: ")[2]
    assert "is it running" not in looked_at.stdout


def test_a_word_about_versions_stands_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [Finding(False, f"package {number} is old", "take a newer one") for number in range(3)]
    monkeypatch.setattr("spatius_sim.cli.doctor.findings_and_advice.version_findings", lambda: iter(told))
    monkeypatch.setattr("spatius_sim.cli.doctor.diagnose_relay.diagnose", lambda options: WELL)
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(doctor, ["ws://127.0.0.1:1"], standalone_mode=False)
    assert "NO  package 2 is old" in ran.output
    assert ran.return_value == 0
