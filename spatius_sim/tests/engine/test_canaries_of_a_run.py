"""What a run is told in confidence stands nowhere: not on the terminal, in a report, on a tape."""

import json
import shlex
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from spatius_sim.cli.main import main
from spatius_sim.engine.hide_option_secrets import options_for_shell
from spatius_sim.engine.run_settings import settings_of
from spatius_sim.net.proxy.proxy_target import read_proxy_targets
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tests.canaries import artefacts_of, leaks
from spatius_sim.tests.command_line import Ended, run_in_process
from spatius_sim.tests.processes import PROCESSES

TELLTALE = PROCESSES / "telltale_relay_process.py"
BEARER, PASSWORD, COOKIE = (
    "canary-bearer-8f7e6d5c4b3a",
    "canary-basic-pass&word=17",
    "canary-cookie-5a6b7c8d9e",
)
VARIABLE, DATABASE = "canary-variable-sk-4f5g6h7j", "canary-database-pw-1x2y3z"
URL_USER, URL_QUERY = "canary-url-password-3Q", "canary-url-query-61w"
WORD = "canary-word-of-the-command-8x"
TYPED_KEY = "sk-c4n4ry-t0k3n-7h47-15-7yp3d"
SECRETS = {
    "key": TYPED_KEY,
    "bearer": BEARER,
    "basic": PASSWORD,
    "cookie": COOKIE,
    "variable": VARIABLE,
    "database": DATABASE,
    "password in the URL": URL_USER,
    "query of the URL": URL_QUERY,
    "word of the command": WORD,
}
OPTIONS = {
    "target": f"ws://me:{URL_USER}@127.0.0.1:{{port}}/ws?token={URL_QUERY}",
    "target-cmd": shlex.join([sys.executable, str(TELLTALE), "{port}", "--api-key", WORD]),
    "target-env": [f"MODEL_KEY={VARIABLE}", f"DATABASE_URL=postgres://me:{DATABASE}@h/db", "AT={port}"],
    "target-header": [
        f"Authorization: Bearer {BEARER}",
        "Proxy-Authorization: Basic " + b64encode(f"me:{PASSWORD}".encode()).decode(),
        f"Cookie: session={COOKIE}",
    ],
}
SECONDS = 120.0
WRONG_URL = f"ftp://me:{URL_USER}@h/?token={URL_QUERY}"


def ran(folder: Path, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "spatius_sim", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    return Ended(done.returncode, done.stdout, done.stderr)


def arguments(**others: str) -> list[str]:
    given = OPTIONS | others
    target = given.pop("target")
    several = [(name, value if isinstance(value, list) else [value]) for name, value in given.items()]
    return [str(target), *(f"--{name}={one}" for name, values in several for one in values)]


def artefacts(folder: Path, made: Ended) -> dict[str, bytes]:
    found = {"terminal": made.stdout.encode(), "errors": made.stderr.encode()}
    for path in folder.rglob("*"):
        if path.suffix == ".tape":
            found |= {f"{path.name}: {name}": raw for name, raw in artefacts_of(path).items()}
        elif path.is_file():
            found[path.name] = path.read_bytes()
    return found


@pytest.mark.parametrize("manner", ["breaks a rule", "dies"])
def test_a_run_and_all_that_it_leaves(manner: str, tmp_path: Path) -> None:
    made = ran(
        tmp_path,
        "verify",
        *arguments(**{"wire": "json-envelope", "wait": "10", "settle": "1", "report-dir": "reports"}),
        *(["--target-env=DIES=1"] if manner == "dies" else []),
        "--save-tape=whole.tape",
        "--rule=R-SECRETS",
        "--profile=smoke",
    )
    assert made.returncode == (6 if manner == "dies" else 1), made.stdout + made.stderr
    found = artefacts(tmp_path, made)
    assert {"report.html", "report.json", "junit.xml", "summary.md", "badge.json"} <= found.keys()
    assert leaks(SECRETS, found) == []
    if manner == "breaks a rule":
        assert "R-SECRETS.tape: tape show" in found
        failed = json.loads(found["report.json"])
        assert "AT={port}" in json.dumps(failed)


def test_doctor_and_init_say_nothing_of_it(tmp_path: Path) -> None:
    for command in ("doctor", "init"):
        made = ran(tmp_path, command, *arguments(wait="10", settle="0.3"), "--target-env=DIES=1")
        assert made.returncode == 6, made.stdout + made.stderr
        assert leaks(SECRETS, artefacts(tmp_path, made)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": WRONG_URL},
        {"server": WRONG_URL},
        {"server": f"console={WRONG_URL}"},
        {"server": f"console={WRONG_URL},ingress={WRONG_URL}"},
        {"client": WRONG_URL.replace("ftp", "ws").replace("@h", "@h:0")},
        {"target": "ws://h:{port}", "target-cmd": "x", "target-env": [f"KEY={{nothing}}{VARIABLE}"]},
        {"target": "ws://h:{port}", "target-cmd": "x", "target-env": [VARIABLE]},
        {"target": "ws://h", "target-header": [BEARER]},
        {"target": "ws://h", "target-header": [f"Cookie: {COOKIE}\r\nEvil: b"]},
    ],
    ids=repr,
)
def test_a_usage_error_quotes_none_of_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        settings_of(wrong, {}, 1).check()
    assert leaks(SECRETS, {"told": str(error.value).encode()}) == []


@pytest.mark.parametrize("wrong", [WRONG_URL, f"http://me:{URL_USER}@h:x/"])
def test_neither_does_that_of_a_proxy(wrong: str) -> None:
    with pytest.raises(UsageError, match="--upstream") as error:
        read_proxy_targets((wrong,))
    assert leaks(SECRETS, {"told": str(error.value).encode()}) == []


def test_the_command_that_repeats_a_failure_shows_placeholders_alone() -> None:
    typed = options_for_shell(
        OPTIONS | {"target-env": ["KEY=x", "AT={port}", "URL={ingress}{port}", "NONE="]}
    )
    assert "'--target=ws://...@127.0.0.1:{port}/ws?token=...'" in typed
    assert "--target-env=KEY=..." in typed
    for shown in ("AT={port}", "URL={ingress}{port}", "NONE="):
        assert f"--target-env={shown}" in typed.replace("'", "")
    assert leaks(SECRETS, {"typed": typed.encode()}) == []


@pytest.mark.parametrize(
    "typed",
    [
        ("verify", "ws://127.0.0.1:1/", f"ws://me:{URL_USER}@h/?token={URL_QUERY}"),
        ("verify", f"ws:/me:{URL_USER}@h/"),
        ("verify", f"me:{URL_USER}@h"),
        ("record", "--out=x.tape", f"--upstream=me:{URL_USER}@h"),
        ("serve", f"wss://me:{URL_USER}@h/"),
        ("simulate", f"ws://me:{URL_USER}@h/"),
        ("wire", "try", "json-envelope", f"ftp://me:{URL_USER}@h/?token={URL_QUERY}"),
        ("doctor", "ws://127.0.0.1:{port}/", f"--target-cmd=/nowhere --token={WORD}"),
        ("wire", "show", TYPED_KEY),
        ("serve", "--scenario", TYPED_KEY),
    ],
    ids=" ".join,
)
def test_a_wrong_call_quotes_no_login(typed: tuple[str, ...], tmp_path: Path) -> None:
    made = run_in_process(*typed, folder=tmp_path)
    assert made.returncode == 4, made.stdout + made.stderr
    assert leaks(SECRETS, artefacts(tmp_path, made)) == []


def test_a_traceback_quotes_no_login(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise ValueError(f"no URL: {WRONG_URL}")

    monkeypatch.setattr("spatius_sim.cli.main.cli", fail)
    monkeypatch.setattr("spatius_sim.cli.main.INTERRUPTION.install_handlers", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 3
    assert "ValueError: no URL: ftp://...@h/?token=..." in told
