"""The recording proxy: bytes pass untouched, every session is told, and no secret reaches any artefact."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from websockets.asyncio.server import ServerConnection, serve

from spatius_sim.cli.show_tape import TapeFilter, show_tape
from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.engine.tapes.write_proxy_tape import ProxyTape, proxy_header, recording_proxy
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.proxy.proxy import RecordingProxy
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.protocol.messages import AgoraEgress, AudioInput, ConfigureSession, EgressType, LiveKitEgress
from spatius_sim.reporting.formats.json_report import json_report
from spatius_sim.reporting.report import report_of
from spatius_sim.reporting.summary import exit_code
from spatius_sim.tape.compare_tapes import compare_tapes
from spatius_sim.tape.repair_tape import repair
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.rules.traces import voice
from spatius_sim.trace.events import (
    Closed,
    Injected,
    Opened,
    Received,
    Refused,
    Sent,
    TokenRequested,
    Trace,
    TraceHeader,
)

KEY = "canary-of-the-api-key-0123456789"
SPEECH = voice("a long sentence", 3 * 16000)
SECONDS = 20.0


@dataclass
class Spoken:
    token: str
    sent: list[bytes]
    heard: list[str | bytes]


async def speak(
    proxy: RecordingProxy,
    *,
    pcm: bytes = SPEECH,
    configure: ConfigureSession | None = None,
    app_id: str = "canary-app",
    avatar_id: str = "canary-avatar",
) -> Spoken:
    """A whole session of a Server SDK."""
    client = UpstreamClient(
        proxy.console_endpoint,
        proxy.ingress_endpoint,
        api_key=KEY,
        app_id=app_id,
        avatar_id=avatar_id,
        expire_at=int(time.time()) + 60,
    )
    sent = [encode(configure or ConfigureSession(16000))]
    sent += [encode(AudioInput("request", pcm[at : at + 6400])) for at in range(0, len(pcm), 6400)]
    sent.append(encode(AudioInput("request", end=True)))
    heard: list[str | bytes] = []
    token = ""
    issue = client._fetch_token

    async def issued() -> str:
        nonlocal token
        token = await issue()
        return token

    client._fetch_token = issued  # type: ignore[method-assign]
    async with client:
        for raw in sent:
            await client.send(raw)
        async with asyncio.timeout(SECONDS):
            async for frame in client.frames():
                heard.append(frame)
                if len(heard) > 2 or (configure is not None and configure.egress_type):
                    break
    return Spoken(token, sent, heard)


@asynccontextmanager
async def proxied(
    out: Path, *, keep_audio: bool = False, keep_names: bool = False
) -> AsyncIterator[tuple[SocketMotionServer, RecordingProxy]]:
    async with (
        SocketMotionServer(seed=3) as server,
        recording_proxy(
            (f"http://127.0.0.1:{server.port}",), out, keep_audio=keep_audio, keep_names=keep_names
        ) as (proxy, _),
    ):
        yield server, proxy


def trace_on(path: Path) -> Trace:
    (trace,) = read_traces(path)
    return trace


async def test_every_byte_of_every_message_is_on_the_tape(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    async with proxied(path, keep_audio=True) as (_, proxy):
        spoken = [await speak(proxy) for _ in range(2)]
        spoken += await asyncio.gather(*(speak(proxy) for _ in range(3)))
    trace = trace_on(path)
    for number, one in enumerate(spoken[:2], 1):
        own = [event.content for event in trace.events if event.connection == f"upstream-{number}"]
        assert [what.raw for what in own if isinstance(what, Received)] == one.sent
        assert [what.raw for what in own if isinstance(what, Sent)] == one.heard
        assert isinstance(own[0], Opened) and own[-1] == Closed(False, 1000)
    assert sum(isinstance(event.content, Opened) for event in trace.events) == 5
    checked = check_tape(path)
    passed = {o.rule_id for s in checked for o in s.outcomes if o.verdict == "PASSED"}
    assert passed >= {"S-MOTION-END", "S-MOTION-COUNT", "S-MOTION-SHAPE", "U-TOKEN", "U-AUDIO-END"}
    assert exit_code(checked) == 0


async def test_what_comes_through_the_proxy_is_what_the_server_sends(tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape") as (server, proxy):
        through = await speak(proxy)
        direct = await speak(server)  # type: ignore[arg-type]
    motion = [frame[60:] for frame in through.heard[1:]]
    assert motion == [frame[60:] for frame in direct.heard[1:]]


async def test_one_without_speech_is_judged_alike(tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape") as (_, proxy):
        await speak(proxy)
    async with proxied(tmp_path / "b.tape", keep_audio=True) as (_, proxy):
        await speak(proxy)
    assert list(compare_tapes(tmp_path / "a.tape", tmp_path / "b.tape")) == []
    first, second = check_tape(tmp_path / "a.tape"), check_tape(tmp_path / "b.tape")
    verdicts = {outcome.rule_id: outcome.verdict for outcome in first[0].outcomes}
    assert verdicts["S-MOTION-COUNT"] == "PASSED"
    told = [{o.rule_id: o.verdict for s in checked for o in s.outcomes} for checked in (first, second)]
    assert told[0] == told[1]


LIVEKIT = LiveKitEgress(
    "wss://user:canary-of-a-password@room.example/x?access=canary-of-a-query",
    "canary-lk-key",
    "canary-lk-secret",
    "canary-lk-token",
    "room",
    "publisher",
    (("authToken", "canary-lk-attribute"), ("colour", "blue")),
    30,
)
AGORA = AgoraEgress("channel", "canary-agora-token", 7, "publisher")


def artefacts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_no_secret_reaches_any_artefact(tmp_path: Path) -> None:
    """Every secret that passes the proxy is looked for in everything that is made of the tape."""
    path = tmp_path / "a.tape"
    egress = (
        ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=LIVEKIT),
        ConfigureSession(16000, egress_type=EgressType.AGORA, agora_egress=AGORA),
        ConfigureSession(16000, extra_params=(("apiSecret", "canary-extra-secret"),)),
    )
    spoken = []
    async with proxied(path) as (_, proxy):
        for configure in egress:
            spoken.append(await speak(proxy, configure=configure))
        spoken.append(await speak(proxy))
        with pytest.raises(UnreachableError, match="Avatar not found: canary-missing"):
            await speak(proxy, avatar_id="canary-missing")
        async with aiohttp.ClientSession() as http:
            headers = {
                "Authorization": "Bearer canary-of-a-bearer-token",
                "X-Session-Key": "canary-of-no-token",
                "X-App-ID": KEY,
            }
            url = (
                f"http://127.0.0.1:{proxy.port}/v2/driveningress/websocket?id=x&sessionKey=canary-query-token"
            )
            async with http.get(url, headers=headers | {"Upgrade": "websocket"}) as refused:
                assert refused.status == 400
    (tmp_path / "shown.txt").write_text("\n".join(show_tape(path, TapeFilter())))
    checked = check_tape(path)
    report = json_report(report_of(checked, exit_code(checked)))
    (tmp_path / "report.json").write_text(report)
    (tmp_path / "evidence.txt").write_text(json.dumps([repr(checked), repr(trace_on(path))]))
    repair(path, tmp_path / "repaired.tape")
    tokens = [one.token for one in spoken]
    assert all(len(token) > 20 for token in tokens)
    canaries = ["canary", KEY, *tokens]
    for name, raw in artefacts(tmp_path).items():
        for canary in canaries:
            forms = (canary, quote(canary, safe=""), b64encode(canary.encode()).decode()[:-4])
            for form in forms:
                assert form.encode() not in raw, (name, form)
        assert SPEECH[:40] not in raw
    configured = [
        event.content.value
        for event in trace_on(path).events
        if isinstance(event.content, Received) and isinstance(event.content.value, ConfigureSession)
    ]
    assert configured[0].livekit_egress is not None and configured[1].agora_egress is not None
    assert configured[0].livekit_egress.url == "wss://room.example/x"
    assert configured[0].livekit_egress.api_secret == "*" * len(LIVEKIT.api_secret)
    assert dict(configured[0].livekit_egress.extra_attributes)["colour"] == "blue"
    assert configured[1].agora_egress.channel_name == "channel"


async def test_names_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape", keep_names=True) as (_, proxy):
        await speak(proxy)
    opened = [e.content for e in trace_on(tmp_path / "a.tape").events if isinstance(e.content, Opened)]
    assert [(one.app_id, one.avatar_id) for one in opened] == [("canary-app", "canary-avatar")]


async def test_an_upstream_that_is_away_is_told_to_the_relay_and_to_the_tape(tmp_path: Path) -> None:
    async with recording_proxy(("http://127.0.0.1:1",), tmp_path / "a.tape") as (proxy, _):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            await speak(proxy)
        async with aiohttp.ClientSession() as http:
            base = f"http://127.0.0.1:{proxy.port}"
            async with http.get(f"{base}/elsewhere") as nowhere:
                assert nowhere.status == 404
            upgrade = {"Upgrade": "websocket"}
            async with http.get(f"{base}/v2/driveningress/websocket", headers=upgrade) as away:
                assert away.status == 502
    refused = [e.content for e in trace_on(tmp_path / "a.tape").events if isinstance(e.content, Refused)]
    assert [one.status for one in refused] == [502]


async def test_junk_from_either_side_harms_nobody_else(tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape") as (_, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"\x16\x03\x01junk\r\n\r\n")
        assert b" 400 " in await asyncio.wait_for(reader.read(), SECONDS)
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 66_000)
        assert b"without an end" in await asyncio.wait_for(reader.read(), SECONDS)
        writer.close()
        await speak(proxy)


@pytest.mark.parametrize("expire_at", [2**64, -(2**64), 10**4000])
async def test_a_number_that_no_tape_holds_spoils_none(expire_at: int, tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape") as (_, proxy), aiohttp.ClientSession() as http:
        url = f"{proxy.console_endpoint}/session-tokens"
        async with http.post(url, data=f'{{"expireAt": {expire_at}}}', headers={"X-Api-Key": "k"}) as answer:
            assert answer.status == 400
        await speak(proxy)
    asked = [e.content for e in trace_on(tmp_path / "a.tape").events if isinstance(e.content, TokenRequested)]
    assert [one.expire_at is None for one in asked] == [True, False]


async def test_large_and_textual_messages_pass_both_ways_untouched(tmp_path: Path) -> None:
    sizes = [0, 125, 126, 65_535, 65_536, 1_048_576, 3_000_000]

    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)
            if message == "bye":
                await socket.close(4001, "as asked")

    async with serve(echo, "127.0.0.1", 0, max_size=None, compression="deflate") as echoes:
        port = next(iter(echoes.sockets)).getsockname()[1]
        async with recording_proxy((f"http://127.0.0.1:{port}",), tmp_path / "a.tape") as (proxy, _):
            from websockets.asyncio.client import connect

            for compression in (None, "deflate"):
                url = f"{proxy.ingress_endpoint}/websocket?id=x"
                async with connect(url, max_size=None, compression=compression, proxy=None) as socket:
                    for size in sizes:
                        await socket.send(bytes(size))
                        assert await asyncio.wait_for(socket.recv(), SECONDS) == bytes(size)
                    await socket.send("bye")
                    assert await socket.recv() == "bye"
                    await asyncio.wait_for(socket.wait_closed(), SECONDS)
                assert (socket.close_code, socket.close_reason) == (4001, "as asked")
    trace = trace_on(tmp_path / "a.tape")
    assert [e.content for e in trace.events if isinstance(e.content, Closed)] == [
        Closed(True, 4001, "as asked")
    ] * 2
    assert sum(isinstance(event.content, Sent) for event in trace.events) == 2 * len(sizes) + 2
    assert not [event for event in trace.events if isinstance(event.content, Injected)]


async def test_a_server_that_dies_is_told_as_a_close_without_a_frame(tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape") as (server, proxy):
        client = UpstreamClient(
            proxy.console_endpoint,
            proxy.ingress_endpoint,
            api_key=KEY,
            app_id="a",
            avatar_id="b",
            expire_at=int(time.time()) + 60,
        )
        async with client:
            await client.send(encode(ConfigureSession(16000)))
            frames = client.frames()
            await asyncio.wait_for(anext(frames), SECONDS)
            server.die()
            async with asyncio.timeout(SECONDS):
                assert [frame async for frame in frames] == []
            assert client.close_code == 1006
    assert [e.content for e in trace_on(tmp_path / "a.tape").events][-1] == Closed(True, 1006)


async def test_a_taken_port_and_an_upstream_that_cannot_be_are_usage_errors(tmp_path: Path) -> None:
    async with proxied(tmp_path / "a.tape") as (_, proxy):
        with pytest.raises(UsageError, match="in use"):
            async with RecordingProxy(("http://127.0.0.1:1",), print, port=proxy.port):
                raise AssertionError("two on one port")
    with pytest.raises(UsageError, match="--upstream"):
        async with recording_proxy(("nonsense",), tmp_path / "b.tape"):
            raise AssertionError("nowhere to pass things on to")
    assert not (tmp_path / "b.tape").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to offer")
async def test_on_a_full_disk_the_relay_goes_on_and_the_tape_is_told_to_be_incomplete(tmp_path: Path) -> None:
    tape = ProxyTape(tmp_path / "a.tape", proxy_header(keep_audio=True, keep_names=True))
    tape.begin_run(TraceHeader("relay", "", 0, "", "", halves="upstream"))
    tape._writer._file.close()
    tape._writer._file = FileIO("/dev/full", "w")
    tape._writer._sections._file = tape._writer._file
    raw = encode(AudioInput("r", voice("x", 100_000)))
    event = next(iter(trace_with(raw).events))
    tape.write_event(event)
    tape.write_event(event)
    await asyncio.wait_for(tape.failed.wait(), SECONDS)
    with pytest.raises(UsageError, match=r"No space left.*incomplete"):
        tape.close()
    tape.write_event(event)


def trace_with(raw: bytes) -> Trace:
    from spatius_sim.tests.tape.samples import received, trace_of
    from spatius_sim.trace.events import Lane

    return trace_of([(Lane.UPSTREAM, received(Lane.UPSTREAM, raw))])
