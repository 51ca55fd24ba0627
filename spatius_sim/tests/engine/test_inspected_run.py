"""The Motion Server of a run has the inspector's page, which can look and change nothing."""

import asyncio
import json
import re
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from spatius_sim.engine.run_header import header_lines, inspector_url_before_start
from spatius_sim.engine.run_request import make_run_request
from spatius_sim.engine.run_settings import Settings
from spatius_sim.engine.start_run import Run
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.protocol.environment_variables import CONSOLE_VARIABLE

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


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_the_header_of_a_run_says_where_its_sessions_can_be_looked_at(host: str) -> None:
    """With the token where other machines reach the port; they need it."""
    port = free_port()
    options = {"target": "ws://127.0.0.1:1/ws", "motion-host": host, "motion-port": port}
    request = make_run_request(options, {})
    run = Run(request.settings)
    try:
        environment = await asyncio.to_thread(run.open)
        lines = header_lines(request, environment, run.inspector_url)
    finally:
        await asyncio.to_thread(run.close)
    (told,) = [line for line in lines if "its sessions can be looked at" in line]
    url = f"http://127.0.0.1:{port}/_sim/"
    found = re.fullmatch(f"spatius-sim: its sessions can be looked at: {url}(.*)", told)
    assert found is not None
    assert re.fullmatch("" if host == "127.0.0.1" else r"\?token=[\w-]{20,}", found[1])


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:8700/_sim/"), ("0.0.0.0", "")])
def test_before_a_worker_listens_its_token_is_known_to_nobody(host: str, url: str) -> None:
    assert (
        inspector_url_before_start(Settings(motion_port=8700, motion_host=host, target="ws://127.0.0.1:1/ws"))
        == url
    )


def test_the_header_names_both_subjects_of_a_run_that_has_two() -> None:
    request = make_run_request({"target": "ws://127.0.0.1:1", "server": "http://me:canary@h"}, {})
    assert header_lines(request, {}, "")[0].startswith(
        "spatius-sim: judging ws://127.0.0.1:1 and http://...@h, "
    )
