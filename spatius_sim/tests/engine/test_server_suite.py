"""`pytest --server`: a mock by its URL, and any Motion Server by its two URLs and credentials."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spatius_sim.engine.run_settings import Settings
from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires.optional_features import EGRESS

TIMEOUT = 120
CREDENTIALS = {"SPATIUS_API_KEY": "key-1", "SPATIUS_APP_ID": "app-1", "SPATIUS_AVATAR_ID": "avatar-1"}
TWO_URLS = "console=http://a/v1/console,ingress=https://b/v2/driveningress"


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """`spatius-sim serve` in a process of its own; where it listens."""
    command = [sys.executable, "-m", "spatius_sim", "serve", "--port", "0", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        finally:
            process.terminate()


def judged(folder: Path, server: str, *rules: str, **environment: str) -> dict[str, str]:
    report = folder / "report.json"
    suite = str(resource("conformance").parent)
    command = [sys.executable, "-m", "pytest", f"--rootdir={suite}", f"--server={server}"]
    command += [f"--rule={rule}" for rule in rules] + [f"--report-json={report}", "--settle=1"]
    kept = {name: value for name, value in os.environ.items() if name not in CREDENTIALS}
    ran = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {rule["id"]: rule["verdict"] for rule in json.loads(report.read_text())["rules"]}


def test_a_mock_that_accepts_every_key_need_not_refuse_any(tmp_path: Path) -> None:
    with served() as place:
        verdicts = judged(tmp_path, f"http://{place}", "S-TOKEN-KEY", "S-CONFIRM")
    assert verdicts == {"S-TOKEN-KEY": "NOT_APPLICABLE", "S-CONFIRM": "PASSED"}


def test_a_server_named_by_its_two_urls_is_asked_with_the_credentials(tmp_path: Path) -> None:
    with served("--api-key", "key-1", "--app-id", "app-1") as place:
        urls = f"console=http://{place}/v1/console,ingress=ws://{place}/v2/driveningress"
        verdicts = judged(tmp_path, urls, "S-TOKEN-KEY", "S-EGRESS-SILENT", **CREDENTIALS)
    assert verdicts == {"S-TOKEN-KEY": "PASSED", "S-EGRESS-SILENT": "NOT_APPLICABLE"}


def test_a_url_alone_names_both_places() -> None:
    place = Settings(server="https://host:1", environment={"SPATIUS_APP_ID": "app-1"}).server_address()
    assert place.console == "https://host:1/v1/console"
    assert place.ingress == "wss://host:1/v2/driveningress"
    assert place.app_id == "app-1"
    assert place.find_lacks


def test_two_urls_name_a_server_that_is_judged_strictly() -> None:
    place = Settings(server=TWO_URLS, environment=CREDENTIALS, lacks=("ids",)).server_address()
    assert place.console == "http://a/v1/console"
    assert place.ingress == "wss://b/v2/driveningress"
    assert (place.api_key, place.app_id, place.avatar_id) == ("key-1", "app-1", "avatar-1")
    assert place.lacks == ("ids", EGRESS)
    assert not place.find_lacks


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Settings(server=TWO_URLS), "set SPATIUS_API_KEY, SPATIUS_APP_ID, SPATIUS_AVATAR_ID"),
        (Settings(server="console=http://a"), "console=URL,ingress=URL"),
        (Settings(server="console=a,ingress=http://b"), "--server console 'a'"),
        (Settings(server="ws://a"), "http:// or https://"),
        (Settings(lacks=("wings",)), "--lacks wings: no feature is named so; there are keys, ids, egress"),
    ],
)
def test_usage(options: Settings, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        options.check()
