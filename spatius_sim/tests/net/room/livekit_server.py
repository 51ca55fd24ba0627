"""A real LiveKit server for tests: built with the Go tool chain once, on 127.0.0.1 only."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token

VERSION = "v1.9.11"
MODULE = f"github.com/livekit/livekit-server/cmd/server@{VERSION}"
KEY = "devkey"
SECRET = "a-secret-of-thirty-two-characters"
_START_SECONDS = 20.0
_CONFIGURATION = Path(__file__).parents[4] / "conformance" / "examples" / "livekit_agent" / "livekit.yaml"
"""What users are told to take, on ports of its own."""
_PORT, _UDP_PORT = "port: 7880", "udp_port: 7882"


@dataclass(frozen=True, slots=True)
class LiveKitServer:
    """A server that listens at `url`; `pid` is its process."""

    url: str
    pid: int

    def token(self, room: str, identity: str, now: float, **rights: bool) -> str:
        """Return a token of this server's key."""
        grant = RoomGrant(room, identity, **rights)  # type: ignore[arg-type]
        return make_livekit_token(KEY, SECRET, grant, now)


@lru_cache(maxsize=1)
def find_server() -> Path | None:
    """Return the program of the server: the one that SPATIUS_SIM_LIVEKIT_SERVER names, or one that was built
    before; None if there is none."""
    named = os.environ.get("SPATIUS_SIM_LIVEKIT_SERVER", "")
    if named:
        return Path(named)
    found = shutil.which("livekit-server")
    return Path(found) if found else None


def require_server() -> Path:
    """Return the program of the server, or skip the test with a reason."""
    pytest.importorskip("livekit.rtc", reason="the extra livekit is not installed")
    program = find_server()
    if program is not None:
        return program
    missing = f"SPATIUS_SIM_LIVEKIT_SERVER names no LiveKit server; `go install {MODULE}` builds one"
    # CI says by an empty value that it could build none.
    built = "SPATIUS_SIM_LIVEKIT_SERVER" in os.environ
    if os.environ.get("SPATIUS_SIM_REQUIRE") == "1" and not built:
        pytest.fail(missing)
    pytest.skip(missing)


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def livekit_server() -> Iterator[LiveKitServer]:
    """Run a server while the block runs; skip the test if there is none."""
    program = require_server()
    port, udp = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "livekit.yaml"
        text = _CONFIGURATION.read_text()
        assert f"{KEY}: {SECRET}" in text
        configuration.write_text(text.replace(_PORT, f"port: {port}").replace(_UDP_PORT, f"udp_port: {udp}"))
        process = subprocess.Popen(
            [str(program), "--config", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(port)
            yield LiveKitServer(f"ws://127.0.0.1:{port}", process.pid)
        finally:
            process.kill()  # It would wait for its rooms otherwise.
            process.wait(10)


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
