"""Motion Server on its port: pace, egress, slow peers, Direct Mode and bounds."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from urllib.parse import urlencode

import aiohttp
import pytest

from spatius_sim.files.scenario_file import shipped_scenario
from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    Fault,
    FaultAction,
    GrowTo,
    Moment,
    Reorder,
    Scenario,
    When,
)
from spatius_sim.model.server.access_control import AccessControl
from spatius_sim.model.server.price_plan_limits import SessionPlan
from spatius_sim.model.server.response_pace import Pace
from spatius_sim.model.server.send_responses import RESOURCE_EXHAUSTED, Limits
from spatius_sim.model.server.session_tokens import SessionToken, issue_token
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import SESSION_TOKENS_PATH, WEBSOCKET_PATH
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    ServerError,
)
from spatius_sim.tests.net.talk import SECONDS, talk, utterance
from spatius_sim.trace.events import LEFT_BEFORE_ANSWER, Lane, Published, Refused, TraceHeader, Undecodable

PCM = speech("motion server", 100_000)
LIVEKIT = LiveKitEgress("wss://room.example", "key", "secret-of-a-room", room_name="room-1", idle_timeout=0)


def at_response(*what: FaultAction, number: int = 0) -> Scenario:
    return Scenario("test", "test", (Fault(When(Moment.RESPONSE, number=number), what),))


async def test_a_pace_holds_the_first_response_back() -> None:
    async with SocketMotionServer(pace=Pace(latency=0.3)) as server, talk(server) as session:
        begun = time.monotonic()
        await session.say(*utterance("a", PCM))
        responses = await session.hear_motion()
        assert time.monotonic() - begun >= 0.3
    assert [len(response.keyframes) for response in responses] == [50, 100, 6]


async def test_reordered_responses_all_come() -> None:
    async with (
        SocketMotionServer(scenario=at_response(Reorder(), number=1)) as server,
        talk(server) as session,
    ):
        await session.say(*utterance("a", PCM))
        heard = [await session.hear() for _ in range(3)]
    assert [len(m.keyframes) for m in heard if isinstance(m, MotionResponse)] == [100, 50, 6]


async def test_a_payload_may_have_any_size() -> None:
    async with SocketMotionServer(scenario=at_response(GrowTo(1_000_000))) as server, talk(server) as session:
        await session.say(*utterance("a", PCM[:6400]))
        assert [len(response.keyframes) for response in await session.hear_motion()] == [5]


async def test_a_close_without_a_code_has_none() -> None:
    async with SocketMotionServer(scenario=at_response(CloseWith())) as server, talk(server) as session:
        await session.say(*utterance("a", PCM[:6400]))
        assert await session.hear() is None
        assert session.client.close_code == 1005


@pytest.mark.parametrize("name", ["truncated-frame", "mid-turn-reset"])
async def test_a_frame_that_never_ends_is_an_abnormal_close(name: str) -> None:
    async with SocketMotionServer(scenario=shipped_scenario(name)) as server, talk(server) as session:
        await session.say(*utterance("a", PCM))
        assert isinstance(await session.hear(), MotionResponse)
        assert await session.hear() is None
        assert session.client.close_code == 1006


async def test_a_text_message_comes() -> None:
    async with (
        SocketMotionServer(scenario=shipped_scenario("text-message")) as server,
        talk(server) as session,
    ):
        await session.say(*utterance("a", PCM))
        assert isinstance(await session.hear(), MotionResponse)
        assert isinstance(await session.hear(), Undecodable)


async def test_only_the_first_try_fails() -> None:
    async with SocketMotionServer(scenario=shipped_scenario("second-try")) as server:
        with pytest.raises(UnreachableError, match="HTTP 503"):
            async with talk(server):
                pass
        async with talk(server) as session:
            await session.say(*utterance("a", PCM[:640]))
            assert await session.hear_motion()


async def test_an_egress_session_is_silent_and_its_room_is_not() -> None:
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("server", "", 0, "", ""))
    asked = ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=LIVEKIT)
    async with SocketMotionServer(sink=recorder) as server, talk(server, asked) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(*utterance("a", PCM), AudioInput("b", PCM), Interrupt("b"), AudioInput("b", PCM))
        refused = await session.hear()
        room = server.rooms.by_name["room-1"]
        assert isinstance(refused, ServerError)
        assert refused.message == "request is already interrupted"
        assert room.requests["a"].audio_bytes == len(PCM)
        assert (room.requests["a"].keyframes, room.requests["a"].motion_ended) == (156, True)
        assert not room.requests["b"].motion_ended
    trace = recorder.finish()
    published = [
        event.content for event in trace.on_lane(Lane.EGRESS) if isinstance(event.content, Published)
    ]
    assert sum(isinstance(what.value, MotionResponse) for what in published) == 5
    assert "secret-of-a-room" not in repr(trace)


async def test_an_idle_egress_session_is_told_and_closed() -> None:
    asked = ConfigureSession(
        16000,
        egress_type=EgressType.LIVEKIT,
        livekit_egress=LiveKitEgress("wss://r", "key", "secret", room_name="r", idle_timeout=1),
    )
    async with SocketMotionServer() as server, talk(server, asked) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        told = await session.hear()
        assert isinstance(told, ServerError)
        assert told.message == "no audio input for 1 seconds"
        assert await session.hear() is None
        assert session.client.close_code == 1000
        assert server.rooms.by_name["r"].publishers == []


async def test_an_unavailable_room_is_14() -> None:
    agora = AgoraEgress("unavailable-1", publisher_id="p")
    asked = ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=agora)
    async with SocketMotionServer() as server, talk(server, asked) as session:
        refused = await session.hear()
        assert isinstance(refused, ServerError)
        assert refused.code == 14
        assert await session.hear() is None


async def test_what_waits_to_be_sent_is_bounded() -> None:
    server = SocketMotionServer(pace=Pace(latency=60), limits=Limits(held_bytes=40_000))
    async with server, talk(server) as session:
        await session.say(*utterance("a", PCM))
        told = await session.hear()
        assert isinstance(told, ServerError)
        assert told.code == RESOURCE_EXHAUSTED
        assert await session.hear() is None


async def test_a_slow_reader_is_ended_and_delays_nobody() -> None:
    recorder = RealTimeRecorder()
    scenario = at_response(GrowTo(900_000))
    async with SocketMotionServer(sink=recorder, scenario=scenario, most_unread=1_000_000) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        token = issue_token(SessionToken(int(time.time()) + 60, ""), "n")
        query = urlencode({"id": "slow-reader", "appId": "sim-app", "sessionKey": token}).replace(
            "slow-", "a-"
        )
        upgrade = f"GET {WEBSOCKET_PATH}?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        upgrade += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        writer.write(f"{upgrade}AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
        writer.write(_masked(encode(ConfigureSession(16000))))
        for number in range(40):
            writer.write(_masked(encode(AudioInput(f"r{number}", PCM[:640], True))))
        async with talk(server) as session:
            await session.say(*utterance("a", PCM[:6400]))
            assert await session.hear_motion()
        await until(recorder, lambda: bool(server.journal.past_sessions) and not server.journal.open_sessions)
        slow = server.journal.find_session("upstream-1")
        assert slow is not None
        assert slow.closed_by_us
        writer.close()
        with contextlib.suppress(OSError):
            await reader.read()


async def test_slow_headers_are_cut_off_and_others_are_not() -> None:
    async with SocketMotionServer(header_seconds=0.2) as server, talk(server) as session:
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(slow, b"POST / HTTP/1.1\r\nX-Slow: ")
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(loop.sock_recv(slow, 10), SECONDS) == b""
        await session.say(*utterance("a", PCM[:640]))
        assert await session.hear_motion()


async def test_who_was_in_time_is_served_though_the_server_paused() -> None:
    async with SocketMotionServer(header_seconds=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(10):
            await asyncio.sleep(0)  # The server takes the connection.
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)
        assert b"404" in await asyncio.wait_for(reader.readline(), SECONDS)
        writer.close()


@pytest.mark.parametrize("path", [SESSION_TOKENS_PATH, "/bootstrap"])
async def test_who_leaves_in_the_middle_of_a_body_is_no_error(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with SocketMotionServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        lines = [f"POST {path} HTTP/1.1", "Host: a", "Content-Length: 9", "Expect: 100-continue", "", ""]
        writer.write("\r\n".join(lines).encode())
        assert await asyncio.wait_for(reader.readline(), SECONDS) == b"HTTP/1.1 100 Continue\r\n"
        writer.close()
        await writer.wait_closed()
        async with talk(server) as session:
            await session.say(*utterance("a", PCM[:640]))
            assert await session.hear_motion()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_body_is_bounded() -> None:
    async with SocketMotionServer() as server, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{server.port}{SESSION_TOKENS_PATH}"
        async with http.post(url, data=b" " * 1_000_000) as answer:
            assert answer.status == 413


async def test_direct_mode_gets_a_region_and_comes_in_with_a_query() -> None:
    async with SocketMotionServer() as server, aiohttp.ClientSession() as http:
        root = f"http://127.0.0.1:{server.port}"
        async with http.post(f"{root}/bootstrap", json={"app_id": "a", "region": "auto"}) as answer:
            assert (await answer.json())["region"] == {"current": "us-west"}
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        async with http.options(f"{root}/bootstrap") as answer:
            assert answer.status == 204
        token = issue_token(SessionToken(int(time.time()) + 60, ""), "n")
        query = urlencode({"id": "a", "appId": "sim-app", "sessionKey": token})
        async with http.ws_connect(f"{root}{WEBSOCKET_PATH}?{query}") as ws:
            await ws.send_bytes(encode(ConfigureSession(48000)))
            assert isinstance((await ws.receive()).data, bytes)
        async with http.get(f"{root}{WEBSOCKET_PATH}?{query}") as answer:
            assert answer.status == 426


async def test_keys_and_tokens_with_a_meaning() -> None:
    async with SocketMotionServer(access=AccessControl()) as server, aiohttp.ClientSession() as http:
        headers = {"X-Api-Key": "revoked-key"}
        body = {"expireAt": int(time.time()) + 60}
        async with http.post(
            f"{server.console_endpoint}/session-tokens", headers=headers, json=body
        ) as answer:
            assert answer.status == 401
        url = f"http://127.0.0.1:{server.port}{WEBSOCKET_PATH}?id=a&appId=b&sessionKey=expired-1"
        async with http.get(url) as answer:
            assert (answer.status, await answer.json()) == (401, {"message": "session token expired"})


async def test_a_stall_ends_with_the_server() -> None:
    recorder = RealTimeRecorder()
    async with SocketMotionServer(sink=recorder, scenario=shipped_scenario("ingress-silent")) as server:
        url = f"http://127.0.0.1:{server.port}{WEBSOCKET_PATH}"
        async with aiohttp.ClientSession() as http:
            asking = asyncio.create_task(http.get(url))
            await until(recorder, lambda: any(server.journal.session_events("upstream-1")))
            await server.__aexit__(None, None, None)
            with pytest.raises(aiohttp.ClientError):
                await asking


async def test_who_leaves_before_the_upgrade_is_answered_is_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("server", "", 1, "", ""))
    slow = Scenario("test", "test", (Fault(When(Moment.UPGRADE), (Delay(0.2),)),))
    async with SocketMotionServer(sink=recorder, scenario=slow) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        token = issue_token(SessionToken(int(time.time()) + 60, ""), "n")
        query = urlencode({"id": "a", "appId": "sim-app", "sessionKey": token})
        writer.write(f"GET {WEBSOCKET_PATH}?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await until(recorder, lambda: bool(recorder.events))
        writer.close()
        await until(recorder, lambda: isinstance(recorder.events[-1].content, Refused))
    assert recorder.events[-1].content == Refused(0, LEFT_BEFORE_ANSWER, "token#1")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_taken_port_is_a_usage_error() -> None:
    async with SocketMotionServer() as server:
        with pytest.raises(UsageError, match="is in use"):
            await SocketMotionServer(port=server.port).__aenter__()


async def until(recorder: RealTimeRecorder, condition: Callable[[], bool]) -> None:
    """Wait until this holds, looking again whenever something has happened."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            recorder.changed.clear()
            await recorder.changed.wait()


def _masked(raw: bytes) -> bytes:
    """A client's binary frame; with a key of zeros the bytes stay as they are."""
    return b"\x82\xfe" + len(raw).to_bytes(2) + bytes(4) + raw


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \xff\xfe", b"426"),
        (b"Sec-WebSocket-Version: \xb9\xb3\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"426"),
        (b"Expect: \xff", b"417"),
    ],
    ids=["key", "version", "expect"],
)
async def test_letters_outside_ascii_in_a_handshake_are_refused_without_a_traceback(
    header: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with SocketMotionServer() as server:
            token = issue_token(SessionToken(int(time.time()) + 60, ""), "n")
            query = urlencode({"id": "a", "appId": "sim-app", "sessionKey": token})
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            upgrade = b"Upgrade: websocket\r\nConnection: Upgrade"
            head = f"GET {WEBSOCKET_PATH}?{query} HTTP/1.1\r\nHost: x\r\n".encode()
            writer.write(b"\r\n".join((head + upgrade, header, b"", b"")))
            assert (await reader.read(64)).split()[1] == status
            writer.close()
            await writer.wait_closed()
    assert not caplog.records


async def test_sessions_are_counted_and_one_too_many_is_closed_with_4003() -> None:
    asked = ConfigureSession(16000)
    server = SocketMotionServer(plan=SessionPlan(max_sessions=1))
    async with server, talk(server), talk(server, asked) as second:
        told = await second.hear()
        assert isinstance(told, ServerError)
        assert told.code == 4003
        assert await second.hear() is None
        assert second.client.close_code == 4003


async def answer_to(server: SocketMotionServer, request: bytes) -> bytes:
    """The first line of the answer to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    line = await asyncio.wait_for(reader.readline(), SECONDS)
    writer.close()
    return line


@pytest.mark.parametrize("path", [b"/v2/driveningress/websocket", b"/v1/console/session-tokens", b"/nowhere"])
@pytest.mark.parametrize("expectation", [b"\xc3\xa9\xff", b"200-ok"])
async def test_an_expectation_that_nobody_knows_is_refused(path: bytes, expectation: bytes) -> None:
    async with SocketMotionServer() as server:
        request = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nExpect: " + expectation + b"\r\n\r\n"
        assert b" 417 " in await answer_to(server, request) or b"console" in path


async def test_a_client_that_waits_for_100_is_told_to_go_on() -> None:
    head = b"POST /v1/console/session-tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    head += b"Expect: 100-continue\r\n\r\n"
    async with SocketMotionServer() as server:
        assert b" 100 " in await answer_to(server, head)


async def test_telemetry_of_a_server_sdk_is_taken_and_forgotten() -> None:
    async with SocketMotionServer() as server, aiohttp.ClientSession() as http:
        for signal in ("traces", "metrics"):
            url = f"http://127.0.0.1:{server.port}/v1/{signal}"
            headers = {"Content-Type": "application/x-protobuf"}
            async with http.post(url, data=b"\x0a\x00", headers=headers) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
            async with http.post(url, json={"resourceSpans": []}) as answer:
                assert await answer.json() == {}
    assert server.unknown_paths == []


def test_an_unknown_capability_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no capability is named 'playback'"):
        SocketMotionServer(capabilities=("playback",))


async def test_an_unknown_path_is_told_once_and_a_wrong_method_is_405() -> None:
    told: list[str] = []
    async with SocketMotionServer() as server:
        server.on_unknown_path = told.append
        for _ in range(2):
            assert b" 404 " in await answer_to(server, b"GET /v1/other HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 405 " in await answer_to(
            server, b"GET /v1/console/session-tokens HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        for number in range(100):
            await answer_to(server, b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    assert told[0] == "GET /v1/other"
    assert len(told) == len(set(told)) == 20
