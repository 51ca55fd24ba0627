"""`doctor` finds out how far a relay that publishes by itself in a room comes, and says what to do next."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]

SECONDS = 55
STREAMS = shlex.join([sys.executable, "-m", "spatius_sim.tests.net.room.room_relay", "streams"])
LET_IN = "ok  the LiveKit server takes our token, and lets us into the room\n"


def ask_doctor(folder: Path, secret: str = SECRET, *arguments: str) -> tuple[int, str]:
    """Run `spatius-sim doctor` in this folder: its exit code, and what it says."""
    ran = subprocess.run(
        [sys.executable, "-m", "spatius_sim", "doctor", *arguments],
        cwd=folder,
        env=os.environ | {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": secret, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert secret not in ran.stdout
    assert "eyJ" not in ran.stdout
    return ran.returncode, ran.stdout


@pytest.mark.parametrize(
    ("fault", "told", "advice"),
    [
        (
            "no server",
            "NO  the room at ws://127.0.0.1:9 cannot be joined: no LiveKit server",
            "start the Liv",
        ),
        (
            "wrong secret",
            "cannot be joined: look at key and secret",
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        ),
        (
            "no relay",
            f"{LET_IN}NO  nobody but the kit came to the room 'demo'",
            "--target-cmd lets us start it",
        ),
    ],
)
def test_the_first_step_that_fails_is_told_with_its_remedy(
    livekit: LiveKitServer, tmp_path: Path, fault: str, told: str, advice: str
) -> None:
    url = "ws://127.0.0.1:9" if fault == "no server" else livekit.url
    secret = "another-secret-of-thirty-two-letters" if fault == "wrong secret" else SECRET
    arguments = ["packets:demo", f"--room={url}", "--wire=json-envelope", "--wait=1", "--motion-port=0"]
    code, output = ask_doctor(tmp_path, secret, *arguments)
    assert code == 6
    assert told in output
    assert advice in output


def test_a_server_that_never_answers_has_let_nobody_in(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        room = f"--room=ws://{LOOPBACK}:{silent.getsockname()[1]}"
        arguments = ["packets:demo", room, "--wire=json-envelope", "--wait=1", "--motion-port=0"]
        code, output = ask_doctor(tmp_path, SECRET, *arguments)
    assert code == 6
    assert "cannot be joined: no LiveKit server answers there" in output
    assert LET_IN not in output


def test_a_conformance_file_with_a_room_is_enough(livekit: LiveKitServer, tmp_path: Path) -> None:
    (tmp_path / "conformance.yaml").write_text(
        f"target: streams:demo\nroom: {livekit.url}\nwire: json-envelope\ntarget-cmd: {STREAMS}\n"
    )
    code, output = ask_doctor(tmp_path)
    assert code == 0, output
    assert f"{LET_IN}ok  the relay is in the room 'demo'\n" in output
    assert output.endswith("ok  motion comes down\n")
