"""Session tokens at the second access, where the Server SDK of an older generation asks for them."""

import time
from pathlib import Path

import aiohttp

from spatius_sim.engine.tapes.write_proxy_tape import recording_proxy
from spatius_sim.model.scenario.scenario import Fault, Moment, Refuse, Scenario, When
from spatius_sim.model.server.access_control import AccessControl
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.engine.tapes.test_replay_tape import script
from spatius_sim.trace.events import Lane, Opened, TokenRequested

KEY = "canary-of-the-api-key-0123456789"


async def knock(console_endpoint: str, key: str = KEY) -> tuple[int, dict[str, object]]:
    """What the second door of a Motion Server answers, status and body."""
    url = console_endpoint.removesuffix("/v1/console") + "/v1/auth/session-token"
    body = {"expireAt": int(time.time()) + 60}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, headers={"X-Api-Key": key}, json=body) as answer,
    ):
        return answer.status, await answer.json()


async def enter(console: str, ingress: str, token: str) -> None:
    """A session with that token; raises UnreachableError if it is refused."""
    async with UpstreamClient(console, ingress, api_key="", app_id="app", avatar_id="avatar", token=token):
        pass


async def test_its_token_opens_a_session() -> None:
    async with SocketMotionServer() as server:
        status, said = await knock(server.console_endpoint)
        assert (status, list(said)) == (200, ["session_token"])
        await enter(server.console_endpoint, server.ingress_endpoint, str(said["session_token"]))


async def test_it_refuses_as_the_first_one_does() -> None:
    denies = Scenario("test", "test", (Fault(When(Moment.TOKEN), (Refuse(402),)),))
    async with SocketMotionServer(access=AccessControl(frozenset({KEY}))) as server:
        status, said = await knock(server.console_endpoint, "another")
        assert (status, list(said)) == (401, ["errors"])
        server.play(denies)
        assert (await knock(server.console_endpoint))[0] == 402


async def test_a_replayed_tape_has_it_too(tmp_path: Path) -> None:
    async with ReplayServer(script(tmp_path), ReplayOptions()) as server:
        _, said = await knock(server.console_endpoint)
        await enter(server.console_endpoint, server.ingress_endpoint, str(said["session_token"]))


async def test_a_proxy_passes_it_on_and_learns_the_token(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    async with SocketMotionServer() as server:
        upstream = (f"http://127.0.0.1:{server.port}",)
        async with recording_proxy(upstream, path, keep_audio=True, keep_names=True) as (proxy, _):
            _, said = await knock(proxy.console_endpoint)
            token = str(said["session_token"])
            await enter(proxy.console_endpoint, proxy.ingress_endpoint, token)
    (trace,) = read_traces(path)
    [asked] = [
        event.content for event in trace.on_lane(Lane.CONSOLE) if isinstance(event.content, TokenRequested)
    ]
    [opened] = [event.content for event in trace.on_lane(Lane.UPSTREAM) if isinstance(event.content, Opened)]
    assert asked.status == 200
    assert asked.token == opened.token != ""
    for secret in (token, KEY):
        assert secret.encode() not in path.read_bytes()
