"""Audio in large messages: taken up to a bound, which is named when it is hit."""

import asyncio
import time
from pathlib import Path

import pytest

from spatius_sim.engine.tapes.write_proxy_tape import recording_proxy
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.one_port_server import OnePort
from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, MotionResponse
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.engine.tapes.test_replay_tape import script
from spatius_sim.tests.net.talk import SECONDS, talk
from spatius_sim.trace.events import Closed, Lane, Received, Trace, TraceHeader
from spatius_sim.trace.read_frames import read_upstream

BOUND = 16 * 1_048_576
A_MINUTE = bytes(60 * 48_000 * 2)


def message(size: int) -> AudioInput:
    """An audio message that is so many bytes long on the wire."""
    framing = len(encode(AudioInput("clip", bytes(size), True))) - size
    told = AudioInput("clip", bytes(size - framing), True)
    assert len(encode(told)) == size
    return told


def recording() -> RealTimeRecorder:
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("server", "", 0, "", ""))
    return recorder


def closes(trace: Trace) -> list[Closed]:
    return [event.content for event in trace.on_lane(Lane.UPSTREAM) if isinstance(event.content, Closed)]


@pytest.mark.parametrize(
    ("rate", "clip"),
    [(48_000, AudioInput("clip", A_MINUTE, True)), (16_000, message(1_048_576)), (8_000, message(BOUND))],
    ids=["a minute at 48 kHz", "1 MiB", "16 MiB at 8 kHz"],
)
async def test_a_large_message_is_answered(rate: int, clip: AudioInput) -> None:
    async with SocketMotionServer() as server, talk(server, ConfigureSession(rate)) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(clip)
        responses = await session.hear_motion()
    assert sum(len(response.keyframes) for response in responses) == len(clip.audio) // 2 * 25 // rate


async def refused(server: OnePort, size: int) -> tuple[int, str]:
    """How a server closes when it is sent a message of that size."""
    client = UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="key",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 60,
    )
    async with asyncio.timeout(SECONDS), client:
        await client.send(encode(ConfigureSession(16_000)))
        await client.send(encode(message(size)))
        async for _ in client.frames():
            pass
        assert client._socket is not None
        return client.close_code, client._socket.close_reason or ""


async def test_a_larger_one_is_refused_and_the_bound_is_named() -> None:
    recorder = recording()
    async with SocketMotionServer(sink=recorder) as server:
        code, reason = await refused(server, BOUND + 1)
        [past] = server.journal.past_sessions
    assert (code, "16777216 bytes" in reason) == (1009, True)
    assert (past.close_code, past.closed_by_us) == (1009, True)
    assert closes(recorder.finish()) == [Closed(True, 1009, reason)]


async def test_one_that_nobody_would_read_to_its_end_is_told_alike() -> None:
    recorder = recording()
    async with SocketMotionServer(sink=recorder) as server:
        await refused(server, 4 * BOUND)
        [past] = server.journal.past_sessions
    assert (past.close_code, past.closed_by_us) == (1009, True)
    [closed] = closes(recorder.finish())
    assert (closed.by_kit, closed.code) == (True, 1009)
    assert "16777216 bytes" in closed.reason


async def test_a_replayed_tape_has_the_same_bound(tmp_path: Path) -> None:
    recorder = recording()
    async with ReplayServer(script(tmp_path), ReplayOptions(), sink=recorder) as server:
        code, reason = await refused(server, BOUND + 1)
        assert (code, "16777216 bytes" in reason) == (1009, True)
        await refused(server, 4 * BOUND)
    for closed in closes(recorder.finish()):
        assert (closed.by_kit, closed.code, "16777216 bytes" in closed.reason) == (True, 1009, True)


@pytest.mark.parametrize("keep_audio", [True, False])
async def test_a_proxy_passes_a_large_message_on_and_records_it(keep_audio: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    clips = [AudioInput("clip", A_MINUTE, True), message(BOUND)]
    async with SocketMotionServer() as server:
        upstream = (f"http://127.0.0.1:{server.port}",)
        async with recording_proxy(upstream, path, keep_audio=keep_audio) as (proxy, _):
            for clip in clips:
                client = UpstreamClient(
                    proxy.console_endpoint,
                    proxy.ingress_endpoint,
                    api_key="key",
                    app_id="app",
                    avatar_id="avatar",
                    expire_at=int(time.time()) + 60,
                )
                async with asyncio.timeout(SECONDS), client:
                    await client.send(encode(ConfigureSession(48_000)))
                    await client.send(encode(clip))
                    async for frame in client.frames():
                        said = read_upstream(frame)
                        if isinstance(said, MotionResponse) and said.end:
                            break
                    else:
                        pytest.fail("the session was closed")
    (trace,) = read_traces(path)
    received = [
        event.content.value for event in trace.on_lane(Lane.UPSTREAM) if isinstance(event.content, Received)
    ]
    audio = [len(value.audio) for value in received if isinstance(value, AudioInput)]
    assert audio == [len(clip.audio) for clip in clips]
