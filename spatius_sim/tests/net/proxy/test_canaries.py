"""No secret of a run stands in what a proxy or a mock Motion Server keeps, however it is written there."""

import asyncio
import json
from base64 import b64decode, b64encode
from pathlib import Path

import aiohttp
import pytest

from spatius_sim.engine.tapes.write_proxy_tape import recording_proxy
from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import (
    AgoraEgress,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    Message,
)
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests import canaries
from spatius_sim.tests.canaries import artefacts_of, forms, leaks
from spatius_sim.tests.net.talk import talk
from spatius_sim.tests.net.telltale_server import telltale
from spatius_sim.trace.events import Closed, Received, Refused, Sent

SECONDS = 20.0
LIVEKIT = ConfigureSession(
    16000,
    egress_type=EgressType.LIVEKIT,
    livekit_egress=LiveKitEgress(
        f"wss://user:{canaries.URL_PASSWORD}@room.example/x?access_token={canaries.URL_QUERY}",
        canaries.LIVEKIT_KEY,
        canaries.LIVEKIT_SECRET,
        "",
        "room",
        "publisher",
        (("authToken", canaries.ATTRIBUTE), ("colour", "light-blue")),
    ),
    extra_params=(("apiSecret", canaries.EXTRA), ("voice", "soft-spoken")),
)
LIVEKIT_BY_TOKEN = ConfigureSession(
    16000,
    egress_type=EgressType.LIVEKIT,
    livekit_egress=LiveKitEgress("wss://room.example", api_token=canaries.LIVEKIT_TOKEN, room_name="room"),
)
AGORA = ConfigureSession(
    16000, egress_type=EgressType.AGORA, agora_egress=AgoraEgress("channel", canaries.AGORA_TOKEN, 7)
)
EGRESS_SECRETS = {
    "LiveKit key": canaries.LIVEKIT_KEY,
    "LiveKit secret": canaries.LIVEKIT_SECRET,
    "LiveKit token": canaries.LIVEKIT_TOKEN,
    "password in livekit.url": canaries.URL_PASSWORD,
    "query of livekit.url": canaries.URL_QUERY,
    "attribute": canaries.ATTRIBUTE,
    "extra parameter": canaries.EXTRA,
    "Agora token": canaries.AGORA_TOKEN,
}
LOGIN_SECRETS = {
    "API key": canaries.API_KEY,
    "session token": canaries.SESSION_TOKEN,
    "bearer": canaries.BEARER,
    "password": canaries.PASSWORD,
    "cookie": canaries.COOKIE,
}
SECRETS = LOGIN_SECRETS | EGRESS_SECRETS
HEADERS = {
    "X-Session-Key": canaries.SESSION_TOKEN,
    "X-App-ID": "app",
    "X-Api-Key": canaries.API_KEY,
    "Authorization": f"Bearer {canaries.BEARER}",
    "Proxy-Authorization": "Basic " + b64encode(f"user:{canaries.PASSWORD}".encode()).decode(),
    "Cookie": f"colour=blue; session={canaries.COOKIE}",
}


async def converse(base: str, avatar: str, messages: tuple[Message, ...], path: str = "") -> int:
    """The status of an upgrade with every login; where it is open, what is said is answered to its end."""
    url = f"{base}/v2/driveningress/websocket?id={avatar}{path}"
    async with aiohttp.ClientSession() as http, asyncio.timeout(SECONDS):
        try:
            async with http.ws_connect(url, headers=HEADERS) as socket:
                for message in messages:
                    await socket.send_bytes(encode(message))
                async for _ in socket:
                    pass
            return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def recorded(out: Path, told: list[str], avatars: list[str], *messages: Message) -> None:
    """A tape of a session with each avatar, at a Motion Server that repeats these texts."""
    async with (
        telltale(canaries.SESSION_TOKEN, told) as base,
        recording_proxy((base,), out, keep_names=True) as (proxy, _),
    ):
        at = f"http://127.0.0.1:{proxy.port}"
        async with aiohttp.ClientSession() as http:
            asked = http.post(f"{at}/v1/console/session-tokens", json={"expireAt": 1}, headers=HEADERS)
            async with asked as answer:
                assert answer.status == 200
        for avatar in avatars:
            await converse(at, avatar, messages)


def what_is_on(path: Path) -> list[object]:
    (trace,) = read_traces(path)
    return [event.content for event in trace.events]


async def test_a_refusal_that_repeats_the_logins(tmp_path: Path) -> None:
    told = [text for secret in LOGIN_SECRETS.values() for text in forms(secret).values()]
    await recorded(tmp_path / "a.tape", told, ["refused"])
    [refused] = [what for what in what_is_on(tmp_path / "a.tape") if isinstance(what, Refused)]
    assert refused.status == 403
    assert leaks(LOGIN_SECRETS, artefacts_of(tmp_path / "a.tape")) == []


async def test_close_reasons_that_repeat_the_logins(tmp_path: Path) -> None:
    told = [text for secret in LOGIN_SECRETS.values() for text in forms(secret).values() if len(text) < 124]
    avatars = [str(number) for number in range(len(told))]
    await recorded(tmp_path / "a.tape", told, avatars, LIVEKIT)
    closed = [what for what in what_is_on(tmp_path / "a.tape") if isinstance(what, Closed)]
    assert [what.code for what in closed] == [4001] * len(told)
    assert leaks(LOGIN_SECRETS, artefacts_of(tmp_path / "a.tape")) == []


async def test_errors_that_repeat_the_credentials_of_an_egress(tmp_path: Path) -> None:
    told = [text for secret in SECRETS.values() for text in forms(secret).values()]
    await recorded(tmp_path / "a.tape", told, ["0"], LIVEKIT, LIVEKIT_BY_TOKEN, AGORA)
    seen = what_is_on(tmp_path / "a.tape")
    assert sum(isinstance(what, Sent) for what in seen) >= 2
    assert leaks(SECRETS, artefacts_of(tmp_path / "a.tape")) == []
    [configured] = [what.value for what in seen if isinstance(what, Received)][:1]
    assert isinstance(configured, ConfigureSession) and configured.livekit_egress is not None
    assert dict(configured.livekit_egress.extra_attributes)["colour"] == "light-blue"
    assert dict(configured.extra_params)["voice"] == "soft-spoken"


@pytest.mark.parametrize("configure", [LIVEKIT, AGORA], ids=["LiveKit", "Agora"])
async def test_the_trace_of_a_session_that_anybody_on_this_machine_may_ask_for(
    configure: ConfigureSession,
) -> None:
    texts = [text for secret in EGRESS_SECRETS.values() for text in forms(secret).values()]
    async with MotionServer() as server, talk(server, configure) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(*(Interrupt(text) for text in texts), ConfigureSession(16000))
        await session.hear()
        answers = {}
        async with aiohttp.ClientSession() as http:
            for question in ("/sessions", "/rooms", "/sessions/upstream-1/trace?raw=1"):
                async with http.get(server.control_endpoint + question) as answer:
                    answers[question] = await answer.read()
    events = json.loads(answers["/sessions/upstream-1/trace?raw=1"])["events"]
    answers["raw"] = b"\n".join(b64decode(event.get("raw", "")) for event in events)
    told = {kind: secret for kind, secret in EGRESS_SECRETS.items() if secret.encode() in encode(configure)}
    assert leaks(told, answers) == []
