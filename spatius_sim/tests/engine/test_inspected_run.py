"""The Motion Server of a run has the inspector's page, which can look and change nothing."""

import asyncio
import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from spatius_sim.engine.merge_options import request_of
from spatius_sim.engine.run_environment import Run
from spatius_sim.engine.run_header import header_lines
from spatius_sim.engine.settings import Settings
from spatius_sim.net.free_ports import free_port
from spatius_sim.protocol.environment import CONSOLE_VARIABLE

SECONDS = 20


async def test_a_run_can_be_looked_at_and_not_disturbed() -> None:
    run = Run(Settings(target="ws://127.0.0.1:1/ws", motion_port=free_port()))
    try:
        console = await asyncio.to_thread(run.open)
        base = console[CONSOLE_VARIABLE].removesuffix("/v1/console")
        with await asyncio.to_thread(urlopen, f"{base}/_sim/page", timeout=SECONDS) as answer:
            assert json.loads(answer.read())["server"] == {"plays": False}
        with await asyncio.to_thread(urlopen, f"{base}/_sim/", timeout=SECONDS) as answer:
            assert "Motion Server, live" in answer.read().decode()
        with pytest.raises(HTTPError, match="409"):
            await asyncio.to_thread(urlopen, Request(f"{base}/_sim/reset", method="POST"), timeout=SECONDS)
    finally:
        await asyncio.to_thread(run.close)


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_the_header_of_a_run_says_where_its_sessions_can_be_looked_at(host: str, told: bool) -> None:
    request = request_of({"target": "ws://127.0.0.1:1/ws", "motion-host": host}, {})
    lines = header_lines(request, {CONSOLE_VARIABLE: "http://127.0.0.1:8700/v1/console"})
    assert ("spatius-sim: its sessions can be looked at: http://127.0.0.1:8700/_sim/" in lines) == told
