"""Builds the Go reader outside this tree, and takes it through trips, each in a process of its own."""

import asyncio
import json
import os
import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.tests.client_js.running import program

SOURCE = Path(__file__).parent
SECONDS = 60.0


@dataclass(frozen=True)
class Met:
    """What one trip met, in the order in which it came."""

    name: str
    connection_id: str
    req_ids: list[str]
    events: list[dict[str, Any]]
    disagreements: list[str]

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def payloads(self) -> list[bytes]:
        return [b64decode(event["payload"]) for event in self.motion()]

    def motion(self, req_id: str | None = None) -> list[dict[str, Any]]:
        """All payloads, or those of one request."""
        payloads = [event for event in self.events if event["event"] == "payload"]
        return [event for event in payloads if req_id in (None, event["req_id"])]

    @property
    def told(self) -> dict[str, Any]:
        """The first thing that an application is told."""
        return next(event for event in self.events if event["event"] == "told")


def go(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the go command on the sources; nothing is fetched."""
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOPROXY": "off"}
    command = [program("go"), *arguments]
    return subprocess.run(
        command, cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=3 * SECONDS
    )


def built(folder: Path) -> Path:
    """The program. Skipped where Go or its two modules are not here, or failed where they are required."""
    fetched = go("mod", "download")
    if fetched.returncode:
        missing = f"the reader's modules are not here (`go mod download` in {SOURCE.name}): {fetched.stderr}"
        pytest.fail(missing) if os.environ.get("SPATIUS_SIM_REQUIRE") == "1" else pytest.skip(missing)
    made = go("build", "-o", str(folder / "reader"), ".")
    assert made.returncode == 0, made.stderr
    return folder / "reader"


def turn(audio: bytes, *, interrupt: bool = False, req_id: str = "") -> dict[str, Any]:
    return {"audio": b64encode(audio).decode(), "interrupt": interrupt, "req_id": req_id}


async def travel(reader: Path, server: SocketMotionServer, *turns: dict[str, Any], **job: Any) -> Met:
    """One trip; `job` is what main.go reads."""
    (met,) = await travel_together(reader, server, [{"turns": turns} | job])
    return met


async def travel_together(reader: Path, server: SocketMotionServer, jobs: list[dict[str, Any]]) -> list[Met]:
    """All trips at once, as they end."""
    common = {
        "console": server.console_endpoint,
        "ingress": server.ingress_endpoint.replace("ws:", "http:"),
        "app_id": "sim-app",
        "avatar_id": "sim-avatar",
    }
    process = await asyncio.create_subprocess_exec(
        str(reader),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    asked = "\n".join(json.dumps(common | job) for job in jobs)
    try:
        printed, complaints = await asyncio.wait_for(process.communicate(asked.encode()), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complaints.decode()
    return [Met(**json.loads(line)) for line in printed.splitlines()]
