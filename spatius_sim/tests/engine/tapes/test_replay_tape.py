"""Tapes played again: the same motion, fresh ids or the old ones, and every mismatch told."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from spatius_sim.engine.tapes.replay_tape import join_recorded_runs, replay_clients
from spatius_sim.model.server.match_taped_turns import Match, RecordedRun
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.embed_reference_relay import embed_reference_relay, relay_url
from spatius_sim.tape.cut_and_merge import merge
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tests.rules.traces import Dialogue, voice
from spatius_sim.tests.subjects.running_relay import motion_ended, pipeline
from spatius_sim.tests.tape.samples import CLEANED, KEPT
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Lane,
    TraceHeader,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires import published_wire

ONE, TWO = voice("one", 16000), voice("two", 20000)
SECONDS = 20.0


def tape(folder: Path) -> Path:
    said = Dialogue()
    for up, pcm in (("up-1", ONE), ("up-2", TWO)):
        said.connects(up)
        said.audio_up(up, "req", pcm, end=True)
        said.motion(up, "req", 3)
        said.motion(up, "req", 2, end=True)
    write_traces(folder / "a.tape", KEPT, [said.trace])
    return folder / "a.tape"


def script(folder: Path) -> RecordedRun:
    return join_recorded_runs(tape(folder))


async def ask(server: ReplayServer | SocketMotionServer, *speech: bytes, count: int = 3) -> list[object]:
    """What a Server SDK hears that says this in one session, each under an id of its own."""
    client = UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="key",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 60,
    )
    heard: list[object] = []
    async with asyncio.timeout(SECONDS), client:
        await client.send(encode(ConfigureSession(16000)))
        for number, pcm in enumerate(speech):
            await client.send(encode(AudioInput(f"mine-{number}", pcm, True)))
        async for frame in client.frames():
            assert isinstance(frame, bytes)
            heard.append(decode(frame))
            if len(heard) == count:
                break
    return heard


@pytest.mark.parametrize("speed", [0.0, 1000.0])
async def test_fresh_ids_take_the_place_of_the_recorded_ones(tmp_path: Path, speed: float) -> None:
    async with ReplayServer(script(tmp_path), ReplayOptions(speed=speed)) as server:
        confirm, first, second = await ask(server, b"other words")
    assert isinstance(confirm, ConfirmSession) and confirm.connection_id != "id of up-1"
    for motion in (first, second):
        assert isinstance(motion, MotionResponse)
        assert (motion.connection_id, motion.req_id) == (confirm.connection_id, "mine-0")
    assert isinstance(second, MotionResponse) and second.end
    assert server.mismatches == []


async def test_original_ids_stay_byte_for_byte(tmp_path: Path) -> None:
    recorder = RealTimeRecorder()
    taped = script(tmp_path)
    async with ReplayServer(taped, ReplayOptions(speed=0, original_ids=True), sink=recorder) as server:
        confirm, first, _ = await ask(server, ONE)
    assert confirm == ConfirmSession("id of up-1")
    assert first == decode(taped.turns[0].replies[0].raw)


async def test_turns_are_found_by_what_is_said_and_a_mismatch_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    playing = ReplayOptions(Match.AUDIO, speed=0)
    async with ReplayServer(script(tmp_path), playing, on_mismatch=told.append) as server:
        heard = await ask(server, TWO, ONE, TWO, count=6)
    errors = [message for message in heard if isinstance(message, ServerError)]
    assert len(errors) == len(told) == len(server.mismatches) == 1
    assert "all 2 requests of the tape are played" in told[0] and told[0] in errors[0].message
    assert {m.req_id for m in heard if isinstance(m, MotionResponse)} == {"mine-0", "mine-1"}


async def test_the_recorded_pace_is_kept(tmp_path: Path) -> None:
    said = Dialogue()
    said.connects("up")
    said.audio_up("up", "req", ONE, end=True)
    for _ in range(300):
        said.starts("nobody", 0, b"")
    said.motion("up", "req", 3, end=True)
    write_traces(tmp_path / "slow.tape", KEPT, [said.trace])
    async with ReplayServer(join_recorded_runs(tmp_path / "slow.tape"), ReplayOptions()) as server:
        begun = time.monotonic()
        await ask(server, ONE, count=2)
    assert time.monotonic() - begun >= 0.3


async def test_refusals_and_closes_happen_again(tmp_path: Path) -> None:
    said = Dialogue()
    said.refused("up-0", 402, '{"message":"session denied: no credits"}')
    for up, code in (("up-1", 1011), ("up-2", 1006)):
        said.connects(up)
        said.audio_up(up, "req", ONE, end=True)
        said.happens(Lane.UPSTREAM, up, Closed(True, code))
    write_traces(tmp_path / "a.tape", KEPT, [said.trace])
    async with ReplayServer(join_recorded_runs(tmp_path / "a.tape"), ReplayOptions(speed=0)) as server:
        with pytest.raises(UnreachableError, match=r"402 .*session denied"):
            await ask(server, ONE)
        for code in (1011, 1006):
            client = UpstreamClient(
                server.console_endpoint,
                server.ingress_endpoint,
                api_key="key",
                app_id="app",
                avatar_id="avatar",
                expire_at=int(time.time()) + 60,
            )
            async with asyncio.timeout(SECONDS), client:
                await client.send(encode(ConfigureSession(16000)))
                await client.send(encode(AudioInput("r", ONE, True)))
                assert len([frame async for frame in client.frames()]) == 1
                assert client.close_code == code


async def test_what_cannot_be_replayed_is_a_usage_error(tmp_path: Path) -> None:
    said = Dialogue()
    said.connects("up")
    write_traces(tmp_path / "none.tape", KEPT, [said.trace])
    with pytest.raises(UsageError, match="no request"):
        join_recorded_runs(tmp_path / "none.tape")
    with pytest.raises(UsageError, match="no client"):
        await replay_clients(tmp_path / "none.tape", "ws://127.0.0.1:1", speed=0, silence_seconds=0.1)
    said.audio_up("up", "req", ONE, end=True)
    write_traces(tmp_path / "mute.tape", CLEANED, [said.trace])
    with pytest.raises(UsageError, match="no speech"):
        ReplayServer(join_recorded_runs(tmp_path / "mute.tape"), ReplayOptions(Match.AUDIO))


async def recorded_pipeline(folder: Path) -> Path:
    """A conversation through the reference relay, both halves on one tape."""
    async with pipeline() as pipe:
        pipe.recorder.start(TraceHeader("relay", "json-envelope", 1, "one turn", "0"))
        pipe.recorder.emit(Lane.KIT, "client-1", TurnStarted(0, ONE, 16000))
        await pipe.speak(ONE)
        await pipe.hear(motion_ended)
        pipe.recorder.emit(Lane.KIT, "client-1", WaitEnded(Awaited.TURN, True, 0))
        trace = pipe.recorder.finish()
    write_traces(folder / "both.tape", KEPT, [trace])
    return folder / "both.tape"


async def test_the_client_half_is_played_against_a_relay(tmp_path: Path) -> None:
    pytest.importorskip("spatius")
    path = await recorded_pipeline(tmp_path)
    async with SocketMotionServer() as server:
        relay = await embed_reference_relay(server, "a-key-of-thirty-two-characters-ab")
        try:
            (heard,) = await replay_clients(path, relay_url(relay), speed=0, silence_seconds=1.0)
        finally:
            relay.close()
            await relay.wait_closed()
    assert heard.difference == ""
    assert heard.payloads_now == heard.payloads_then > 0
    assert heard.sent > 1
    with pytest.raises(UnreachableError):
        await replay_clients(path, "ws://127.0.0.1:1", speed=0, silence_seconds=0.1)


async def test_both_halves_recorded_apart_are_merged_into_one_trace(tmp_path: Path) -> None:
    pytest.importorskip("spatius")
    path = await recorded_pipeline(tmp_path)
    (trace,) = read_traces(path)
    lanes = {"up": {Lane.UPSTREAM, Lane.CONSOLE}, "down": {Lane.DOWNSTREAM, Lane.KIT, Lane.DECODER}}
    for name, own in lanes.items():
        half = replace(trace, events=tuple(e for e in trace.events if e.lane in own))
        write_traces(tmp_path / f"{name}.tape", KEPT, [half])
    merge(tmp_path / "up.tape", tmp_path / "down.tape", tmp_path / "merged.tape")
    (merged,) = read_traces(tmp_path / "merged.tape")
    assert len(merged.events) == len(trace.events)
    verdicts = {name: judgement.verdict for name, judgement in judge(merged).items()}
    for rule_id in ("R-MOTION-VERBATIM", "R-MOTION-COMPLETE", "R-AUDIO-COMPLETE", "R-CONVERSATION"):
        assert verdicts[rule_id] is Verdict.PASSED
    with pytest.raises(UsageError, match="both hold the console half"):
        merge(tmp_path / "up.tape", tmp_path / "both.tape", tmp_path / "x.tape")
    with pytest.raises(UsageError, match="cannot be written at once"):
        merge(tmp_path / "up.tape", tmp_path / "down.tape", tmp_path / "up.tape")
    assert published_wire(merged.header.wire).name == "json-envelope"
