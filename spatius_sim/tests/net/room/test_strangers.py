"""Hostile participants of a real room: they disturb neither the egress nor its judge."""

import asyncio
import time
from typing import Any

import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.plans.room_plan import RoomPlan, RoomTurn
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.livekit_server import AGENT, PUBLISHER, LiveKitAccess
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer
from spatius_sim.tests.net.room.real_room import failed_rules, subject_in_room
from spatius_sim.trace.events import Joined
from spatius_sim.trace.room_events import PlaybackTold

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]


async def molest(livekit: LiveKitServer, room_name: str) -> list[str]:
    """Join as a stranger: publish tracks, call the RPCs of others, send rubbish. Return how the avatar
    answers."""
    from livekit import rtc

    stranger = rtc.Room()
    answers: list[str] = []
    await stranger.connect(livekit.url, livekit.token(room_name, "stranger", time.time()))
    try:
        us = stranger.local_participant
        video, sound = rtc.VideoSource(64, 64), rtc.AudioSource(48_000, 1)
        tracks: list[tuple[Any, Any]] = [
            (rtc.LocalVideoTrack.create_video_track("v", video), rtc.TrackSource.SOURCE_CAMERA),
            (rtc.LocalAudioTrack.create_audio_track("a", sound), rtc.TrackSource.SOURCE_MICROPHONE),
        ]
        for track, source in tracks:
            await us.publish_track(track, rtc.TrackPublishOptions(source=source))
        for _ in range(5):
            video.capture_frame(rtc.VideoFrame(64, 64, rtc.VideoBufferType.RGBA, bytes(64 * 64 * 4)))
        await us.publish_data(b"\xff" * 60_000)
        for name in (AGENT, PUBLISHER):
            try:
                payload = '{"playback_position": 99, "interrupted": true}'
                answers.append(
                    await us.perform_rpc(
                        destination_identity=name,
                        method="lk.playback_finished",
                        payload=payload,
                        response_timeout=3,
                    )
                )
            except rtc.RpcError as error:
                answers.append(f"error {error.code}")
    finally:
        await stranger.disconnect()
    return answers


async def test_a_stranger_in_the_room_accuses_nobody_and_disturbs_nobody(livekit: LiveKitServer) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    async with MotionServer(livekit=True) as server:
        subject, recorder, room = subject_in_room(livekit, server)
        running = asyncio.create_task(subject.run(RoomPlan((RoomTurn(2500),))))
        async with asyncio.timeout(30):
            while not any(isinstance(event.content, Joined) for event in recorder.events):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            answers = await molest(livekit, room.room_name)
            trace = await running
    # The kit answers politely and takes no notice; the avatar has no such method.
    assert answers == ["ok", "error 1400"]
    told = [event.content for event in trace.events if isinstance(event.content, PlaybackTold)]
    assert {one.publisher for one in told} <= {PUBLISHER}
    judgements = judge(trace)
    assert not failed_rules(judgements)
    assert judgements["E-TRACKS"].verdict is Verdict.PASSED
    assert judgements["E-COUNT"].verdict in (Verdict.PASSED, Verdict.INCONCLUSIVE)


async def test_a_room_that_vanishes_ends_its_session(livekit: LiveKitServer) -> None:
    """LiveKit's client goes on trying for a while, so the room is closed by the server's own word."""
    from livekit import rtc

    from spatius_sim.net.room.room_publisher import LiveKitPublisher

    place = LiveKitAccess(livekit.url, KEY, SECRET)
    lost = asyncio.Event()
    egress, _ = place.configure_new_room()
    publisher = LiveKitPublisher(egress, 16_000, lost.set, on_trouble=lambda text: None)
    assert await publisher.join() is None
    # The same identity again: the server puts the first one out, as it does when it closes a room.
    other = rtc.Room()
    await other.connect(livekit.url, egress.api_token)
    async with asyncio.timeout(20):
        await lost.wait()
    publisher.play([])
    await publisher.leave()
    await publisher.leave()
    await other.disconnect()
