"""Watches real LiveKit rooms as the agent of an egress and as a viewer, and records what happens there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc

from spatius_sim.model.room.room_playback import PLAYBACK_FINISHED, PLAYBACK_STARTED
from spatius_sim.net.room.joining_errors import why_not_joined
from spatius_sim.net.room.quiet_log import quiet_livekit_log
from spatius_sim.net.room.video_viewer import LOOK_FOR_LOSSES_SECONDS, VideoViewer
from spatius_sim.protocol.errors import RemoteProtocolError, UnreachableError
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.protocol.video_container import Container, is_key_frame, take_packets
from spatius_sim.trace.events import Joined, Lane
from spatius_sim.trace.recorder import Sink
from spatius_sim.trace.room_events import (
    KeyFrameSeen,
    LeftRoom,
    MediaLost,
    PacketSeen,
    PlaybackTold,
    RoomEvent,
    SoundHeard,
    TrackKind,
    TrackSeen,
    ViewerJoined,
)

AGENT, VIEWER, LATE_VIEWER = "sim-agent", "sim-viewer", "late-viewer"
_KIT_IDENTITIES = (AGENT, VIEWER, LATE_VIEWER)
_SOUND_HZ = 16_000
_SOUND_EVENT_BYTES = 2 * 640
"""40 ms of sound: 640 samples of two bytes."""
_ATTRIBUTES_SECONDS = 0.5
"""A participant may show its attributes so much later than itself."""

_TRACK_KIND_BY_SOURCE = {
    rtc.TrackSource.SOURCE_CAMERA: TrackKind.CAMERA,
    rtc.TrackSource.SOURCE_MICROPHONE: TrackKind.MICROPHONE,
}
MAX_PACKETS = 4
"""The most packets of one frame that are recorded; one is due."""

UNREADABLE = b"\xff"
"""Flags that no packet has: they stand before the beginning of a frame that cannot be read."""

MAX_PAYLOAD = 1_000
"""The most characters of an RPC that are recorded."""


def packets_to_record(container: Container, frame: bytes) -> list[bytes]:
    """Return the packets of motion that a watcher of a LiveKit room records for this video frame, but at most
    MAX_PACKETS. If the frame cannot be read, return one packet: the mark UNREADABLE and the beginning of the
    frame."""
    try:
        return take_packets(container, frame)[:MAX_PACKETS]
    except RemoteProtocolError:
        return [UNREADABLE + frame[:MAX_PAYLOAD]]


class LiveRoomWatch:
    """Watches the rooms of one LiveKit server, with tokens made from `key` and `secret`. `publisher` returns
    whom to watch; None: everybody but us."""

    def __init__(
        self,
        sink: Sink,
        key: str,
        secret: str,
        publisher: Callable[[], str] | None = None,
    ) -> None:
        """Prepare to watch rooms of a LiveKit server; no room is watched yet. `sink` records what happens
        there. `key` and `secret` sign the tokens with which we join.

        `publisher` returns the identity of the participant to watch. If it is None, that is the first
        participant that is not ours."""
        quiet_livekit_log()
        self._publisher = publisher
        self._sink, self._key, self._secret = sink, key, secret
        self._session_name, self._room_name, self._url = "", "", ""
        self._first_other_participant = ""
        """The identity of the first participant that is not ours."""
        self._late_viewer: VideoViewer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def watching(self, name: str, egress: LiveKitEgress) -> AsyncIterator[None]:
        """Watch the LiveKit room of this egress while the context is open, as an agent and as a viewer. What
        happens is recorded for the session `name`. Raises UnreachableError if the room cannot be joined."""
        self._session_name, self._room_name, self._url = name, egress.room_name, egress.url
        self._first_other_participant = ""
        agent, viewer = (
            rtc.Room(),
            VideoViewer(self._record_packets, self._record_video_loss, self._is_watched),
        )
        self._register_handlers(agent)
        try:
            try:
                await agent.connect(egress.url, self._make_token(AGENT))
            except rtc.ConnectError as error:
                raise UnreachableError(why_not_joined(egress.url, error)) from None
            for method in (PLAYBACK_STARTED, PLAYBACK_FINISHED):
                agent.local_participant.register_rpc_method(method, self._make_rpc_handler(method))
            await viewer.join(egress.url, self._make_token(VIEWER))
            yield
            await viewer.report_new_losses()
        finally:
            for task in list(self._tasks):
                task.cancel()
            for video_viewer in (viewer, self._late_viewer):
                if video_viewer is not None:
                    await video_viewer.leave()
            self._late_viewer = None
            await agent.disconnect()

    async def join_late(self) -> None:
        """Let a second viewer join the watched LiveKit room now. Record that it joined, and later the first
        key frame of the video that it sees."""
        key_frame_seen = False

        def record_first_key_frame(container: Container, frame: bytes) -> None:
            """Record that the viewer that joined late sees a key frame of the room's video, but only the
            first time."""
            nonlocal key_frame_seen
            if not key_frame_seen and is_key_frame(container, frame):
                key_frame_seen = True
                self._record(KeyFrameSeen(LATE_VIEWER))

        self._late_viewer = VideoViewer(record_first_key_frame, is_watched=self._is_watched)
        self._record(ViewerJoined(LATE_VIEWER))
        await self._late_viewer.join(self._url, self._make_token(LATE_VIEWER))

    def _is_watched(self, identity: str) -> bool:
        """Return whether this participant of the room is the one to watch. This is the participant that
        `publisher` names. If there is no `publisher`, it is the first participant that is not ours, and it is
        remembered here."""
        if self._publisher is not None:
            return bool(identity) and identity == self._publisher()
        if not self._first_other_participant and identity and identity not in _KIT_IDENTITIES:
            self._first_other_participant = identity
        return bool(identity) and identity == self._first_other_participant

    def _register_handlers(self, agent: rtc.Room) -> None:
        """Begin to record what `agent`, the kit's own participant, sees in the LiveKit room: participants
        that join or leave, tracks, and sound. Each event of the room gets a handler."""
        agent.on(
            "participant_connected", lambda participant: self._start_task(self._record_joining(participant))
        )
        agent.on("participant_disconnected", self._record_leaving)
        agent.on("track_published", self._record_track)
        agent.on("track_subscribed", self._listen_to_track)

    async def _record_joining(self, participant: Any) -> None:
        """Record that the watched participant joined the LiveKit room, with its attributes. Wait half a
        second first, because the attributes may come later. Other participants are not recorded."""
        await asyncio.sleep(_ATTRIBUTES_SECONDS)
        if not self._is_watched(participant.identity):
            return
        attribute_lines = "\n".join(f"{key}={value}" for key, value in participant.attributes.items())
        self._record(Joined(self._room_name, participant.identity, attribute_lines))

    def _record_leaving(self, participant: Any) -> None:
        """Record that the watched publisher left the room."""
        if self._is_watched(participant.identity):
            self._record(LeftRoom(self._room_name, participant.identity))

    def _record_track(self, publication: Any, participant: Any) -> None:
        """Record that the watched publisher published a track in the room."""
        if self._is_watched(participant.identity):
            kind = _TRACK_KIND_BY_SOURCE.get(publication.source, TrackKind.OTHER)
            self._record(TrackSeen(participant.identity, kind))

    def _listen_to_track(self, track: Any, publication: Any, participant: Any) -> None:
        """If this is a sound track of the watched participant, begin to record its sound and the network
        packets that are lost. Ignore other tracks."""
        if self._is_watched(participant.identity) and track.kind == rtc.TrackKind.KIND_AUDIO:
            self._start_task(self._record_sound(track, participant.identity))
            self._start_task(self._record_sound_losses(track))

    async def _record_sound(self, track: Any, identity: str) -> None:
        """Record the sound of a track in the watched room until the track ends. Each event holds 40 ms of PCM
        (mono, 16 bits, 16 kHz). `identity` names the participant who published the track."""
        sound_stream = rtc.AudioStream(track, sample_rate=_SOUND_HZ, num_channels=1)
        pcm = bytearray()
        async for sound_event in sound_stream:
            pcm += bytes(sound_event.frame.data)
            while len(pcm) >= _SOUND_EVENT_BYTES:
                self._record(SoundHeard(identity, bytes(pcm[:_SOUND_EVENT_BYTES]), _SOUND_HZ))
                del pcm[:_SOUND_EVENT_BYTES]

    async def _record_sound_losses(self, track: Any) -> None:
        """Check every half second how many network packets of a sound track are lost, and record the number
        of new losses, if there are any. End when the track is gone."""
        lost_count_before = 0
        while True:
            await asyncio.sleep(LOOK_FOR_LOSSES_SECONDS)
            try:
                stats = await track.get_stats()
            except Exception:  # The track is gone; the library has no class of its own for that.
                return
            lost_count = sum(report.inbound_rtp.received.packets_lost for report in stats)
            if lost_count > lost_count_before:
                self._record(MediaLost(TrackKind.MICROPHONE, lost_count - lost_count_before))
            lost_count_before = max(lost_count, lost_count_before)

    def _record_video_loss(self, packets: int) -> None:
        """Record that the network lost packets of the video in the watched room."""
        self._record(MediaLost(TrackKind.CAMERA, packets))

    def _record_packets(self, container: Container, frame: bytes) -> None:
        """Record the packets of motion in a video frame of the watched room."""
        for packet in packets_to_record(container, frame):
            self._record(PacketSeen(VIEWER, packet))

    def _make_rpc_handler(self, method: str) -> Any:
        """Return a function that answers each RPC of this method in the watched room."""

        async def answer_rpc(call: Any) -> str:
            """Answer "ok" to an RPC. Record it if the watched participant made it."""
            if self._is_watched(call.caller_identity):
                self._record(PlaybackTold(call.caller_identity, method, call.payload[:MAX_PAYLOAD]))
            return "ok"

        return answer_rpc

    def _make_token(self, identity: str) -> str:
        """Return a LiveKit token for an agent or viewer of ours, who publishes nothing."""
        grant = RoomGrant(self._room_name, identity, can_publish=False)
        return make_livekit_token(self._key, self._secret, grant, time.time())

    def _record(self, event: Joined | RoomEvent) -> None:
        """Record an event in the watched room."""
        self._sink.emit(Lane.EGRESS, self._session_name, event)

    def _start_task(self, coroutine: Any) -> None:
        """Start a task of the room watcher, and keep it until it is done."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
