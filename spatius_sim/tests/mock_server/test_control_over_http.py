"""The control interface: sessions, traces, rooms, scenarios, reset; and who may ask."""

import json
from base64 import b64decode
from typing import Any

import aiohttp
import pytest

from spatius_sim.mock_server.control_over_http import OPENAPI
from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.mock_server.session_pages import PREFIX
from spatius_sim.model.scenario.scenario import Scenario
from spatius_sim.model.server.response_pace import Pace
from spatius_sim.net.server.session_log import SessionRecord
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import (
    ConfigureSession,
    ConfirmSession,
    EgressType,
    LiveKitEgress,
    MotionResponse,
)
from spatius_sim.tests.net.talk import talk, utterance

KEY = "an-api-key-of-some-length"
PCM = speech("control", 100_000)


async def ask(
    server: MotionServer, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, server.control_endpoint + path, json=body) as answer,
    ):
        return answer.status, await answer.json()


async def test_sessions_now_and_past_and_their_trace() -> None:
    async with MotionServer(scenario="doubled-response") as server:
        async with talk(server) as session:
            await session.say(*utterance("a", PCM[:64_000]))
            await session.hear_motion()
            status, sessions = await ask(server, "GET", "/sessions")
            assert (status, len(sessions["open"]), sessions["past"]) == (200, 1, [])
            connection_id = sessions["open"][0]["connection_id"]
        _, sessions = await ask(server, "GET", "/sessions")
        assert sessions["open"] == []
        assert sessions["past"][0]["close_code"] == 1000
        status, one = await ask(server, "GET", f"/sessions/{connection_id}")
        assert (status, one) == (200, sessions["past"][0])
        _, trace = await ask(server, "GET", f"/sessions/{connection_id}/trace?raw=1")
    assert trace["whole"]
    events = [event["event"] for event in trace["events"]]
    assert events == [
        "opened",
        "received",
        "sent",
        "received",
        "received",
        "injected",
        "sent",
        "sent",
        "closed",
    ]
    motion = decode(b64decode(trace["events"][6]["raw"]))
    assert isinstance(motion, MotionResponse)
    assert trace["events"][6]["message"]["keyframes"] == f"{len(motion.keyframes)} keyframes"
    assert (trace["events"][5]["kind"], trace["events"][5]["excuses"]) == ("duplicate", "failure")


async def test_a_room_can_be_looked_at() -> None:
    room = LiveKitEgress("wss://r", "a-key", "a-secret", room_name="room-1", publisher_id="avatar")
    asked = ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=room)
    async with MotionServer() as server, talk(server, asked) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(*utterance("a", PCM), ConfigureSession(16000))
        await session.hear()
        _, rooms = await ask(server, "GET", "/rooms")
        _, trace = await ask(server, "GET", "/sessions/upstream-1/trace?raw=1")
    assert rooms["room-1"]["publishers"] == ["avatar"]
    request = {"audio_bytes": len(PCM), "audio_ended": True, "keyframes": 156, "motion_ended": True}
    [(req_id, shown)] = rooms["room-1"]["requests"].items()
    assert req_id == "a"
    assert shown.items() >= request.items()
    assert shown["playback"] in ("waiting", "playing")
    assert "a-secret" not in json.dumps(trace)
    assert "a-secret" not in str([b64decode(event.get("raw", "")) for event in trace["events"]])


async def test_a_key_in_the_place_of_an_app_id_is_not_told() -> None:
    async with MotionServer() as server, aiohttp.ClientSession() as http:
        asked = http.post(f"{server.console_endpoint}/session-tokens", headers={"X-Api-Key": KEY}, json={})
        async with asked as answer:
            assert answer.status == 400
        server.journal.add_session(SessionRecord("upstream-1", "id", KEY, "avatar", 0.0))
        for path in ("/sessions", "/sessions/id"):
            assert KEY not in json.dumps(await ask(server, "GET", path))


async def test_a_scenario_for_the_next_connections_and_a_reset() -> None:
    own = "about: mine\nfaults:\n- when: response\n  what: [empty-motion]\n"
    async with MotionServer() as server:
        assert (await ask(server, "GET", "/scenario"))[1]["name"] == "none"
        status, playing = await ask(server, "PUT", "/scenario", {"yaml": own})
        assert (status, playing["about"]) == (200, "mine")
        async with talk(server) as session:
            await session.say(*utterance("a", PCM[:64_000]))
            assert [len(response.keyframes) for response in await session.hear_motion()] == [0]
            assert (await ask(server, "POST", "/reset"))[1]["name"] == "none"
            assert await session.hear() is None
        _, sessions = await ask(server, "GET", "/sessions")
        assert sessions == {"open": [], "past": []}
        assert (await ask(server, "PUT", "/scenario", {"name": "no-motion"}))[1]["name"] == "no-motion"
        assert (await ask(server, "DELETE", "/scenario"))[1]["name"] == "none"
        assert (await ask(server, "PUT", "/scenario", {"name": "none"}))[0] == 200
        _, listed = await ask(server, "GET", "/scenarios")
        assert {"none", "credits-exhausted"} <= {scenario["name"] for scenario in listed}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"name": "../secret"}, "no scenario is named"),
        ({"name": "/etc/passwd.yaml"}, "no scenario is named"),
        ({"yaml": "about: x\nfaults:\n- when: noon\n  what: [reset]"}, "yaml:3: at: 'noon'"),
        ({"yaml": "\ud800"}, "is unknown here"),
        ([], "the body must be"),
    ],
)
async def test_what_is_wrong_is_told(body: Any, told: str) -> None:
    async with MotionServer() as server:
        status, answer = await ask(server, "PUT", "/scenario", body)
    assert status == 400
    assert told in answer["error"]


async def test_what_is_unknown_is_a_404() -> None:
    async with MotionServer() as server:
        assert (await ask(server, "GET", "/sessions/nobody"))[0] == 404
        assert (await ask(server, "GET", "/sessions/nobody/trace"))[0] == 404


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "[::"}],
)
async def test_only_this_machine_may_ask(headers: dict[str, str]) -> None:
    async with MotionServer() as server:
        assert (await ask(server, "GET", "/sessions", **headers))[0] == 403
        assert (await ask(server, "GET", "/sessions", Origin=f"http://localhost:{server.port}"))[0] == 200


async def test_the_document_describes_every_route() -> None:
    document = json.loads(OPENAPI.read_text())
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    async with MotionServer() as server:
        assert (await ask(server, "GET", "/openapi.json"))[1] == document
        assert server._app_runner is not None
        resources = [r for r in server._app_runner.app.router.resources() if r.canonical.startswith(PREFIX)]
        served = {
            (route.method.lower(), resource.canonical.removeprefix(PREFIX))
            for resource in resources
            for route in resource
        }
    assert described == served


async def test_names_and_values_are_taken() -> None:
    none = Scenario("mine", "nothing")
    assert MotionServer(scenario=none, pace=Pace(1)).scenario is none
    server = MotionServer(pace="realtime")
    assert server.pace.latency > 0
    server.play_named("no-motion")
    assert server.scenario.name == "no-motion"
    assert set(server.environment) == {"SPATIUS_CONSOLE_ENDPOINT", "SPATIUS_INGRESS_ENDPOINT"}
    wrongs: list[dict[str, Any]] = [{"pace": "slow"}, {"scenario": "nobody"}]
    wrongs.append({"livekit": True, "container": "box"})
    for wrong in wrongs:
        with pytest.raises(UsageError):
            MotionServer(**wrong)
