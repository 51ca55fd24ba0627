"""Publishes the egress of a session in a real LiveKit room: motion in black video, sound, and RPCs.

Texts of LiveKit's errors are never passed on: they hold the whole token.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from spatius_sim.model.room.room_playback import (
    LeaveRoom,
    PlaySound,
    RoomOutput,
    ShowPacket,
    TellFinished,
    TellStarted,
)
from spatius_sim.model.server.egress_configuration import (
    AGENT_ATTRIBUTE,
    UNAUTHENTICATED,
    UNAVAILABLE,
    EgressFault,
)
from spatius_sim.model.server.play_session_in_room import rpc_for_agent
from spatius_sim.net.egress_publisher import EgressPublisher, NewPublisher
from spatius_sim.net.room.black_video import HEIGHT, WIDTH, black_frames
from spatius_sim.net.room.joining_errors import refuses_token
from spatius_sim.net.room.quiet_log import quiet_livekit_log
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.protocol.video_container import Container, put_packet

JOIN_SECONDS = 8.0
PUBLISH_SECONDS = 4.0
"""How long the room's server may take. A token without the right to publish is answered by nothing at all."""

RECONNECT_SECONDS = 5.0
"""How long a room may be away before it is lost. LiveKit's library goes on trying for 24 s (tried)."""

RPC_SECONDS = 5.0
LEAVE_SECONDS = 3.0
MAX_WAITING = 256
"""The most outputs that wait to be published; older ones are dropped: the machine is too slow."""

_MAX_NAME = 100
"""The most characters of a room's name in a text."""

_ROOM_HZ = 48_000
_MICROSECONDS = 1_000_000
_MIN_FRAME_US = 20_000
_QUEUE_MS = 400

Trouble = Callable[[str], None]
"""Is told in one line what went wrong in a room, without any credential."""


def publisher_factory(container: Container, on_trouble: Trouble) -> NewPublisher:
    """Return a function that makes room publishers, whose video carries motion in this container."""

    def make(egress: LiveKitEgress, sample_rate: int, on_lost: Callable[[], None]) -> EgressPublisher:
        """Return a room publisher for one session."""
        return LiveKitPublisher(egress, sample_rate, on_lost, container=container, on_trouble=on_trouble)

    return make


class LiveKitPublisher:
    """Publishes one session in its room. `sample_rate` is that of the sound in Hz; `on_lost` is called if the
    room goes away, and `on_trouble` with a line for whatever else goes wrong."""

    def __init__(
        self,
        egress: LiveKitEgress,
        sample_rate: int,
        on_lost: Callable[[], None],
        *,
        container: Container = Container.H264_SEI,
        on_trouble: Trouble,
    ) -> None:
        """Prepare to publish the playback of one session in a LiveKit room; `egress` names the room and holds
        its token. `join` begins."""
        self._egress, self._container = egress, container
        self._on_lost, self._on_trouble = on_lost, on_trouble
        quiet_livekit_log()
        self._agent = dict(egress.extra_attributes).get(AGENT_ATTRIBUTE, "")
        self._frames = black_frames(container)
        self._next_frame = 0
        self._room = rtc.Room()
        self._video = rtc.EncodedVideoSource(WIDTH, HEIGHT)
        self._sound = rtc.AudioSource(_ROOM_HZ, 1, _QUEUE_MS)
        self._resampler = None if sample_rate == _ROOM_HZ else rtc.AudioResampler(sample_rate, _ROOM_HZ)
        self._sample_rate = sample_rate
        self._waiting: asyncio.Queue[RoomOutput] = asyncio.Queue(MAX_WAITING)
        self._agent_rpcs: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = False
        self._clock_start = time.monotonic()
        self._last_us = 0
        self._refusal_reported = False
        self._room_is_lost = False
        self._patience: asyncio.TimerHandle | None = None

    async def join(self) -> EgressFault | None:
        """Join the LiveKit room, and publish a video track and a sound track. Return None, or the fault that
        makes this impossible."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await self._room.connect(
                    self._egress.url, self._room_token(), rtc.RoomOptions(auto_subscribe=False)
                )
        except rtc.ConnectError as error:
            await self.leave()
            if refuses_token(error):
                return EgressFault(UNAUTHENTICATED, "unauthorized: livekit refuses the token of the egress")
            return EgressFault(UNAVAILABLE, "failed to create egress connection: livekit cannot be reached")
        except TimeoutError:
            await self.leave()
            return EgressFault(UNAVAILABLE, "failed to create egress connection: livekit does not answer")
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._publish_tracks()
        except (PublishTrackError, TimeoutError):
            await self.leave()
            return EgressFault(UNAUTHENTICATED, "unauthorized: the livekit token gives no right to publish")
        self._room.on("disconnected", self._lose_room)
        self._room.on("reconnecting", self._wait_for_room)
        self._room.on("reconnected", self._stop_waiting)
        self._start_task(self._set_attributes())
        self._start_task(self._publish_outputs())
        self._start_task(self._send_agent_rpcs())
        return None

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        """Queue these outputs, to be published in the room in their order. If the queue is full, its oldest
        output is dropped. After an interrupt, sound that still waits is not heard any more."""
        for output in outputs:
            if isinstance(output, TellFinished) and output.interrupted:
                self._sound.clear_queue()
            if self._waiting.full():
                self._waiting.get_nowait()
            self._waiting.put_nowait(output)

    async def leave(self) -> None:
        """Leave the LiveKit room, and stop all tasks of the publisher. May be called twice."""
        if self._leaving:
            return
        self._leaving = True
        self._stop_waiting()
        current = asyncio.current_task()
        others = [task for task in self._tasks if task is not current]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        with suppress(TimeoutError, Exception):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._room.disconnect()

    def _room_token(self) -> str:
        """Return the LiveKit token of the egress, or make a token from the egress's key and secret."""
        egress = self._egress
        if egress.api_token:
            return egress.api_token
        grant = RoomGrant(egress.room_name, egress.publisher_id, "agent", attributes=egress.extra_attributes)
        return make_livekit_token(egress.api_key, egress.api_secret, grant, time.time())

    async def _publish_tracks(self) -> None:
        """Publish one video track and one sound track in the LiveKit room."""
        video = rtc.LocalVideoTrack.create_video_track("avatar-motion", self._video)
        sound = rtc.LocalAudioTrack.create_audio_track("avatar-sound", self._sound)
        codec = rtc.VideoCodec.H264 if self._container is Container.H264_SEI else rtc.VideoCodec.VP8
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=codec,
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            simulcast=False,
        )
        await self._room.local_participant.publish_track(video, options)
        microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False)
        await self._room.local_participant.publish_track(sound, microphone)

    async def _set_attributes(self) -> None:
        """Give the publisher, as a participant of the LiveKit room, the extra attributes of the egress. A
        refusal is ignored: the publisher's token already holds the attributes that matter, and may give no
        right to change them."""
        with suppress(TimeoutError, Exception):
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._room.local_participant.set_attributes(dict(self._egress.extra_attributes))

    async def _publish_outputs(self) -> None:
        """Publish the queued outputs of the playback in the LiveKit room, one after the other, until an
        output leaves the room. An RPC to the agent is dropped if too many wait."""
        while True:
            output = await self._waiting.get()
            match output:
                case ShowPacket(packet):
                    self._send_video_frame(packet)
                case PlaySound(pcm):
                    await self._play_sound(pcm)
                case LeaveRoom():
                    await self.leave()
                    return
                case TellStarted() | TellFinished():
                    rpc = rpc_for_agent(output)
                    if rpc is not None and not self._agent_rpcs.full():
                        self._agent_rpcs.put_nowait(rpc)

    def _send_video_frame(self, packet: bytes) -> None:
        """Publish the next frame of black video in the LiveKit room, with this packet of motion in it. Send a
        key frame if a viewer in the room asked for one. Report it, once, if WebRTC does not take a frame."""
        if self._video.take_feedback().keyframe_requested:
            self._next_frame = 0
        is_key = self._next_frame == 0
        frame = put_packet(self._container, self._frames[self._next_frame], packet)
        self._next_frame = (self._next_frame + 1) % len(self._frames)
        frame_types = rtc.EncodedFrameType
        accepted = self._video.capture_frame(
            rtc.EncodedVideoFrame(
                frame,
                WIDTH,
                HEIGHT,
                rtc.VideoCodec.H264 if self._container is Container.H264_SEI else rtc.VideoCodec.VP8,
                frame_types.ENCODED_FRAME_KEY if is_key else frame_types.ENCODED_FRAME_DELTA,
                self._next_timestamp(),
            )
        )
        if not accepted and not self._refusal_reported:
            self._refusal_reported = True
            self._on_trouble("WebRTC did not take a frame of video: motion is missing in the room")

    def _next_timestamp(self) -> int:
        """Return the time in microseconds at which the publisher's next video frame is shown in the room.
        WebRTC drops a frame of the same millisecond as the frame before it, so frames that come together get
        times 20 ms apart."""
        now_us = int((time.monotonic() - self._clock_start) * _MICROSECONDS)
        self._last_us = max(now_us, self._last_us + _MIN_FRAME_US)
        return self._last_us

    async def _play_sound(self, pcm: bytes) -> None:
        """Play a piece of PCM in the LiveKit room, resampled to the rate of the room if that differs. Half a
        sample at the end is dropped."""
        if len(pcm) % BYTES_PER_SAMPLE:
            pcm = pcm[:-1]
        samples = len(pcm) // BYTES_PER_SAMPLE
        frame = rtc.AudioFrame(pcm, self._sample_rate, 1, samples)
        frames = [frame] if self._resampler is None else self._resampler.push(frame)
        for resampled in frames:
            await self._sound.capture_frame(resampled)

    async def _send_agent_rpcs(self) -> None:
        """Send the room's agent the publisher's queued RPCs about the playback, one after the other; drop
        them if there is no agent. If the agent does not answer an RPC, report that by `on_trouble`."""
        while True:
            method, payload = await self._agent_rpcs.get()
            if not self._agent:
                continue
            if '"interrupted": false' in payload:
                await self._sound.wait_for_playout()
            try:
                await self._room.local_participant.perform_rpc(
                    destination_identity=self._agent,
                    method=method,
                    payload=payload,
                    response_timeout=RPC_SECONDS,
                )
            except rtc.RpcError as error:
                self._on_trouble(f"the agent {self._agent!r} took no {method}: RPC error {error.code}")

    def _wait_for_room(self) -> None:
        """Wait for a while until the publisher's LiveKit room, whose connection broke, is back; then give the
        room up."""
        self._stop_waiting()
        self._patience = asyncio.get_running_loop().call_later(RECONNECT_SECONDS, self._lose_room)

    def _stop_waiting(self) -> None:
        """Stop waiting for the LiveKit room: the room is back, or the publisher leaves."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_room(self, *_: Any) -> None:
        """Report, at most once, that the publisher's LiveKit room is gone: to `on_trouble` in words, and to
        `on_lost`. Do nothing if the publisher itself leaves the room."""
        if not self._leaving and not self._room_is_lost:
            self._room_is_lost = True
            name = self._egress.room_name[:_MAX_NAME]
            self._on_trouble(f"the LiveKit room {name!r} is gone: the session that played there ends")
            self._on_lost()

    def _start_task(self, coroutine: Coroutine[None, None, None]) -> None:
        """Start a task that runs until the publisher leaves the room."""
        self._tasks.append(asyncio.get_running_loop().create_task(coroutine))
