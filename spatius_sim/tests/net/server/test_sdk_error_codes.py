"""The table: our Motion Server drives the published Server SDK into each of its 19 error codes."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.tests.net.server.sdk_cases import CASES

pytest.importorskip("spatius")

SCRIPT = Path(__file__).with_name("sdk_errors.py")


async def meet_all() -> list[dict[str, Any]]:
    jobs = []
    async with AsyncExitStack() as stack:
        for case in CASES.values():
            server = SocketMotionServer(scenario=case.scenario)
            await stack.enter_async_context(server)
            endpoints = {"console": server.console_endpoint, "ingress": server.ingress_endpoint}
            jobs.append(endpoints | dict(case.job))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaints = await asyncio.wait_for(process.communicate(json.dumps(jobs).encode()), 80)
    assert process.returncode == 0, complaints.decode()
    met: list[dict[str, Any]] = json.loads(printed)
    return met


@pytest.fixture(scope="module")
def met() -> dict[str, dict[str, Any]]:
    return dict(zip(CASES, asyncio.run(meet_all()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_sdk_tells_what_happened(name: str, met: dict[str, dict[str, Any]]) -> None:
    case, told = CASES[name], met[name]
    assert told["code"] == case.code, told
    if case.phase:
        assert told["phase"] == case.phase
        assert told["http_status"] == case.status
        assert told["close_code"] == case.close
    if case.server is not None:
        assert told["server_code"] == case.server


def test_the_table_holds_every_code_of_the_sdk() -> None:
    from spatius import AvatarSDKErrorCode

    assert {code.value for code in AvatarSDKErrorCode} <= {case.code for case in CASES.values()}
    assert len(AvatarSDKErrorCode) == 19
