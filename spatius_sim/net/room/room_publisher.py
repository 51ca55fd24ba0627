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
    make_agent_rpc,
)
from spatius_sim.model.server.egress_configuration import (
    AGENT_ATTRIBUTE,
    UNAUTHENTICATED,
    UNAVAILABLE,
    EgressFault,
)
from spatius_sim.net.egress_publisher import EgressPublisher, NewPublisher
from spatius_sim.net.room.black_video import HEIGHT, WIDTH, encode_black_frames
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
_SHORTEST_FRAME_US = 20_000
_QUEUE_MS = 400

Trouble = Callable[[str], None]
"""Is told in one line what went wrong in a room, without any credential."""


def make_publisher_factory(container: Container, on_trouble: Trouble) -> NewPublisher:
    """Return a function that makes a publisher for each session that plays in a LiveKit room. `container`
    says how motion is packed into the video. `on_trouble` gets a line for each thing that goes wrong."""

    def make_publisher(
        egress: LiveKitEgress, sample_rate: int, on_lost: Callable[[], None]
    ) -> EgressPublisher:
        """Return a publisher for one session, with the room and the token that `egress` names."""
        return LiveKitPublisher(egress, sample_rate, on_lost, container=container, on_trouble=on_trouble)

    return make_publisher


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
        self._agent_identity = dict(egress.extra_attributes).get(AGENT_ATTRIBUTE, "")
        self._black_frames = encode_black_frames(container)
        self._next_frame_number = 0
        self._room = rtc.Room()
        self._video_source = rtc.EncodedVideoSource(WIDTH, HEIGHT)
        self._sound_source = rtc.AudioSource(_ROOM_HZ, 1, _QUEUE_MS)
        self._resampler = None if sample_rate == _ROOM_HZ else rtc.AudioResampler(sample_rate, _ROOM_HZ)
        self._sample_rate = sample_rate
        self._waiting_outputs: asyncio.Queue[RoomOutput] = asyncio.Queue(MAX_WAITING)
        self._agent_rpcs: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = False
        self._clock_start_seconds = time.monotonic()
        self._last_timestamp_us = 0
        self._refusal_reported = False
        self._loss_reported = False
        self._give_up_timer: asyncio.TimerHandle | None = None

    async def join(self) -> EgressFault | None:
        """Join the LiveKit room, publish a video track and a sound track, and start the tasks that play in
        them. Return None, or the fault that prevents this; then the room is left again."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await self._room.connect(
                    self._egress.url, self._find_room_token(), rtc.RoomOptions(auto_subscribe=False)
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
        self._room.on("disconnected", self._report_lost_room)
        self._room.on("reconnecting", self._start_give_up_timer)
        self._room.on("reconnected", self._stop_give_up_timer)
        self._start_task(self._set_attributes())
        self._start_task(self._play_queued_outputs())
        self._start_task(self._send_agent_rpcs())
        return None

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        """Queue these outputs, to be played in the room one after the other. If the queue is full, drop its
        oldest output. If a playback was interrupted, clear the sound that is not heard yet."""
        for output in outputs:
            if isinstance(output, TellFinished) and output.interrupted:
                self._sound_source.clear_queue()
            if self._waiting_outputs.full():
                self._waiting_outputs.get_nowait()
            self._waiting_outputs.put_nowait(output)

    async def leave(self) -> None:
        """Leave the LiveKit room, and cancel all other tasks of the publisher. A second call does nothing."""
        if self._leaving:
            return
        self._leaving = True
        self._stop_give_up_timer()
        current_task = asyncio.current_task()
        other_tasks = [task for task in self._tasks if task is not current_task]
        for task in other_tasks:
            task.cancel()
        await asyncio.gather(*other_tasks, return_exceptions=True)
        with suppress(TimeoutError, Exception):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._room.disconnect()

    def _find_room_token(self) -> str:
        """Return the token for the LiveKit room. It stands in the egress configuration; if it does not, make
        a token from the key and the secret that stand there."""
        egress = self._egress
        if egress.api_token:
            return egress.api_token
        grant = RoomGrant(egress.room_name, egress.publisher_id, "agent", attributes=egress.extra_attributes)
        return make_livekit_token(egress.api_key, egress.api_secret, grant, time.time())

    async def _publish_tracks(self) -> None:
        """Publish a video track and a sound track in the LiveKit room. The video comes already encoded,
        because motion travels in its frames."""
        video_track = rtc.LocalVideoTrack.create_video_track("avatar-motion", self._video_source)
        sound_track = rtc.LocalAudioTrack.create_audio_track("avatar-sound", self._sound_source)
        codec = rtc.VideoCodec.H264 if self._container is Container.H264_SEI else rtc.VideoCodec.VP8
        video_options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=codec,
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            simulcast=False,
        )
        await self._room.local_participant.publish_track(video_track, video_options)
        sound_options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False
        )
        await self._room.local_participant.publish_track(sound_track, sound_options)

    async def _set_attributes(self) -> None:
        """Set the extra attributes of the egress on our participant in the LiveKit room. Errors and refusals
        are ignored: the token already holds the attributes that matter, and may give no right to change
        them."""
        with suppress(TimeoutError, Exception):
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._room.local_participant.set_attributes(dict(self._egress.extra_attributes))

    async def _play_queued_outputs(self) -> None:
        """Play the queued outputs in the LiveKit room, one after the other: show a packet of motion, play
        sound, leave the room (the last output), or tell the agent of the playback. RPCs to the agent go to
        their own queue; they are dropped while it is full."""
        while True:
            output = await self._waiting_outputs.get()
            match output:
                case ShowPacket(packet):
                    self._send_video_frame(packet)
                case PlaySound(pcm):
                    await self._play_sound(pcm)
                case LeaveRoom():
                    await self.leave()
                    return
                case TellStarted() | TellFinished():
                    rpc = make_agent_rpc(output)
                    if rpc is not None and not self._agent_rpcs.full():
                        self._agent_rpcs.put_nowait(rpc)

    def _send_video_frame(self, motion_packet: bytes) -> None:
        """Publish the next frame of black video in the LiveKit room, with this packet of motion inside. Send
        a key frame if a viewer asked for one. If WebRTC does not take a frame, report it, but only the first
        time."""
        if self._video_source.take_feedback().keyframe_requested:
            self._next_frame_number = 0
        is_key_frame = self._next_frame_number == 0
        black_frame = self._black_frames[self._next_frame_number]
        encoded_frame = put_packet(self._container, black_frame, motion_packet)
        self._next_frame_number = (self._next_frame_number + 1) % len(self._black_frames)
        frame_types = rtc.EncodedFrameType
        was_taken = self._video_source.capture_frame(
            rtc.EncodedVideoFrame(
                encoded_frame,
                WIDTH,
                HEIGHT,
                rtc.VideoCodec.H264 if self._container is Container.H264_SEI else rtc.VideoCodec.VP8,
                frame_types.ENCODED_FRAME_KEY if is_key_frame else frame_types.ENCODED_FRAME_DELTA,
                self._next_timestamp_us(),
            )
        )
        if not was_taken and not self._refusal_reported:
            self._refusal_reported = True
            self._on_trouble("WebRTC did not take a frame of video: motion is missing in the room")

    def _next_timestamp_us(self) -> int:
        """Return the time in microseconds at which the next video frame is shown in the room, counted from
        when the publisher was made. It is at least 20 ms after the frame before, because WebRTC drops a frame
        of the same millisecond."""
        now_us = int((time.monotonic() - self._clock_start_seconds) * _MICROSECONDS)
        self._last_timestamp_us = max(now_us, self._last_timestamp_us + _SHORTEST_FRAME_US)
        return self._last_timestamp_us

    async def _play_sound(self, pcm: bytes) -> None:
        """Play PCM in the LiveKit room; it is resampled if the room has another sample rate. If the bytes end
        within a sample, the last byte is dropped."""
        if len(pcm) % BYTES_PER_SAMPLE:
            pcm = pcm[:-1]
        sample_count = len(pcm) // BYTES_PER_SAMPLE
        sound_frame = rtc.AudioFrame(pcm, self._sample_rate, 1, sample_count)
        resampled_frames = [sound_frame] if self._resampler is None else self._resampler.push(sound_frame)
        for resampled_frame in resampled_frames:
            await self._sound_source.capture_frame(resampled_frame)

    async def _send_agent_rpcs(self) -> None:
        """Send the queued RPCs to the agent in the LiveKit room, one after the other, until cancelled.
        Without an agent they are dropped. An RPC that says that the playback has finished waits until the
        sound is played out. If an RPC fails, report that by `on_trouble`."""
        while True:
            method, payload = await self._agent_rpcs.get()
            if not self._agent_identity:
                continue
            if '"interrupted": false' in payload:
                await self._sound_source.wait_for_playout()
            try:
                await self._room.local_participant.perform_rpc(
                    destination_identity=self._agent_identity,
                    method=method,
                    payload=payload,
                    response_timeout=RPC_SECONDS,
                )
            except rtc.RpcError as error:
                agent = self._agent_identity
                self._on_trouble(f"the agent {agent!r} took no {method}: RPC error {error.code}")

    def _start_give_up_timer(self) -> None:
        """Begin to wait for the LiveKit room, whose connection broke. If it is not back in time, report it
        lost."""
        self._stop_give_up_timer()
        self._give_up_timer = asyncio.get_running_loop().call_later(RECONNECT_SECONDS, self._report_lost_room)

    def _stop_give_up_timer(self) -> None:
        """Stop waiting for the LiveKit room: it is back, or the publisher leaves."""
        if self._give_up_timer is not None:
            self._give_up_timer.cancel()
            self._give_up_timer = None

    def _report_lost_room(self, *_: Any) -> None:
        """Report once that the LiveKit room is lost: by a text to `on_trouble`, and by calling `on_lost`.
        Report nothing if the publisher itself leaves the room."""
        if not self._leaving and not self._loss_reported:
            self._loss_reported = True
            room_name = self._egress.room_name[:_MAX_NAME]
            self._on_trouble(f"the LiveKit room {room_name!r} is gone: the session that played there ends")
            self._on_lost()

    def _start_task(self, coroutine: Coroutine[None, None, None]) -> None:
        """Start a task that runs until the publisher leaves the room."""
        self._tasks.append(asyncio.get_running_loop().create_task(coroutine))
